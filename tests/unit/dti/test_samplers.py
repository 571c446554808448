import inspect
import math
import re
import sys
from importlib import import_module
from types import ModuleType

import diffusers
import pytest
import torch

from dti.errors import InvalidSettingError, UnknownSchedulerError
from dti.samplers import SAMPLERS, diffusion_schedule
from dti.spec.registry import FAMILIES
from tests.unit.dti.works import by_coefficients

NAMES = [name for name, sampler in SAMPLERS.items() if not sampler.flow]
# Its Brownian tree is replaced by the noise of the test, so the package that makes trees is not needed.
sys.modules.setdefault("torchsde", ModuleType("torchsde"))
DPMSolverSDEScheduler = import_module("diffusers.schedulers.scheduling_dpmsolver_sde").DPMSolverSDEScheduler

KARRAS = {"use_karras_sigmas": True}
SDE = {"algorithm_type": "sde-dpmsolver++"}
CLASSES = {
    "ddim": (diffusers.DDIMScheduler, {"clip_sample": False}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "euler_a": (diffusers.EulerAncestralDiscreteScheduler, {}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {}),
    "dpmpp_2m_karras": (diffusers.DPMSolverMultistepScheduler, KARRAS),
    "dpmpp_2m_sde": (diffusers.DPMSolverMultistepScheduler, SDE),
    "dpmpp_2m_sde_karras": (diffusers.DPMSolverMultistepScheduler, SDE | KARRAS),
    "dpmpp_sde": (DPMSolverSDEScheduler, {}),
    "dpmpp_sde_karras": (DPMSolverSDEScheduler, KARRAS),
    "lcm": (diffusers.LCMScheduler, {"clip_sample": False}),
}
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
CONFIGURATIONS = {
    "leading": (diffusers.DDIMScheduler, {"set_alpha_to_one": False, "clip_sample": False}),
    "trailing": (diffusers.DDIMScheduler, {"timestep_spacing": "trailing"}),
    "even": (diffusers.DPMSolverMultistepScheduler, {"timestep_spacing": "linspace"}),
    "karras": (diffusers.EulerDiscreteScheduler, {"use_karras_sigmas": True}),
    "as SD 1.5 says": (diffusers.PNDMScheduler, {"skip_prk_steps": True, "set_alpha_to_one": False}),
    "linear": (diffusers.DDIMScheduler, {"beta_schedule": "linear", "timestep_spacing": "trailing"}),
    "little noise left": (diffusers.DPMSolverMultistepScheduler, {"final_sigmas_type": "sigma_min"}),
}


def configured(name, prediction_type):
    kind, options = CONFIGURATIONS[name]
    return kind(**{**NOISE, **options}, prediction_type=prediction_type).config


def test_every_sampler_has_its_reference():
    assert list(CLASSES) == NAMES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_names_samplers_of_the_table_and_of_one_kind(family):
    assert len({SAMPLERS[scheduler].flow for scheduler in FAMILIES[family].schedulers}) == 1


def test_every_sampler_has_a_name_in_a1111():
    assert all(re.fullmatch(r"[A-Z][\w+ ]+", sampler.a1111_name) for sampler in SAMPLERS.values())


def denoiser(latents, time):
    """Stands for a network: smooth, bounded, not linear, and different at every time."""
    return torch.sin(1.7 * latents + 0.003 * float(time)) + 0.3 * latents


def by_diffusers(kind, options, config, steps, noise, *, first=0):
    """The latents of diffusers' sampler; from its step `first` on, `noise` is what it starts with there."""
    sampler = kind.from_config(config, **options)
    sampler.set_timesteps(steps)
    generator = torch.Generator().manual_seed(99)
    begin = first * sampler.order
    if first and hasattr(sampler, "set_begin_index"):
        sampler.set_begin_index(begin)
    x = noise if first else noise * sampler.init_noise_sigma
    for time in sampler.timesteps[begin:]:
        if kind is DPMSolverSDEScheduler:
            sampler.noise_sampler = lambda *_: torch.randn(noise.shape, generator=generator)
        output = denoiser(sampler.scale_model_input(x, time), time)
        given = {"generator": generator} if "generator" in inspect.signature(sampler.step).parameters else {}
        x = sampler.step(output, time, x, **given).prev_sample
    if hasattr(sampler, "sigmas") and not hasattr(sampler, "alpha_t"):
        x = x / math.hypot(1, float(sampler.sigmas[-1]))
    return x


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 50])
@pytest.mark.parametrize("prediction_type", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("scheduler", NAMES)
def test_a_sampler_agrees_with_diffusers(scheduler, configuration, prediction_type, steps):
    config = configured(configuration, prediction_type)
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(steps))
    expected = by_diffusers(*CLASSES[scheduler], config, steps, noise)
    # Noise predictors divide by the signal, which is 0.07 at first: float32 loses two digits there, theirs as ours.
    torch.testing.assert_close(
        by_coefficients(diffusion_schedule(scheduler, config, steps), noise, denoiser), expected, atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("configuration", ["leading", "even"])
@pytest.mark.parametrize("scheduler", NAMES)
def test_a_sampler_that_starts_at_a_later_step_agrees_with_diffusers(scheduler, configuration):
    config = configured(configuration, "v_prediction")
    plan = diffusion_schedule(scheduler, config, 20, first=8)
    picture, noise = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(5))
    kind, options = CLASSES[scheduler]
    sampler = kind.from_config(config, **options)
    sampler.set_timesteps(20)
    begin = 8 * sampler.order
    noisy = sampler.add_noise(picture, noise, sampler.timesteps[begin : begin + 1])
    expected = by_diffusers(kind, options, config, 20, noisy, first=8)
    signal, share = plan.levels[0]
    start = signal * picture + share * noise
    torch.testing.assert_close(by_coefficients(plan, start, denoiser, start=1.0), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("scheduler", [name for name in NAMES if "sde" not in name or "2m" in name])
def test_a_checkpoint_that_starts_from_pure_noise_is_followed(scheduler):
    base = diffusers.DDIMScheduler(
        **NOISE, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = by_diffusers(*CLASSES[scheduler], base.config, 20, noise)
    plan = diffusion_schedule(scheduler, base.config, 20)
    assert plan.coefficients.isfinite().all()
    torch.testing.assert_close(by_coefficients(plan, noise, denoiser), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("scheduler", NAMES)
def test_every_sampler_converges_to_a_perfect_prediction(scheduler):
    config = configured("trailing", "epsilon")
    plan = diffusion_schedule(scheduler, config, 20)
    picture = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = before = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    generator = torch.Generator().manual_seed(3)
    earlier = x
    for _p, _q, a, b, c, d, n in plan.coefficients.double():
        fresh = torch.randn(x.shape, dtype=torch.float64, generator=generator)
        step = a * x + b * picture + c * (before if c else picture) + d * earlier + n * fresh
        x, earlier, before = step, x, picture
    torch.testing.assert_close(x, picture, atol=0.05, rtol=0)


def test_the_second_order_sampler_is_more_accurate_than_the_first_order_one():
    config = configured("even", "v_prediction")
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    exact = by_coefficients(diffusion_schedule("dpmpp_2m", config, 800), noise, denoiser)
    error = {
        name: (by_coefficients(diffusion_schedule(name, config, 25), noise, denoiser) - exact).abs().mean()
        for name in ("euler", "dpmpp_2m")
    }
    assert error["dpmpp_2m"] < error["euler"]


def test_lcm_has_no_more_steps_than_its_models_were_distilled_for():
    with pytest.raises(InvalidSettingError, match="at most 50"):
        diffusion_schedule("lcm", configured("even", "epsilon"), 51)


def test_an_unknown_sampler_is_refused_with_the_known_ones():
    with pytest.raises(UnknownSchedulerError, match="ddim, euler, euler_a, dpmpp_2m,"):
        diffusion_schedule("lms", configured("even", "epsilon"), 20)
