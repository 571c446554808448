import pytest
import torch

from dti.families.flow import NoiseLevels, flow_loss
from tests.unit.dti.works import evenly, generators

LATENTS = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))


def loss_of(predict, latents=LATENTS, seeds=(1, 2, 3)):
    return flow_loss(predict, latents, evenly(latents), {}, generators=generators(*seeds), levels=NoiseLevels())


def test_the_loss_of_a_perfect_denoiser_is_zero():
    def predict(noisy, times, _conditioning):
        return (noisy - LATENTS) / (times / 1000).view(-1, 1, 1, 1)

    assert loss_of(predict).max() < 1e-6


def test_a_pictures_error_does_not_affect_the_others():
    def predict(noisy, _times, _conditioning):
        return noisy.tanh()

    alone = [loss_of(predict, LATENTS[i : i + 1], [seed]) for i, seed in enumerate((1, 2, 3))]
    assert torch.equal(loss_of(predict), torch.cat(alone))


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_noise_levels_are_logit_normal_and_shifted(shift):
    drawn = torch.stack([NoiseLevels(shift).draw(generator) for generator in generators(*range(2000))])
    unshifted = drawn / (shift - (shift - 1) * drawn)
    logits = unshifted.logit()
    assert abs(logits.mean()) < 0.1
    assert abs(logits.std() - 1) < 0.1
