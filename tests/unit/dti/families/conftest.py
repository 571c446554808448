"""Checkpoints of families with a UNet, and copies to damage."""

import shutil
from functools import partial

import pytest

from dti.families import load
from tests.checkpoints import CHECKPOINTS, Checkpoint
from tests.checkpoints.sdxl import stable_diffusion_xl
from tests.checkpoints.stable_diffusion import stable_diffusion

UNETS = {name: checkpoint for name, checkpoint in CHECKPOINTS.items() if checkpoint.family in {"sd", "sdxl"}} | {
    "sdxl-legacy": Checkpoint("sdxl", partial(stable_diffusion_xl, legacy_eos=True, silence_is_zero=False))
}


@pytest.fixture(scope="session", params=UNETS)
def unet_checkpoint(request, tmp_path_factory):
    """A checkpoint of a family with a UNet, and its folder."""
    return UNETS[request.param], UNETS[request.param].build(tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="session")
def unet_family(unet_checkpoint):
    checkpoint, folder = unet_checkpoint
    return load(checkpoint.family, folder, device="cpu")


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    return stable_diffusion(tmp_path_factory.mktemp("plain"))


@pytest.fixture
def broken(plain, tmp_path):
    """A copy to damage."""
    return shutil.copytree(plain, tmp_path / "broken")


@pytest.fixture(scope="session")
def xl(tmp_path_factory):
    return stable_diffusion_xl(tmp_path_factory.mktemp("xl"))
