"""Models on the device: what is put out so that another fits, and what is said where none fits."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from transformers.utils import logging

from dti.errors import ModelTooLargeError
from service.catalogue.models import Catalogue
from service.settings import Safety
from tests.checkpoints.stable_diffusion import stable_diffusion
from worker.model_cache import ModelCache
from worker.outputs.safety import SafetyFilter

logging.disable_progress_bar()


@pytest.fixture
def desk(tmp_path):
    """Two models that there are, neither of them loaded."""
    entries = [
        f'[{name}]\nfamily = "sd"\nsource = "{stable_diffusion(tmp_path / name)}"\nwidth = 32\nheight = 32\n'
        for name in ("one", "other")
    ]
    (tmp_path / "models.toml").write_text("".join(entries))
    return ModelCache(Catalogue.load(tmp_path / "models.toml"), lambda *_: None, SafetyFilter(Safety()))


@pytest.fixture
def room(desk, monkeypatch):
    """Let the device have room for so many models only."""
    put = UNet2DConditionModel.to

    def limit(models):
        def to(network, *where):
            if len(desk.stations) >= models:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return put(network, *where)

        monkeypatch.setattr(UNet2DConditionModel, "to", to)

    return limit


def test_an_idle_model_is_put_out_where_another_would_not_fit(desk, room):
    room(1)
    desk.station("one")
    desk.station("other")
    assert desk.models == ("other",)


def test_a_model_that_does_not_fit_alone_is_refused(desk, room):
    room(0)
    with pytest.raises(ModelTooLargeError, match="does not fit"):
        desk.station("one")
