"""Choices of the memory planner: the fastest settings that fit, the least ones that exist."""

from dataclasses import replace

import pytest

from dti.planning.needs import Linear, Needs
from dti.planning.plans import plan, smallest, usable

GB = 10**9

NEEDS = Needs(
    encoders=2 * GB,
    denoiser=5 * GB,
    autoencoder=1 * GB,
    encoding=2 * GB,
    update=Linear(3 * GB, 3 * GB),
    checkpointed_update=Linear(GB // 2, GB // 2),
    reading=GB // 10,
    step=Linear(GB // 5, GB // 5),
    decoding=4 * GB,
    tiled_decoding=1 * GB,
)


def training(gigabytes, **settings):
    return plan(NEEDS, int(gigabytes * GB), batch_size=4, **settings).training


def rendering(gigabytes, **settings):
    return plan(NEEDS, int(gigabytes * GB), batch_size=4, **settings).rendering


@pytest.mark.parametrize(
    ("gigabytes", "micro_batch", "checkpointing", "offload"),
    [
        (24, 4, False, False),
        (14.5, 2, False, False),
        (11.5, 1, False, False),
        (10.2, 1, False, True),
        (9.7, 4, True, True),
        (8.1, 2, True, True),
    ],
)
def test_trainings_take_the_fastest_settings_that_fit(gigabytes, micro_batch, checkpointing, offload):
    chosen = training(gigabytes)
    assert (chosen.micro_batch, chosen.checkpointing, chosen.offload) == (micro_batch, checkpointing, offload)
    assert chosen.peak <= gigabytes * GB


@pytest.mark.parametrize(
    ("gigabytes", "pictures", "tiled", "offload"),
    [(24, 16, False, False), (12.5, 8, False, False), (10, 4, True, False), (9.2, 2, True, False), (8, 4, True, True)],
)
def test_rendering_takes_as_many_pictures_as_fit(gigabytes, pictures, tiled, offload):
    chosen = rendering(gigabytes)
    assert (chosen.pictures, chosen.tiled, chosen.offload) == (pictures, tiled, offload)
    assert chosen.peak <= gigabytes * GB


def test_a_model_that_does_not_fit_has_no_plan_but_smallest_settings():
    assert training(6) is rendering(6) is None
    least = smallest(NEEDS, batch_size=4)
    assert least.training.checkpointing
    assert least.offload
    budget = max(least.training.peak, least.rendering.peak)
    fits = plan(NEEDS, budget, batch_size=4)
    assert fits.training is not None
    assert fits.rendering is not None


def test_a_setting_of_the_catalogue_keeps_offloading_on():
    assert training(24, offload=True).offload
    assert rendering(24, offload=True).offload


def test_a_batch_smaller_than_the_parts_is_not_divided_further():
    assert plan(NEEDS, 24 * GB, batch_size=1).training.micro_batch == 1
    assert plan(replace(NEEDS, update=Linear(GB, GB)), 24 * GB, batch_size=3).training.micro_batch == 3


def test_a_part_of_a_gpu_is_left_to_its_context_and_to_fragments():
    assert 0.9 * 23.4 * GB < usable(24 * GB) < 23.4 * GB
