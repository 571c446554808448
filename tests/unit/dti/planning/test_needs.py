"""Needs of models, computed without weights: exact for weights, the acceptance's peaks for trainings."""

import pytest
import torch

from dti.planning import skeletons
from dti.planning.layouts import PUBLISHED, Layout
from dti.planning.live_memory import live_memory
from dti.planning.needs import measure, update
from dti.planning.plans import plan
from service.catalogue.models import preset
from service.catalogue.presets import PRESETS
from tests.checkpoints import CHECKPOINTS

GB = 10**9


def test_every_preset_has_a_published_layout():
    for name in PRESETS:
        assert PUBLISHED[preset(name).source].family == preset(name).family


def test_a_folder_is_planned_with_its_exact_weights_and_checkpointing_keeps_less(checkpoint_name, checkpoint, family):
    layout = Layout.read(CHECKPOINTS[checkpoint_name].family, checkpoint)
    skeleton = skeletons.build(layout, torch.float32)
    sizes = [sum(weight.nbytes for weight in network.parameters()) for network in skeleton.networks]
    assert sizes == [sum(weight.nbytes for weight in network.parameters()) for network in family.networks]
    peaks = []
    for checkpointing in (False, True):
        skeleton.set_checkpointing(enabled=checkpointing)
        with live_memory(skeleton.networks) as memory:
            update(skeleton, 64, 2)
        peaks.append(memory.peak)
    assert peaks[1] < peaks[0]


@pytest.mark.parametrize(
    ("name", "gigabytes"),
    [("sd15", 2.30), ("sdxl", 7.10), ("sana-1.6b", 9.69), ("flux2-klein", 16.1), ("zimage", 20.7)],
)
def test_published_layouts_have_the_published_numbers_of_parameters(name, gigabytes):
    family = skeletons.build(PUBLISHED[preset(name).source], torch.bfloat16)
    sizes = [sum(weight.nbytes for weight in network.parameters()) for network in family.networks]
    assert sum(sizes) / GB == pytest.approx(gigabytes, rel=0.01)


def test_sd15_trains_at_its_preset_in_four_gigabytes():
    needs = measure(PUBLISHED[preset("sd15").source], dtype=torch.bfloat16, resolution=512, width=512, height=512)
    assert plan(needs, 4 * GB, batch_size=4).training is not None


def test_kept_activations_are_counted_until_they_are_freed():
    layer = torch.nn.Linear(1000, 1000, bias=False, device="meta").requires_grad_(requires_grad=False)
    with live_memory([layer]) as memory:
        x = torch.empty(10, 1000, device="meta", requires_grad=True)
        y = layer(x).relu().exp()
        kept = memory.live
        del y
        assert (kept, memory.live) == (120_000, 40_000)
        assert memory.peak == 120_000
        layer(x)
    assert memory.peak == 120_000


def test_a_planned_update_is_the_one_that_runs(plain_family):
    """The function that is planned computes on real weights, too."""
    update(plain_family, 32, 2)
