"""The measurement of models at real size: run through on tiny ones, and the sizes counted without making them."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from diffusers import AutoencoderDC, AutoencoderKL, SanaTransformer2DModel, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTextModelWithProjection, Gemma2Model
from transformers.utils import logging

from bench import real_size
from bench.real_checkpoints import SANA, SDXL
from dti.families import load
from service.catalogue.models import preset
from tests.checkpoints.sana import sana
from tests.checkpoints.sdxl import stable_diffusion_xl

logging.disable_progress_bar()


@pytest.mark.parametrize(
    ("size", "millions"),
    [
        (SDXL, {"text_encoder": 123, "text_encoder_2": 695, "unet": 2567, "vae": 84}),
        (SANA, {"text_encoder": 2614, "transformer": 1605, "vae": 312}),
    ],
    ids=["sdxl", "sana"],
)
def test_the_sizes_are_the_published_ones(size, millions):
    with torch.device("meta"):
        networks = {name: make() for name, make in size.networks.items()}
    counted = {name: sum(weight.numel() for weight in network.parameters()) for name, network in networks.items()}
    assert {name: round(count / 1e6) for name, count in counted.items()} == millions


def test_every_figure_is_measured_on_a_tiny_model(tmp_path, monkeypatch):
    monkeypatch.setattr(real_size, "_UPDATES", 2)
    tiny = replace(preset("sdxl"), width=32, height=32, steps=2, training={"resolution": 32, "batch_size": 2})
    figures = list(real_size.measure(tiny, stable_diffusion_xl(tmp_path)))
    assert len(figures) == 9
    assert all(figure.value > 0 for figure in figures if figure.unit == "s")


def test_without_a_gpu_the_benchmark_exits_with_a_message(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="There is no GPU here"):
        real_size.main()


@pytest.mark.parametrize(
    ("size", "family", "build", "kinds"),
    [
        (
            SDXL,
            "sdxl",
            stable_diffusion_xl,
            {
                "text_encoder": CLIPTextModel,
                "text_encoder_2": CLIPTextModelWithProjection,
                "unet": UNet2DConditionModel,
                "vae": AutoencoderKL,
            },
        ),
        (
            SANA,
            "sana",
            sana,
            {"text_encoder": Gemma2Model, "transformer": SanaTransformer2DModel, "vae": AutoencoderDC},
        ),
    ],
    ids=["sdxl", "sana"],
)
def test_a_written_checkpoint_is_loaded_by_its_family(size, family, build, kinds, tmp_path):
    """With tiny networks, and tokenizers, scheduler and index as at real size."""
    tiny = build(tmp_path / "tiny")
    networks = {name: partial(kind.from_pretrained, tiny / name) for name, kind in kinds.items()}
    written = replace(size, networks=networks).write(tmp_path / "written", torch.device("cpu"))
    loaded = load(family, written, device="cpu")
    assert all(encoder.word_ids("dog") for encoder in loaded.encoders.values())
    assert loaded.schedule(loaded.schedulers[0], 4, width=32, height=32).times.shape == (4,)
