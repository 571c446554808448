"""Families with a Qwen 3 encoder: chat template, training loss and shift."""

import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.z_image.pipeline_z_image import calculate_shift
from transformers import Qwen2Tokenizer

from dti.families import load
from dti.samplers import size_shift
from dti.spec.prompts import parse_prompt
from dti.spec.registry import FAMILIES
from dti.tokens import Placeholder, tokenize
from tests.checkpoints import CHECKPOINTS
from tests.unit.dti.works import generators, picture_work, random_pixels, rendered

THINKING = {"flux2": False, "zimage": True}


@pytest.fixture(scope="module", params=THINKING)
def folder(request, tmp_path_factory):
    return CHECKPOINTS[request.param].build(tmp_path_factory.mktemp(request.param) / request.param)


@pytest.fixture(scope="module")
def family(folder):
    return load(folder.name, folder, device="cpu")


def test_a_concept_in_a_chat_leaves_the_rest_tokenized_as_by_the_pipeline(folder, family):
    tokenizer = Qwen2Tokenizer.from_pretrained(folder / "tokenizer")
    placeholder = Placeholder("stuffed animal", {"text_encoder": 2})
    for prompt in ("a photo of {} on the beach", "a red {}.", ""):
        tokenized = tokenize(parse_prompt(prompt.replace("{}", "<my-dog>")), family.encoders, {"my-dog": placeholder})
        message = [{"role": "user", "content": prompt.replace("{}", "stuffed animal")}]
        text = tokenizer.apply_chat_template(
            message, tokenize=False, add_generation_prompt=True, enable_thinking=THINKING[folder.name]
        )
        ids = tokenizer(text, padding="max_length", max_length=512).input_ids
        assert list(tokenized.inputs["text_encoder"].ids) == ids


def test_a_picture_is_the_same_with_offloading(folder, family):
    beside = FAMILIES[folder.name].load().load(folder, device=torch.device("cpu"), offload=True)
    (one,), (other,) = rendered(family, picture_work(family)), rendered(beside, picture_work(beside))
    assert (one == other).all()
    pixels = random_pixels(2)
    assert torch.equal(family.encode(pixels).mean, beside.encode(pixels).mean)


@pytest.mark.parametrize("side", [256, 1024])
def test_the_loss_is_flow_matching_at_times_shifted_by_the_pictures_size(family, monkeypatch, side):
    shape = family.latent_shape(side, side)
    latents = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0)).expand(64, *shape)
    seen = {}

    def predict(noisy, times, _conditioning):
        seen.update(noisy=noisy, share=times / 1000)
        return torch.zeros_like(noisy)

    monkeypatch.setattr(family, "predict", predict)
    loss = family.loss(latents, torch.ones_like(latents[:, :1]), {}, generators(*range(64)))
    share = seen["share"].view(-1, 1, 1, 1)
    noise = (seen["noisy"] - (1 - share) * latents) / share
    torch.testing.assert_close(loss, (noise - latents).square().mean(dim=(1, 2, 3)), atol=1e-3, rtol=1e-3)
    tokens = (side // family.size_multiple_px) ** 2
    expected = 1 / (1 + math.exp(-calculate_shift(tokens)))
    assert seen["share"].median() == pytest.approx(expected, abs=0.06)
    assert ((seen["share"] > 0) & (seen["share"] <= 1)).all()


@pytest.mark.parametrize("tokens", [16, 256, 4096, 9216])
def test_the_shift_by_size_is_the_pipelines_with_the_schedulers_configuration(tokens):
    config = FlowMatchEulerDiscreteScheduler(base_shift=0.4, max_shift=1.3, base_image_seq_len=200).config
    assert size_shift(config, tokens) == pytest.approx(calculate_shift(tokens, 200, 4096, 0.4, 1.3))
