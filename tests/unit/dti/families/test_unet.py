"""Families with a UNet (SD 1.x, SD 2.x, SDXL): agreement with their diffusers pipelines."""

import diffusers
import numpy as np
import pytest
import torch
from tokenizers import AddedToken

from dti.spec import registry
from tests.unit.dti.test_samplers import CLASSES
from tests.unit.dti.works import concept, conditioning, evenly, generators, picture_work, random_pixels, rendered

PIPELINES = {"sd": diffusers.StableDiffusionPipeline, "sdxl": diffusers.StableDiffusionXLPipeline}

SAMPLERS = {name: reference for name, reference in CLASSES.items() if not name.startswith("dpmpp_sde")}
"""DPM++ SDE draws its noise from a tree in diffusers; `test_samplers` compares it with the same noise."""


@pytest.fixture(scope="module")
def pipeline(unet_checkpoint):
    checkpoint, folder = unet_checkpoint
    options = {"safety_checker": None} if checkpoint.family == "sd" else {}
    pipeline = PIPELINES[checkpoint.family].from_pretrained(folder, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def made_by(pipeline, scheduler, *, guidance_scale=3.0, **fields):
    kind, options = SAMPLERS[scheduler]
    # Karras spacing would stay in the configuration for the next sampler.
    options = {"use_karras_sigmas": False, **options}
    pipeline.scheduler = kind.from_config(pipeline.scheduler.config, **options)
    picture = pipeline(
        **fields,
        guidance_scale=guidance_scale,
        width=40,
        height=32,
        num_inference_steps=6,
        generator=torch.Generator().manual_seed(7),
    ).images[0]
    return np.asarray(picture, dtype=int)


def difference(family, expected, scheduler, **fields):
    """Of our picture from that one, in levels of 255."""
    given = {"concepts": {}, "width": 40, "steps": 6, "guidance_scale": 3.0, "scheduler": scheduler}
    (picture,) = rendered(family, picture_work(family, **given | fields))
    return np.abs(picture - expected).max()


@pytest.mark.parametrize("scheduler", SAMPLERS)
@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers", "ignore::DeprecationWarning")
def test_a_picture_equals_that_of_diffusers_pipeline(unet_family, pipeline, scheduler):
    fields = {"prompt": "a photo of the dog", "negative_prompt": "a red cat"}
    assert difference(unet_family, made_by(pipeline, scheduler, **fields), scheduler, **fields) <= 1


def test_every_sampler_of_these_families_is_compared(unet_family):
    assert set(registry.FAMILIES[unet_family.name].schedulers) == set(CLASSES)


@pytest.mark.parametrize("guidance_scale", [0.0, 0.5, 1.0])
@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers", "ignore::DeprecationWarning")
def test_guidance_of_one_and_below_is_off_as_in_diffusers(unet_family, pipeline, guidance_scale):
    fields = {"prompt": "a photo of the dog", "negative_prompt": "a red cat", "guidance_scale": guidance_scale}
    assert difference(unet_family, made_by(pipeline, "ddim", **fields), "ddim", **fields) <= 1


@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers", "ignore::DeprecationWarning")
def test_rescaled_guidance_equals_that_of_diffusers(unet_family, pipeline):
    fields = {"prompt": "a photo of the dog", "guidance_scale": 9.0, "guidance_rescale": 0.7}
    assert difference(unet_family, made_by(pipeline, "ddim", **fields), "ddim", **fields) <= 1
    assert difference(unet_family, made_by(pipeline, "ddim", **fields), "ddim", **fields | {"guidance_rescale": 0}) > 1


@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers", "ignore::DeprecationWarning")
def test_an_empty_negative_prompt_means_the_same_as_in_diffusers(unet_family, pipeline):
    prompt = "a photo of the dog"
    assert difference(unet_family, made_by(pipeline, "ddim", prompt=prompt), "ddim", prompt=prompt) <= 1


@pytest.mark.filterwarnings("ignore::FutureWarning:diffusers", "ignore::DeprecationWarning")
def test_a_picture_of_a_concept_equals_that_of_diffusers_with_resized_tables(unet_family, unet_checkpoint):
    checkpoint, folder = unet_checkpoint
    options = {"safety_checker": None} if checkpoint.family == "sd" else {}
    pipeline = PIPELINES[checkpoint.family].from_pretrained(folder, **options)
    pipeline.set_progress_bar_config(disable=True)
    thing = concept(unet_family, vectors=2)
    for name, rows in thing.rows.items():
        enter(getattr(pipeline, name.replace("text_encoder", "tokenizer")), getattr(pipeline, name), rows.vectors)
    expected = made_by(pipeline, "dpmpp_2m", prompt="a photo of <0><1> on the beach", negative_prompt="a red cat")
    fields = {"prompt": "a photo of <my-dog> on the beach", "negative_prompt": "a red cat"}
    assert difference(unet_family, expected, "dpmpp_2m", **fields, concepts={"my-dog": thing}) <= 1


@torch.no_grad()
def enter(tokenizer, encoder, rows):
    """Write rows behind a table, as tokens <0>, <1> …; pool at the end token whatever the configuration calls it."""
    tokenizer.add_tokens([AddedToken(f"<{i}>", normalized=False) for i in range(len(rows))])
    table = encoder.resize_token_embeddings(len(tokenizer), mean_resizing=False).weight
    table[-len(rows) :] = rows
    getattr(encoder, "text_model", encoder).eos_token_id = tokenizer.eos_token_id


def test_the_loss_is_the_error_of_what_the_checkpoint_predicts(unet_family, unet_checkpoint, monkeypatch):
    latents = unet_family.encode(random_pixels(2)).mean
    seen = {}

    def predict(noisy, times, _conditioning):
        seen.update(noisy=noisy, times=times)
        return torch.zeros_like(noisy)

    monkeypatch.setattr(unet_family, "predict", predict)
    loss = unet_family.loss(latents, evenly(latents), {}, generators(5, 6))
    reference = diffusers.DDPMScheduler.from_pretrained(unet_checkpoint[1] / "scheduler")
    signal = reference.alphas_cumprod[seen["times"]].sqrt().view(-1, 1, 1, 1)
    unit = (seen["noisy"] - signal * latents) / (1 - signal**2).sqrt()
    torch.testing.assert_close(reference.add_noise(latents, unit, seen["times"]), seen["noisy"], atol=1e-5, rtol=0)
    predicts_v = reference.config.prediction_type == "v_prediction"
    target = reference.get_velocity(latents, unit, seen["times"]) if predicts_v else unit
    torch.testing.assert_close(loss, target.square().mean(dim=(1, 2, 3)), atol=1e-4, rtol=1e-4)


def test_encoding_agrees_with_the_autoencoder_and_leaves_no_graph(unet_family, pipeline):
    pixels = random_pixels(6)
    code = pipeline.vae.encode(pixels)
    points = code.latents if hasattr(code, "latents") else code.latent_dist.mean
    mean = unet_family.encode(pixels).mean
    torch.testing.assert_close(mean, points * pipeline.vae.config.scaling_factor, atol=1e-5, rtol=1e-5)
    assert not mean.requires_grad
    assert mean.shape[1:] == unet_family.latent_shape(32, 32)


def test_a_class_words_output_is_encoded_between_begin_and_end(unet_family, pipeline):
    for name, encoder in unet_family.encoders.items():
        ids = encoder.word_ids("stuffed animal")
        tokenizer = getattr(pipeline, name.replace("text_encoder", "tokenizer"))
        fields = tokenizer("stuffed animal", padding="max_length", return_tensors="pt").input_ids
        with torch.no_grad():
            hidden = getattr(pipeline, name)(fields).last_hidden_state
        torch.testing.assert_close(encoder.output(ids), hidden[0, 1 : 1 + len(ids)], atol=1e-5, rtol=1e-5)


def test_conditioning_is_batch_first_and_of_equal_length(unet_family):
    read = conditioning(unet_family, "a cat", "a photo of the dog on the beach", "")
    shapes = {name: tensor.shape for name, tensor in read.items()}
    assert all(shape[0] == 3 for shape in shapes.values())
    assert shapes["hidden"][1] == unet_family.encoders["text_encoder"].frame.limit
