"""Samplers as tables of coefficients, computed before the first denoising step.

The update rules are in `dti.solvers`. Timesteps and noise levels come from diffusers' scheduler objects, built from the
checkpoint's configuration, so spacing, offset, shift, terminal noise and final level follow the checkpoint.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import diffusers
import numpy as np
import torch
from torch import Tensor

from dti.errors import InvalidSettingError, UnknownSchedulerError
from dti.solvers import (
    Path,
    Update,
    ancestral,
    consistency,
    first_order,
    midpoint_sde,
    second_order,
    second_order_sde,
)
from dti.spec.settings import LCM_MAX_STEPS


@dataclass(frozen=True, slots=True)
class DenoisingSchedule:
    """Timesteps and update coefficients of one picture.

    x starts as `start` times unit noise. In each denoiser call, with the raw output m at x, the clean picture is
    predicted as D = p x + q m; then x becomes a x + b D + c D' + d x' + n z, where D' and x' are the D and x of the
    call before, and z is fresh unit noise.

    Attributes:
        start: factor of the initial unit noise.
        times: the denoiser's timesteps, `(calls,)` float32.
        coefficients: p, q, a, b, c, d, n per call, `(calls, 7)` float32.
        levels: shares of picture and noise before the first call and after every call, `(calls + 1, 2)` float32.
    """

    start: float
    times: Tensor
    coefficients: Tensor
    levels: Tensor


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
        solve: coefficients of the step from one level to the next.
        flow: whether it is for flow matching (True) or for noise and v prediction (False).
        a1111_name: its name in AUTOMATIC1111's generation parameters.
        calls_per_step: denoiser calls of every step but the last.
    """

    path: Callable[[_PathRequest], Path]
    solve: Callable[[Path], Update]
    flow: bool
    a1111_name: str
    calls_per_step: int = 1


def diffusion_schedule(name: str, config: Mapping[str, Any], steps: int, *, first: int = 0) -> DenoisingSchedule:
    """Schedule of a sampler for a model of noise or v prediction.

    Args:
        name: a sampler of `SAMPLERS` that is not for flow matching.
        config: configuration of the checkpoint's scheduler; `prediction_type` is epsilon or v_prediction.
        steps: number of denoising steps.
        first: the step to start at, 0 for all steps.

    Raises:
        UnknownSchedulerError: there is no such sampler.
        InvalidSettingError: the sampler does not support this number of steps.

    Source: of each sampler, at its rule in `dti.solvers`.
    """
    sampler = _find(name, flow=False)
    path = sampler.path(_PathRequest(config, steps)).after(first * sampler.calls_per_step)
    return _schedule(path, _clean(path, config["prediction_type"]), sampler)


def flow_schedule(
    name: str,
    config: Mapping[str, Any],
    steps: int,
    *,
    mu: float | None = None,
    sigmas: Sequence[float] | None = None,
    first: int = 0,
) -> DenoisingSchedule:
    """Schedule of a sampler for a flow-matching model with the output noise minus picture.

    Args:
        name: a sampler of `SAMPLERS` for flow matching.
        config: configuration of the checkpoint's scheduler, FlowMatchEulerDiscrete or DPMSolverMultistep.
        steps: number of denoising steps.
        mu: logarithm of the shift, where the configuration makes it depend on the picture's size.
        sigmas: unshifted noise levels, where the model's pipeline passes its own to Euler; None for the sampler's.
        first: the step to start at, 0 for all steps.

    Raises:
        UnknownSchedulerError: there is no such sampler.

    Source: as for `diffusion_schedule`; flow matching is the case signal + noise = 1.
    """
    sampler = _find(name, flow=True)
    path = sampler.path(_PathRequest(config, steps, mu, sigmas)).after(first)
    return _schedule(path, (torch.ones_like(path.noise), -path.noise), sampler)


def _find(name: str, *, flow: bool) -> Sampler:
    known = {known: sampler for known, sampler in SAMPLERS.items() if sampler.flow == flow}
    if name not in known:
        raise UnknownSchedulerError(name, tuple(known))
    return known[name]


def _schedule(path: Path, clean: tuple[Tensor, Tensor], sampler: Sampler) -> DenoisingSchedule:
    update = sampler.solve(path)
    columns = torch.stack([*clean, update.a, update.b, update.c, update.d, update.n], dim=1)
    levels = torch.stack(
        [torch.cat([path.signal[:1], path.signal_next]), torch.cat([path.noise[:1], path.noise_next])], dim=1
    )
    return DenoisingSchedule(path.start, path.times.float(), columns.float(), levels.float())


def _clean(path: Path, prediction: str) -> tuple[Tensor, Tensor]:
    """Coefficients p, q that predict the clean picture from x and the denoiser's output."""
    if prediction == "v_prediction":
        return path.signal, -path.noise
    return 1 / path.signal, -path.noise / path.signal


def _ddim_path(request: _PathRequest) -> Path:
    scheduler = diffusers.DDIMScheduler.from_config(request.config, clip_sample=False, thresholding=False)
    scheduler.set_timesteps(request.steps)
    times, stride = scheduler.timesteps, scheduler.config.num_train_timesteps // request.steps
    alphas = scheduler.alphas_cumprod.double()
    # As in diffusers, a step leads one stride down, even where rounded spacing puts the next timestep elsewhere.
    later = times - stride
    after = torch.where(later >= 0, alphas[later.clamp(min=0)], scheduler.final_alpha_cumprod.double())
    now = alphas[times]
    return Path(1.0, times, now.sqrt(), (1 - now).sqrt(), after.sqrt(), (1 - after).sqrt(), request.steps)


def _lcm_path(request: _PathRequest) -> Path:
    if request.steps > LCM_MAX_STEPS:
        raise InvalidSettingError("steps", f"{request.steps} are too many for lcm: at most {LCM_MAX_STEPS}.")
    scheduler = diffusers.LCMScheduler.from_config(request.config, original_inference_steps=LCM_MAX_STEPS)
    scheduler.set_timesteps(request.steps)
    now = scheduler.alphas_cumprod.double()[scheduler.timesteps]
    after = torch.cat([now[1:], torch.ones(1).double()])
    times = scheduler.timesteps
    return Path(1.0, times, now.sqrt(), (1 - now).sqrt(), after.sqrt(), (1 - after).sqrt(), request.steps)


def _euler_path(request: _PathRequest) -> Path:
    return _scaled_path(diffusers.EulerDiscreteScheduler.from_config(request.config, timestep_type="discrete"), request)


def _ancestral_path(request: _PathRequest) -> Path:
    return _scaled_path(diffusers.EulerAncestralDiscreteScheduler.from_config(request.config), request)


def _scaled_path(scheduler: Any, request: _PathRequest) -> Path:  # noqa: ANN401 - diffusers' schedulers have no common type
    """Path of a scheduler that runs on x / signal; the initial noise is scaled to the coordinates used here."""
    scheduler.set_timesteps(request.steps)
    start = float(scheduler.init_noise_sigma) / math.hypot(1, float(scheduler.sigmas[0]))
    return _sigma_path(start, scheduler.timesteps, scheduler.sigmas)


def _dpmpp_sde_path(request: _PathRequest, **options: object) -> Path:
    """Path of DPM++ SDE: every step but the last visits the geometric mean of its two noise levels."""
    given = {"timestep_type": "discrete", "final_sigmas_type": "zero", **options}
    scheduler = diffusers.EulerDiscreteScheduler.from_config(request.config, **given)
    ends = _scaled_path(scheduler, request)
    sigmas, times = scheduler.sigmas.double(), scheduler.timesteps.double()
    middle = (sigmas[:-2] * sigmas[1:-1]).sqrt()
    alphas = scheduler.alphas_cumprod.double()
    known = ((1 - alphas) / alphas).sqrt().log()
    between = torch.from_numpy(np.interp(middle.log().numpy(), known.numpy(), np.arange(len(known))))
    path = _sigma_path(ends.start, _interleave(times, between), _interleave(sigmas[:-1], middle, sigmas[-1:]))
    return replace(path, steps=request.steps)


def _interleave(outer: Tensor, inner: Tensor, *last: Tensor) -> Tensor:
    """The first of `outer`, the first of `inner`, the second of `outer` and so on, then `last`."""
    pairs = torch.stack([outer[:-1], inner], dim=1).flatten()
    return torch.cat([pairs, outer[-1:], *last])


def _dpmpp_2m_path(request: _PathRequest, **options: object) -> Path:
    given = {"algorithm_type": "dpmsolver++", "solver_type": "midpoint", "solver_order": 2, "thresholding": False}
    scheduler = diffusers.DPMSolverMultistepScheduler.from_config(request.config, **given, **options)
    scheduler.set_timesteps(request.steps)
    return _sigma_path(1.0, scheduler.timesteps, scheduler.sigmas)


def _sigma_path(start: float, times: Tensor, sigmas: Tensor) -> Path:
    """Path from noise-to-signal ratios, one more than steps."""
    ratio = sigmas.double()
    signal = 1 / (1 + ratio.square()).sqrt()
    noise = ratio * signal
    return Path(start, times, signal[:-1], noise[:-1], signal[1:], noise[1:], len(times))


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


def _flow_euler_path(request: _PathRequest) -> Path:
    config = request.config
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(config, shift=flow_shift(config))
    scheduler.set_timesteps(request.steps, sigmas=request.sigmas, mu=request.mu)
    return _flow_path(scheduler.timesteps, scheduler.sigmas)


def _flow_dpmpp_2m_path(request: _PathRequest) -> Path:
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


def _flow_path(times: Tensor, sigmas: Tensor) -> Path:
    """Path from noise shares, one more than steps."""
    noise = sigmas.double()
    signal = 1 - noise
    return Path(1.0, times, signal[:-1], noise[:-1], signal[1:], noise[1:], len(times))


_2m_karras = partial(_dpmpp_2m_path, use_karras_sigmas=True)
_sde_karras = partial(_dpmpp_sde_path, use_karras_sigmas=True)

SAMPLERS: Mapping[str, Sampler] = {
    "ddim": Sampler(_ddim_path, first_order, flow=False, a1111_name="DDIM"),
    "euler": Sampler(_euler_path, first_order, flow=False, a1111_name="Euler"),
    "euler_a": Sampler(_ancestral_path, ancestral, flow=False, a1111_name="Euler a"),
    "dpmpp_2m": Sampler(_dpmpp_2m_path, second_order, flow=False, a1111_name="DPM++ 2M"),
    "dpmpp_2m_karras": Sampler(_2m_karras, second_order, flow=False, a1111_name="DPM++ 2M Karras"),
    "dpmpp_2m_sde": Sampler(_dpmpp_2m_path, second_order_sde, flow=False, a1111_name="DPM++ 2M SDE"),
    "dpmpp_2m_sde_karras": Sampler(_2m_karras, second_order_sde, flow=False, a1111_name="DPM++ 2M SDE Karras"),
    "dpmpp_sde": Sampler(_dpmpp_sde_path, midpoint_sde, flow=False, a1111_name="DPM++ SDE", calls_per_step=2),
    "dpmpp_sde_karras": Sampler(_sde_karras, midpoint_sde, flow=False, a1111_name="DPM++ SDE Karras", calls_per_step=2),
    "lcm": Sampler(_lcm_path, consistency, flow=False, a1111_name="LCM"),
    "flow_euler": Sampler(_flow_euler_path, first_order, flow=True, a1111_name="Euler"),
    "flow_dpmpp_2m": Sampler(_flow_dpmpp_2m_path, second_order, flow=True, a1111_name="DPM++ 2M"),
}
"""Samplers by name. A line here adds one and makes it subject to the test suite's laws."""
