"""SANA: agreement with its diffusers pipeline."""

import json
import shutil

import diffusers
import numpy as np
import pytest
import torch
from transformers import GemmaTokenizer

from dti.errors import ModelUnavailableError
from dti.families import load
from dti.families.sana import INSTRUCTION
from dti.spec import registry
from dti.spec.prompts import parse_prompt
from dti.tokens import Placeholder, tokenize
from tests.checkpoints.sana import sana
from tests.unit.dti.works import concept, conditioning, generators, picture_work, random_pixels, rendered

SAMPLERS = {
    "flow_dpmpp_2m": lambda: diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    ),
    "flow_euler": lambda: diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
}


@pytest.fixture(scope="module", params=["dpm", "euler"])
def folder(request, tmp_path_factory):
    return sana(tmp_path_factory.mktemp("sana"), scheduler=request.param)


@pytest.fixture(scope="module")
def family(folder):
    return load("sana", folder, device="cpu")


@pytest.fixture
def pipeline(folder):
    pipeline = diffusers.SanaPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture
def tokenizer(folder):
    return GemmaTokenizer.from_pretrained(folder / "tokenizer", padding_side="right")


def made_by(pipeline, scheduler, **fields):
    pipeline.scheduler = SAMPLERS[scheduler]()
    picture = pipeline(
        **fields,
        width=64,
        height=32,
        num_inference_steps=6,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(7),
        use_resolution_binning=False,
    ).images[0]
    return np.asarray(picture, dtype=int)


def difference(family, expected, scheduler, **fields):
    """Of our picture from that one, in levels of 255."""
    given = {"concepts": {}, "width": 64, "steps": 6, "guidance_scale": 3.0, "scheduler": scheduler}
    (picture,) = rendered(family, picture_work(family, **given | fields))
    return np.abs(picture - expected).max()


def test_every_sampler_of_the_family_is_compared():
    assert set(registry.FAMILIES["sana"].schedulers) == set(SAMPLERS)


@pytest.mark.parametrize("scheduler", SAMPLERS)
@pytest.mark.parametrize("prompt", ["A photo of the Dog ", "", "red"])
def test_a_picture_equals_that_of_diffusers_pipeline(family, pipeline, scheduler, prompt):
    fields = {"prompt": prompt, "negative_prompt": "a red cat"}
    assert difference(family, made_by(pipeline, scheduler, **fields), scheduler, **fields) <= 1


def test_an_empty_negative_prompt_means_the_same_as_in_diffusers(family, pipeline):
    expected = made_by(pipeline, "flow_dpmpp_2m", prompt="a photo of the dog")
    assert difference(family, expected, "flow_dpmpp_2m", prompt="a photo of the dog") <= 1


def test_a_picture_of_a_concept_equals_that_of_diffusers_with_a_resized_table(family, pipeline):
    thing = concept(family, vectors=2)
    rows, table = thing.rows["text_encoder"].vectors, pipeline.text_encoder.resize_token_embeddings
    known = len(pipeline.tokenizer)
    pipeline.tokenizer.add_tokens(["qq0", "qq1"])
    table(known + 2, mean_resizing=False)
    with torch.no_grad():
        pipeline.text_encoder.get_input_embeddings().weight[known:] = rows
    fields = {"prompt": "a photo of <my-dog> on the beach", "negative_prompt": "a red cat"}
    # An added token keeps the space before it apart; the learned rows have it in them.
    prompt = {"prompt": "a photo ofqq0qq1 on the beach"}
    expected = made_by(pipeline, "flow_dpmpp_2m", **fields | prompt)
    plain = made_by(pipeline, "flow_dpmpp_2m", **fields | {"prompt": "a photo of on the beach"})
    assert np.abs(expected - plain).max() > 1
    assert difference(family, expected, "flow_dpmpp_2m", **fields, concepts={"my-dog": thing}) <= 1


def test_a_concept_leaves_the_rest_of_the_sentence_tokenized_as_by_the_pipeline(family, tokenizer):
    placeholder = Placeholder("stuffed animal", {"text_encoder": 2})
    for prompt in ("a photo of {} on the beach", "{}", "{}, in the style of {}", "a red {}."):
        tokenized = tokenize(parse_prompt(prompt.replace("{}", "<my-dog>")), family.encoders, {"my-dog": placeholder})
        line = tokenized.inputs["text_encoder"]
        text = INSTRUCTION + prompt.replace("{}", "stuffed animal")
        assert list(line.ids) == tokenizer(text, padding="max_length", max_length=len(line.ids)).input_ids


def test_a_negative_prompt_has_no_instruction(family, tokenizer):
    line = tokenize(parse_prompt("a Red cat"), family.encoders, {}, negative=True).inputs["text_encoder"]
    assert list(line.ids) == tokenizer("a red cat", padding="max_length", max_length=300).input_ids


def test_prompts_are_encoded_as_by_the_pipeline(family, pipeline):
    prompts = ["a photo of the dog", "a red cat on the beach"]
    hidden, mask, _, _ = pipeline.encode_prompt(
        prompts, do_classifier_free_guidance=False, complex_human_instruction=INSTRUCTION.split("\n")
    )
    read = conditioning(family, *prompts)
    assert torch.equal(read["mask"], mask.bool())
    torch.testing.assert_close(read["hidden"][read["mask"]], hidden[read["mask"]], atol=1e-5, rtol=1e-5)


def test_latents_are_scaled_by_the_autoencoders_configuration(family):
    pixels = random_pixels(3)
    points = family._autoencoder.network.encode(pixels).latent
    mean = family.encode(pixels).mean
    torch.testing.assert_close(mean, points * 0.41407, atol=1e-5, rtol=1e-5)
    assert mean.shape[1:] == family.latent_shape(32, 32)


def test_the_loss_is_flow_matching_at_shifted_times(family, monkeypatch):
    latents = torch.randn(64, *family.latent_shape(32, 32), generator=torch.Generator().manual_seed(0))
    seen = {}

    def predict(noisy, times, _conditioning):
        seen.update(noisy=noisy, share=times / 1000)
        return torch.zeros_like(noisy)

    monkeypatch.setattr(family, "predict", predict)
    loss = family.loss(latents, torch.ones_like(latents[:, :1]), {}, generators(*range(64)))
    share = seen["share"].view(-1, 1, 1, 1)
    noise = (seen["noisy"] - (1 - share) * latents) / share
    torch.testing.assert_close(loss, (noise - latents).square().mean(dim=(1, 2, 3)), atol=1e-3, rtol=1e-3)
    # A logit-normal level has its median at 1/2, which a shift of 3 brings to 3/4.
    assert 0.68 < seen["share"].median() < 0.82
    assert ((seen["share"] > 0) & (seen["share"] < 1)).all()


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        ("text_encoder/config.json", {"model_type": "qwen3"}, "text encoder is 'qwen3'"),
        ("text_encoder/config.json", {"hidden_size": 8}, "width that the denoiser reads"),
        ("transformer/config.json", {"_class_name": "UNet2DConditionModel"}, "denoiser"),
        ("transformer/config.json", {"guidance_embeds": True}, "guidance scale"),
        ("transformer/config.json", {"in_channels": 9}, "input in channels"),
        ("transformer/config.json", {"out_channels": 8}, "output in channels"),
        ("vae/config.json", {"_class_name": "AutoencoderKL"}, "autoencoder is 'AutoencoderKL'"),
        ("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"}, "needs flow matching"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": False},
            "use_flow_sigmas",
        ),
    ],
)
def test_another_layout_is_refused_with_the_differences(folder, tmp_path, file, changes, reason):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / file).write_text(json.dumps(json.loads((broken / file).read_text()) | changes))
    with pytest.raises(ModelUnavailableError, match=reason):
        load("sana", broken, device="cpu")
