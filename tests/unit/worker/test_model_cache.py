"""Eviction of idle models, and the error for a model that does not fit."""

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
def model_cache(tmp_path):
    """A cache with two models in its catalogue, none loaded."""
    entries = [
        f'[{name}]\nfamily = "sd"\nsource = "{stable_diffusion(tmp_path / name)}"\nwidth = 32\nheight = 32\n'
        for name in ("first", "second")
    ]
    (tmp_path / "models.toml").write_text("".join(entries))
    return ModelCache(Catalogue.load(tmp_path / "models.toml"), lambda *_: None, SafetyFilter(Safety()))


@pytest.fixture
def limit_memory(model_cache, monkeypatch):
    """Limits the device's memory to a number of models."""
    original_to = UNet2DConditionModel.to

    def limit(models):
        def to(network, *where):
            if len(model_cache.loaded_models) >= models:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return original_to(network, *where)

        monkeypatch.setattr(UNet2DConditionModel, "to", to)

    return limit


def test_an_idle_model_is_evicted_when_another_would_not_fit(model_cache, limit_memory):
    limit_memory(1)
    model_cache.get("first")
    model_cache.get("second")
    assert model_cache.models == ("second",)


def test_a_model_that_does_not_fit_into_an_empty_device_is_refused(model_cache, limit_memory):
    limit_memory(0)
    with pytest.raises(ModelTooLargeError, match="does not fit"):
        model_cache.get("first")
