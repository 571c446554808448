"""Update rules of samplers: the coefficients of the step from one noise level to the next.

All rules are linear in the latents, the predictions of the clean picture and fresh noise, so that pictures with
different samplers share one step (see `dti.samplers.DenoisingSchedule`).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

_FEW_STEPS = 15
"""Below this number of steps diffusers ends DPM++ with a first-order step, for stability."""

_CONSISTENCY_DATA = 0.5
_CONSISTENCY_TIME = 10.0
"""Standard deviation of the data and factor of the timestep in a consistency model's boundary condition."""


@dataclass(frozen=True, slots=True)
class Path:
    """Noise levels visited by a sampler, with x = signal * picture + noise * unit noise.

    signal² + noise² = 1 for noise and v prediction, signal + noise = 1 for flow matching.

    Attributes:
        start: factor of the initial unit noise.
        times: the denoiser's timesteps.
        signal: at every denoiser call.
        noise: at every denoiser call.
        signal_next: after every call.
        noise_next: after every call.
        steps: of the whole path, also where this one starts in its middle.
    """

    start: float
    times: Tensor
    signal: Tensor
    noise: Tensor
    signal_next: Tensor
    noise_next: Tensor
    steps: int

    def after(self, calls: int) -> "Path":
        """The rest of the path after a number of denoiser calls."""
        names = ("times", "signal", "noise", "signal_next", "noise_next")
        return replace(self, **{name: getattr(self, name)[calls:] for name in names})


@dataclass(frozen=True, slots=True)
class Update:
    """Coefficients of x <- a x + b D + c D' + d x' + n z, one of each per denoiser call.

    D and D' are the predictions of the clean picture now and at the call before, x' is x at the call before, z is fresh
    unit noise.
    """

    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor
    n: Tensor


def first_order(path: Path) -> Update:
    """Keep the noise in x and rescale both parts to the next level.

    Source: DDIM (Song et al., arXiv 2010.02502, eq. 12); Euler (Karras et al., arXiv 2206.00364, algorithm 1, without
    churn and correction; in these coordinates the same step as DDIM's, over other levels).
    """
    a = path.noise_next / path.noise
    zero = torch.zeros_like(a)
    return Update(a, path.signal_next - path.signal * a, zero, zero, zero)


def second_order(path: Path) -> Update:
    """DPM-Solver++ 2M: extrapolate D from its last change.

    Source: Lu et al., arXiv 2211.01095, algorithm 2.
    """
    return _extrapolated(path, first_order(path))


def second_order_sde(path: Path) -> Update:
    """SDE-DPM-Solver++ 2M: as `second_order`, with part of the noise drawn anew in every step.

    Source: Lu et al., arXiv 2211.01095, section 6 and algorithm 2 with the SDE's first-order step (appendix B.4).
    """
    # e^-h, with h the step in half log-SNR; the last step may lead to no noise at all, where h is infinite.
    shrink = path.signal * path.noise_next / (path.noise * path.signal_next)
    fresh = 1 - shrink.square()
    a = path.noise_next / path.noise * shrink
    zero = torch.zeros_like(a)
    return _extrapolated(path, Update(a, path.signal_next * fresh, zero, zero, path.noise_next * fresh.sqrt()))


def _extrapolated(path: Path, update: Update) -> Update:
    """Apply b to (1 + r/2) D - (r/2) D' instead of D, where r is this step over the previous one in half log-SNR.

    The first and (for stability) the last step stay first order.
    """
    b, c = update.b.clone(), update.c.clone()
    level = path.signal.log() - path.noise.log()
    gain = path.signal_next.log() - path.noise_next.log() - level
    inner = slice(1, None if _may_end_second_order(path) else -1)
    lead = (gain[1:] / (2 * level.diff()))[: len(gain[inner])]
    c[inner] = -b[inner] * lead
    b[inner] += b[inner] * lead
    return replace(update, b=b, c=c)


def _may_end_second_order(path: Path) -> bool:
    return bool(path.noise_next[-1] > 0) and path.steps >= _FEW_STEPS


def ancestral(path: Path) -> Update:
    """Euler ancestral: step below the next level, and add fresh noise up to it.

    Source: Crowson's k-diffusion, `sample_euler_ancestral`, as in diffusers' `EulerAncestralDiscreteScheduler`.
    """
    return _ancestral(path, path.signal, path.noise)


def midpoint_sde(path: Path) -> Update:
    """DPM++ SDE: an ancestral step to the middle of the next step, then the whole step with the prediction made there.

    Source: Crowson's k-diffusion, `sample_dpmpp_sde` with r = 1/2, as in diffusers' `DPMSolverSDEScheduler`.
    """
    half = _ancestral(path, path.signal, path.noise)
    # The second call of a step starts again from the x and the level of its first call.
    whole = _ancestral(path, path.signal.roll(1), path.noise.roll(1))
    second = torch.arange(len(half.a)) % 2 == 1
    zero = torch.zeros_like(half.a)
    return Update(
        torch.where(second, zero, half.a),
        torch.where(second, whole.b, half.b),
        zero,
        torch.where(second, whole.a, zero),
        torch.where(second, whole.n, half.n),
    )


def _ancestral(path: Path, signal: Tensor, noise: Tensor) -> Update:
    """Ancestral steps from these levels to the path's next ones."""
    ratio, ratio_next = noise / signal, path.noise_next / path.signal_next
    up = (ratio_next.square() * (ratio.square() - ratio_next.square()) / ratio.square()).clamp(min=0).sqrt()
    kept = (ratio_next.square() - up.square()).clamp(min=0).sqrt() / ratio
    zero = torch.zeros_like(kept)
    return Update(path.signal_next / signal * kept, path.signal_next * (1 - kept), zero, zero, path.signal_next * up)


def consistency(path: Path) -> Update:
    """LCM: a consistency model's prediction of the clean picture, with fresh noise of the next level.

    Source: Luo et al., "Latent Consistency Models", arXiv 2310.04378, algorithm 3; the boundary condition is that of
    Song et al., arXiv 2303.01469, appendix C.
    """
    time = path.times.double() * _CONSISTENCY_TIME
    spread = time.square() + _CONSISTENCY_DATA**2
    skip, out = _CONSISTENCY_DATA**2 / spread, time / spread.sqrt()
    zero = torch.zeros_like(out)
    return Update(path.signal_next * skip, path.signal_next * out, zero, zero, path.noise_next)
