import math

import diffusers
import pytest
import torch

from dti.errors import UnknownSchedulerError
from dti.samplers import SAMPLERS, flow_schedule
from tests.unit.dti.works import by_coefficients

SANA = diffusers.DPMSolverMultistepScheduler(
    prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
).config
SHIFTED = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0).config
BY_SIZE = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True).config
CONFIGURATIONS = {
    "as SANA says": (SANA, {}),
    "one shift": (SHIFTED, {}),
    "none": (diffusers.FlowMatchEulerDiscreteScheduler().config, {}),
    "by size": (BY_SIZE, {"mu": 0.9}),
}


def euler(config, steps, *, mu=None, sigmas=None):
    shift = config.get("flow_shift", 1.0) * config.get("shift", 1.0)
    sampler = diffusers.FlowMatchEulerDiscreteScheduler.from_config(config, shift=shift)
    sampler.set_timesteps(steps, mu=mu, sigmas=sigmas)
    return sampler


def dpmpp_2m(config, steps, *, mu=None):
    shift = math.exp(mu) if mu else config.get("flow_shift", 1.0) * config.get("shift", 1.0)
    sampler = diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift
    )
    sampler.set_timesteps(steps)
    return sampler


NAMES = [name for name, sampler in SAMPLERS.items() if sampler.flow]
REFERENCES = {"flow_euler": euler, "flow_dpmpp_2m": dpmpp_2m}


def test_every_sampler_has_its_reference():
    assert list(REFERENCES) == NAMES


def denoiser(latents, time):
    """Stands for a network: smooth, bounded, not linear, and different at every time."""
    return torch.sin(1.7 * latents + 0.003 * float(time)) + 0.3 * latents


def by_diffusers(sampler, noise):
    x = noise
    for time in sampler.timesteps:
        x = sampler.step(denoiser(x, time), time, x).prev_sample
    return x


def noise_of(seed):
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 50])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("scheduler", NAMES)
def test_a_sampler_agrees_with_diffusers(scheduler, configuration, steps):
    config, arguments = CONFIGURATIONS[configuration]
    expected = by_diffusers(REFERENCES[scheduler](config, steps, **arguments), noise_of(steps))
    plan = flow_schedule(scheduler, config, steps, **arguments)
    torch.testing.assert_close(by_coefficients(plan, noise_of(steps), denoiser), expected, atol=1e-4, rtol=0)


def test_a_pipelines_own_noise_levels_are_followed():
    sigmas = torch.linspace(1, 1 / 8, 8).tolist()
    expected = by_diffusers(euler(BY_SIZE, 8, mu=0.7, sigmas=sigmas), noise_of(0))
    plan = flow_schedule("flow_euler", BY_SIZE, 8, mu=0.7, sigmas=sigmas)
    torch.testing.assert_close(by_coefficients(plan, noise_of(0), denoiser), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("scheduler", NAMES)
def test_every_sampler_converges_to_a_perfect_prediction(scheduler):
    plan = flow_schedule(scheduler, SANA, 20)
    picture, x = noise_of(1).double(), noise_of(2).double()
    for _p, _q, a, b, c, _d, _n in plan.coefficients.double():
        x = a * x + b * picture + c * picture
    torch.testing.assert_close(x, picture, atol=1e-5, rtol=0)


def test_the_second_order_sampler_is_more_accurate_than_the_first_order_one():
    exact = by_coefficients(flow_schedule("flow_dpmpp_2m", SHIFTED, 800), noise_of(3), denoiser)
    error = {
        name: (by_coefficients(flow_schedule(name, SHIFTED, 25), noise_of(3), denoiser) - exact).abs().mean()
        for name in NAMES
    }
    assert error["flow_dpmpp_2m"] < error["flow_euler"]


def test_an_unknown_sampler_is_refused_with_the_known_ones():
    with pytest.raises(UnknownSchedulerError, match="flow_euler, flow_dpmpp_2m"):
        flow_schedule("ddim", SANA, 20)
