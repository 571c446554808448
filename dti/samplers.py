"""Samplers as tables of coefficients, computed before the first denoising step.

Owns the coefficients of DDIM, Euler and DPM++ 2M, the latter two for flow matching as well. Timesteps and noise levels
come from diffusers' scheduler objects, built from the checkpoint's configuration, so spacing, offset, shift, terminal
noise and final level follow the checkpoint.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from torch import Tensor

from dti.errors import UnknownSchedulerError


@dataclass(frozen=True, slots=True)
class DenoisingSchedule:
    """Timesteps and update coefficients of one picture.

    x starts as `start` times unit noise. In each step, with the denoiser's raw output m at x, the clean picture is
    predicted as D = p x + q m; then x becomes a x + b D + c D', where D' is the D of the previous step.

    Attributes:
        start: factor of the initial unit noise.
        times: the denoiser's timesteps, `(steps,)` float32.
        coefficients: p, q, a, b, c per step, `(steps, 5)` float32.
    """

    start: float
    times: Tensor
    coefficients: Tensor


@dataclass(frozen=True, slots=True)
class _Path:
    """Noise levels visited by a sampler, with x = signal * picture + noise * unit noise.

    signal² + noise² = 1 for noise and v prediction, signal + noise = 1 for flow matching.

    Attributes:
        start: factor of the initial unit noise.
        times: the denoiser's timesteps.
        signal: at every step.
        noise: at every step.
        signal_next: after every step.
        noise_next: after every step.
    """

    start: float
    times: Tensor
    signal: Tensor
    noise: Tensor
    signal_next: Tensor
    noise_next: Tensor


@dataclass(frozen=True, slots=True)
class _PathRequest:
    """Arguments of a path function; `mu` and `sigmas` apply to flow matching, see `flow_schedule`."""

    config: Mapping[str, Any]
    steps: int
    mu: float | None = None
    sigmas: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Sampler:
    """A sampler.

    Attributes:
        path: noise levels that it visits.
        solve: coefficients a, b, c of the step from one level to the next.
        flow: whether it is for flow matching (True) or for noise and v prediction (False).
        a1111_name: its name in AUTOMATIC1111's generation parameters.
    """

    path: Callable[[_PathRequest], _Path]
    solve: Callable[[_Path], tuple[Tensor, Tensor, Tensor]]
    flow: bool
    a1111_name: str


def diffusion_schedule(name: str, config: Mapping[str, Any], steps: int) -> DenoisingSchedule:
    """Schedule of a sampler for a model of noise or v prediction.

    Args:
        name: a sampler of `SAMPLERS` that is not for flow matching.
        config: configuration of the checkpoint's scheduler; `prediction_type` is epsilon or v_prediction.
        steps: number of denoising steps.

    Raises:
        UnknownSchedulerError: there is no such sampler.

    Source: DDIM (Song et al., arXiv 2010.02502, eq. 12); Euler (Karras et al., arXiv 2206.00364, algorithm 1, without
    churn and correction; in these coordinates the same step as DDIM's, over other levels); DPM-Solver++ 2M (Lu et al.,
    arXiv 2211.01095, algorithm 2).
    """
    sampler = _find(name, flow=False)
    path = sampler.path(_PathRequest(config, steps))
    return _schedule(path, _clean(path, config["prediction_type"]), sampler)


def flow_schedule(
    name: str,
    config: Mapping[str, Any],
    steps: int,
    *,
    mu: float | None = None,
    sigmas: Sequence[float] | None = None,
) -> DenoisingSchedule:
    """Schedule of a sampler for a flow-matching model with the output noise minus picture.

    Args:
        name: a sampler of `SAMPLERS` for flow matching.
        config: configuration of the checkpoint's scheduler, FlowMatchEulerDiscrete or DPMSolverMultistep.
        steps: number of denoising steps.
        mu: logarithm of the shift, where the configuration makes it depend on the picture's size.
        sigmas: unshifted noise levels, where the model's pipeline passes its own to Euler; None for the sampler's.

    Raises:
        UnknownSchedulerError: there is no such sampler.

    Source: as for `diffusion_schedule`; flow matching is the case signal + noise = 1.
    """
    sampler = _find(name, flow=True)
    path = sampler.path(_PathRequest(config, steps, mu, sigmas))
    return _schedule(path, (torch.ones_like(path.noise), -path.noise), sampler)


def _find(name: str, *, flow: bool) -> Sampler:
    known = {known: sampler for known, sampler in SAMPLERS.items() if sampler.flow == flow}
    if name not in known:
        raise UnknownSchedulerError(name, tuple(known))
    return known[name]


def _schedule(path: _Path, clean: tuple[Tensor, Tensor], sampler: Sampler) -> DenoisingSchedule:
    columns = torch.stack([*clean, *sampler.solve(path)], dim=1)
    return DenoisingSchedule(path.start, path.times.float(), columns.float())


def _clean(path: _Path, prediction: str) -> tuple[Tensor, Tensor]:
    """Coefficients p, q that predict the clean picture from x and the denoiser's output."""
    if prediction == "v_prediction":
        return path.signal, -path.noise
    return 1 / path.signal, -path.noise / path.signal


def _first_order(path: _Path) -> tuple[Tensor, Tensor, Tensor]:
    """Keep the noise in x and rescale both parts to the next level."""
    a = path.noise_next / path.noise
    return a, path.signal_next - path.signal * a, torch.zeros_like(a)


def _second_order(path: _Path) -> tuple[Tensor, Tensor, Tensor]:
    """Extrapolate D from its last change; the first and (for stability) the last step stay first order.

    Source: Lu et al., arXiv 2211.01095, algorithm 2: b applies to (1 + r/2) D - (r/2) D', where r is this step over the
    previous one in half log-SNR.
    """
    a, b, c = _first_order(path)
    level = path.signal.log() - path.noise.log()
    gain = path.signal_next.log() - path.noise_next.log() - level
    inner = slice(1, None if _may_end_second_order(path) else -1)
    lead = (gain[1:] / (2 * level.diff()))[: len(gain[inner])]
    c[inner] = -b[inner] * lead
    b[inner] += b[inner] * lead
    return a, b, c


_FEW_STEPS = 15
"""Below this number of steps diffusers ends DPM++ with a first-order step, for stability."""


def _may_end_second_order(path: _Path) -> bool:
    return bool(path.noise_next[-1] > 0) and len(path.times) >= _FEW_STEPS


def _ddim_path(request: _PathRequest) -> _Path:
    scheduler = diffusers.DDIMScheduler.from_config(request.config, clip_sample=False, thresholding=False)
    scheduler.set_timesteps(request.steps)
    times, stride = scheduler.timesteps, scheduler.config.num_train_timesteps // request.steps
    alphas = scheduler.alphas_cumprod.double()
    # As in diffusers, a step leads one stride down, even where rounded spacing puts the next timestep elsewhere.
    later = times - stride
    after = torch.where(later >= 0, alphas[later.clamp(min=0)], scheduler.final_alpha_cumprod.double())
    now = alphas[times]
    return _Path(1.0, times, now.sqrt(), (1 - now).sqrt(), after.sqrt(), (1 - after).sqrt())


def _euler_path(request: _PathRequest) -> _Path:
    scheduler = diffusers.EulerDiscreteScheduler.from_config(request.config, timestep_type="discrete")
    scheduler.set_timesteps(request.steps)
    # diffusers runs Euler on x / signal; the initial noise is scaled to the coordinates used here.
    start = float(scheduler.init_noise_sigma) / math.hypot(1, float(scheduler.sigmas[0]))
    return _sigma_path(start, scheduler.timesteps, scheduler.sigmas)


def _dpmpp_2m_path(request: _PathRequest) -> _Path:
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
        request.config, algorithm_type="dpmsolver++", solver_type="midpoint", solver_order=2, thresholding=False
    )
    scheduler.set_timesteps(request.steps)
    return _sigma_path(1.0, scheduler.timesteps, scheduler.sigmas)


def _sigma_path(start: float, times: Tensor, sigmas: Tensor) -> _Path:
    """Path from noise-to-signal ratios, one more than steps."""
    ratio = sigmas.double()
    signal = 1 / (1 + ratio.square()).sqrt()
    noise = ratio * signal
    return _Path(start, times, signal[:-1], noise[:-1], signal[1:], noise[1:])


def flow_shift(config: Mapping[str, Any]) -> float:
    """Shift of a flow-matching checkpoint's noise levels, under either scheduler's name for it."""
    return float(config.get("flow_shift") or config.get("shift") or 1.0)


def size_shift(config: Mapping[str, Any], tokens: int) -> float:
    """Logarithm of the shift for a picture of `tokens` tokens: linear between two points of the configuration.

    Source: Esser et al., arXiv 2403.03206, equation 23, as in FLUX.1 and diffusers' pipelines.
    """
    few, many = config["base_image_seq_len"], config["max_image_seq_len"]
    slope = (config["max_shift"] - config["base_shift"]) / (many - few)
    return float(config["base_shift"] + slope * (tokens - few))


def _flow_euler_path(request: _PathRequest) -> _Path:
    config = request.config
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(config, shift=flow_shift(config))
    scheduler.set_timesteps(request.steps, sigmas=request.sigmas, mu=request.mu)
    return _flow_path(scheduler.timesteps, scheduler.sigmas)


def _flow_dpmpp_2m_path(request: _PathRequest) -> _Path:
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(
        request.config,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        solver_order=2,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=flow_shift(request.config) if request.mu is None else math.exp(request.mu),
        use_dynamic_shifting=False,
        thresholding=False,
    )
    scheduler.set_timesteps(request.steps)
    return _flow_path(scheduler.timesteps, scheduler.sigmas)


def _flow_path(times: Tensor, sigmas: Tensor) -> _Path:
    """Path from noise shares, one more than steps."""
    noise = sigmas.double()
    signal = 1 - noise
    return _Path(1.0, times, signal[:-1], noise[:-1], signal[1:], noise[1:])


SAMPLERS: Mapping[str, Sampler] = {
    "ddim": Sampler(_ddim_path, _first_order, flow=False, a1111_name="DDIM"),
    "euler": Sampler(_euler_path, _first_order, flow=False, a1111_name="Euler"),
    "dpmpp_2m": Sampler(_dpmpp_2m_path, _second_order, flow=False, a1111_name="DPM++ 2M"),
    "flow_euler": Sampler(_flow_euler_path, _first_order, flow=True, a1111_name="Euler"),
    "flow_dpmpp_2m": Sampler(_flow_dpmpp_2m_path, _second_order, flow=True, a1111_name="DPM++ 2M"),
}
"""Samplers by name. A line here adds one and makes it subject to the test suite's laws."""
