"""Denoising as arithmetic: every sampler is one line with its own coefficients, worked out before the first step.

Owns the coefficients of DDIM, Euler and DPM++ 2M, the latter two also for flow matching. Which times and noise levels a
sampler visits is read from diffusers' own scheduler objects, made from the checkpoint's configuration, so that its
spacing, offset, shift, terminal noise and final level are followed. It knows no model and no picture.
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
class Schedule:
    """How one picture is denoised.

    x starts as `start` times unit noise. Then, per step, with the denoiser's raw output m at x, the clean picture is
    predicted as D = p x + q m, and x becomes a x + b D + c D', where D' is the D of the step before.

    Attributes:
        start: factor to unit noise.
        times: what the denoiser is told, `(steps,)` float32.
        coefficients: p, q, a, b, c per step, `(steps, 5)` float32.
    """

    start: float
    times: Tensor
    coefficients: Tensor


@dataclass(frozen=True, slots=True)
class _Path:
    """The noise levels that a sampler visits; x = signal * picture + noise * unit noise.

    signal² + noise² = 1 for denoisers of noise or v, signal + noise = 1 for flow matching.

    Attributes:
        start: factor to unit noise.
        times: what the denoiser is told at every step.
        signal: at every step.
        noise: at every step.
        signal_next: where every step leads.
        noise_next: where every step leads.
    """

    start: float
    times: Tensor
    signal: Tensor
    noise: Tensor
    signal_next: Tensor
    noise_next: Tensor


def schedule(scheduler: str, config: Mapping[str, Any], steps: int) -> Schedule:
    """The schedule of a sampler.

    Args:
        scheduler: a name of `SCHEDULERS`.
        config: of the checkpoint's own scheduler object; `prediction_type` is epsilon or v_prediction.
        steps: how many.

    Raises:
        UnknownSchedulerError: there is no such sampler.

    Source: DDIM (Song et al., arXiv 2010.02502, eq. 12); Euler (Karras et al., arXiv 2206.00364, algorithm 1, without
    churn and correction; in these coordinates the same step as DDIM's, over other levels); DPM-Solver++ 2M (Lu et al.,
    arXiv 2211.01095, algorithm 2).
    """
    if scheduler not in SCHEDULERS:
        raise UnknownSchedulerError(scheduler, tuple(SCHEDULERS))
    follow, solve = SCHEDULERS[scheduler]
    path = follow(config, steps)
    p, q = _clean(path, config["prediction_type"])
    columns = torch.stack([p, q, *solve(path)], dim=1)
    return Schedule(path.start, path.times.float(), columns.float())


def _clean(path: _Path, prediction: str) -> tuple[Tensor, Tensor]:
    """How the clean picture follows from x and the denoiser's output: p and q."""
    if prediction == "v_prediction":
        return path.signal, -path.noise
    return 1 / path.signal, -path.noise / path.signal


def _first_order(path: _Path) -> tuple[Tensor, Tensor, Tensor]:
    """Keep the noise that is in x and rescale both parts to the next level."""
    a = path.noise_next / path.noise
    return a, path.signal_next - path.signal * a, torch.zeros_like(a)


def _second_order(path: _Path) -> tuple[Tensor, Tensor, Tensor]:
    """Extrapolate D by its last change; the first and the last step have nothing to lean on and stay first order."""
    a, b, c = _first_order(path)
    level = path.signal.log() - path.noise.log()
    gain = path.signal_next.log() - path.noise_next.log() - level
    inner = slice(1, None if _may_end_second_order(path) else -1)
    lead = (gain[1:] / (2 * level.diff()))[: len(gain[inner])]
    c[inner] = -b[inner] * lead
    b[inner] += b[inner] * lead
    return a, b, c


_FEW_STEPS = 15
"""Below this many steps diffusers ends DPM++ with a first-order step, for stability."""


def _may_end_second_order(path: _Path) -> bool:
    return bool(path.noise_next[-1] > 0) and len(path.times) >= _FEW_STEPS


def _ddim_path(config: Mapping[str, Any], steps: int) -> _Path:
    sampler = diffusers.DDIMScheduler.from_config(config, clip_sample=False, thresholding=False)
    sampler.set_timesteps(steps)
    times, stride = sampler.timesteps, sampler.config.num_train_timesteps // steps
    shares = sampler.alphas_cumprod.double()
    # A step leads one stride down, also where rounded spacing puts the next time elsewhere: diffusers does so.
    later = times - stride
    final = sampler.final_alpha_cumprod.double()
    after = torch.where(later >= 0, shares[later.clamp(min=0)], final)
    here = shares[times]
    return _Path(1.0, times, here.sqrt(), (1 - here).sqrt(), after.sqrt(), (1 - after).sqrt())


def _euler_path(config: Mapping[str, Any], steps: int) -> _Path:
    sampler = diffusers.EulerDiscreteScheduler.from_config(config, timestep_type="discrete")
    sampler.set_timesteps(steps)
    # Diffusers runs Euler on x / signal: the first noise is scaled accordingly.
    start = float(sampler.init_noise_sigma) / math.hypot(1, float(sampler.sigmas[0]))
    return _sigma_path(start, sampler.timesteps, sampler.sigmas)


def _dpmpp_2m_path(config: Mapping[str, Any], steps: int) -> _Path:
    sampler = diffusers.DPMSolverMultistepScheduler.from_config(
        config, algorithm_type="dpmsolver++", solver_type="midpoint", solver_order=2, thresholding=False
    )
    sampler.set_timesteps(steps)
    return _sigma_path(1.0, sampler.timesteps, sampler.sigmas)


def _sigma_path(start: float, times: Tensor, sigmas: Tensor) -> _Path:
    """A path from ratios of noise to signal, one more than there are steps."""
    ratio = sigmas.double()
    signal = 1 / (1 + ratio.square()).sqrt()
    noise = ratio * signal
    return _Path(start, times, signal[:-1], noise[:-1], signal[1:], noise[1:])


_Follow = Callable[[Mapping[str, Any], int], _Path]
_Solve = Callable[[_Path], tuple[Tensor, Tensor, Tensor]]

SCHEDULERS: Mapping[str, tuple[_Follow, _Solve]] = {
    "ddim": (_ddim_path, _first_order),
    "euler": (_euler_path, _first_order),
    "dpmpp_2m": (_dpmpp_2m_path, _second_order),
}
"""The samplers by name: which noise levels they visit, and how they step from one to the next."""


def flow_schedule(
    scheduler: str,
    config: Mapping[str, Any],
    steps: int,
    *,
    mu: float | None = None,
    sigmas: Sequence[float] | None = None,
) -> Schedule:
    """The schedule of a sampler for a model of flow matching, whose output is noise minus picture.

    Args:
        scheduler: a name of `FLOW_SCHEDULERS`.
        config: of the checkpoint's own scheduler object, FlowMatchEulerDiscrete or DPMSolverMultistep.
        steps: how many.
        mu: logarithm of the shift, where the configuration says that it depends on the picture's size.
        sigmas: noise levels before any shift, where the pipeline of the model gives its own to Euler; None for the
            sampler's.

    Raises:
        UnknownSchedulerError: there is no such sampler.

    Source: as for `schedule`; flow matching is their case of signal + noise = 1.
    """
    if scheduler not in FLOW_SCHEDULERS:
        raise UnknownSchedulerError(scheduler, tuple(FLOW_SCHEDULERS))
    follow, solve = FLOW_SCHEDULERS[scheduler]
    path = follow(config, _Flow(steps, mu, sigmas))
    columns = torch.stack([torch.ones_like(path.noise), -path.noise, *solve(path)], dim=1)
    return Schedule(path.start, path.times.float(), columns.float())


@dataclass(frozen=True, slots=True)
class _Flow:
    """What is asked of a path of flow matching; see `flow_schedule`."""

    steps: int
    mu: float | None
    sigmas: Sequence[float] | None


def flow_shift(config: Mapping[str, Any]) -> float:
    """How far a checkpoint of flow matching shifts its noise levels, whichever scheduler wrote the configuration."""
    return float(config.get("flow_shift") or config.get("shift") or 1.0)


def size_shift(config: Mapping[str, Any], tokens: int) -> float:
    """Logarithm of the shift for a picture of so many tokens: a line through two points of a scheduler's configuration.

    Source: Esser et al., arXiv 2403.03206, equation 23, as FLUX.1 has it and diffusers' pipelines compute it.
    """
    few, many = config["base_image_seq_len"], config["max_image_seq_len"]
    slope = (config["max_shift"] - config["base_shift"]) / (many - few)
    return float(config["base_shift"] + slope * (tokens - few))


def _flow_euler_path(config: Mapping[str, Any], asked: _Flow) -> _Path:
    sampler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(config, shift=flow_shift(config))
    sampler.set_timesteps(asked.steps, sigmas=asked.sigmas, mu=asked.mu)
    return _flow_path(sampler.timesteps, sampler.sigmas)


def _flow_dpmpp_2m_path(config: Mapping[str, Any], asked: _Flow) -> _Path:
    sampler = diffusers.DPMSolverMultistepScheduler.from_config(
        config,
        algorithm_type="dpmsolver++",
        solver_type="midpoint",
        solver_order=2,
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        flow_shift=flow_shift(config) if asked.mu is None else math.exp(asked.mu),
        use_dynamic_shifting=False,
        thresholding=False,
    )
    sampler.set_timesteps(asked.steps)
    return _flow_path(sampler.timesteps, sampler.sigmas)


def _flow_path(times: Tensor, sigmas: Tensor) -> _Path:
    """A path from shares of noise, one more than there are steps."""
    noise = sigmas.double()
    signal = 1 - noise
    return _Path(1.0, times, signal[:-1], noise[:-1], signal[1:], noise[1:])


_FollowFlow = Callable[[Mapping[str, Any], _Flow], _Path]

FLOW_SCHEDULERS: Mapping[str, tuple[_FollowFlow, _Solve]] = {
    "flow_euler": (_flow_euler_path, _first_order),
    "flow_dpmpp_2m": (_flow_dpmpp_2m_path, _second_order),
}
"""The samplers for flow matching by name, as `SCHEDULERS` lists the others."""
