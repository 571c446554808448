import math
import re

import diffusers
import pytest
import torch

from dti.errors import UnknownSchedulerError
from dti.samplers import SAMPLERS, diffusion_schedule
from dti.spec.registry import FAMILIES

NAMES = [name for name, sampler in SAMPLERS.items() if not sampler.flow]
CLASSES = {
    "ddim": (diffusers.DDIMScheduler, {"clip_sample": False}),
    "euler": (diffusers.EulerDiscreteScheduler, {}),
    "dpmpp_2m": (diffusers.DPMSolverMultistepScheduler, {}),
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


def by_diffusers(kind, options, config, steps, noise):
    sampler = kind.from_config(config, **options)
    sampler.set_timesteps(steps)
    x = noise * sampler.init_noise_sigma
    for time in sampler.timesteps:
        output = denoiser(sampler.scale_model_input(x, time), time)
        x = sampler.step(output, time, x).prev_sample
    if hasattr(sampler, "sigmas") and not hasattr(sampler, "alpha_t"):
        x = x / math.hypot(1, float(sampler.sigmas[-1]))
    return x


def by_coefficients(plan, noise):
    x, before = plan.start * noise, torch.zeros_like(noise)
    for time, (p, q, a, b, c) in zip(plan.times, plan.coefficients, strict=True):
        clean = p * x + q * denoiser(x, time)
        x, before = a * x + b * clean + c * before, clean
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
        by_coefficients(diffusion_schedule(scheduler, config, steps), noise), expected, atol=2e-3, rtol=0
    )


@pytest.mark.parametrize("scheduler", NAMES)
def test_a_checkpoint_that_starts_from_pure_noise_is_followed(scheduler):
    base = diffusers.DDIMScheduler(
        **NOISE, prediction_type="v_prediction", rescale_betas_zero_snr=True, timestep_spacing="trailing"
    )
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = by_diffusers(*CLASSES[scheduler], base.config, 20, noise)
    plan = diffusion_schedule(scheduler, base.config, 20)
    assert plan.coefficients.isfinite().all()
    torch.testing.assert_close(by_coefficients(plan, noise), expected, atol=2e-3, rtol=0)


@pytest.mark.parametrize("scheduler", NAMES)
def test_every_sampler_converges_to_a_perfect_prediction(scheduler):
    config = configured("trailing", "epsilon")
    plan = diffusion_schedule(scheduler, config, 20)
    picture = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x = before = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for _p, _q, a, b, c in plan.coefficients.double():
        x, before = a * x + b * picture + c * (before if c else picture), picture
    torch.testing.assert_close(x, picture, atol=0.05, rtol=0)


def test_the_second_order_sampler_is_more_accurate_than_the_first_order_one():
    config = configured("even", "v_prediction")
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    exact = by_coefficients(diffusion_schedule("dpmpp_2m", config, 800), noise)
    error = {
        name: (by_coefficients(diffusion_schedule(name, config, 25), noise) - exact).abs().mean()
        for name in ("euler", "dpmpp_2m")
    }
    assert error["dpmpp_2m"] < error["euler"]


def test_an_unknown_sampler_is_refused_with_the_known_ones():
    with pytest.raises(UnknownSchedulerError, match="ddim, euler, dpmpp_2m"):
        diffusion_schedule("lms", configured("even", "epsilon"), 20)
