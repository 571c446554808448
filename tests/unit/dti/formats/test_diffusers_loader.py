"""Exports rendered by diffusers' pipelines, compared with our rendering of the embedding."""

import io
import zipfile

import diffusers
import numpy as np
import pytest
import safetensors.torch
import torch

from dti.families import load
from dti.formats import write
from dti.pictures import View
from dti.spec.prompts import parse_prompt
from dti.tokens import Placeholder, tokenize
from tests.checkpoints.sdxl import stable_diffusion_xl
from tests.checkpoints.stable_diffusion import stable_diffusion
from tests.unit.dti.works import concept, picture_work, rendered

PROMPT = "a photo of <my-dog> on the beach"

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning:diffusers", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def sd(tmp_path_factory):
    folder = stable_diffusion(tmp_path_factory.mktemp("sd"))
    return load("sd", folder, device="cpu"), folder


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory):
    folder = stable_diffusion_xl(tmp_path_factory.mktemp("sdxl"))
    return load("sdxl", folder, device="cpu"), folder


@pytest.fixture(scope="module")
def legacy_sdxl(tmp_path_factory):
    """Its configurations say that the end token is 2, as those of the published checkpoints do."""
    folder = stable_diffusion_xl(tmp_path_factory.mktemp("legacy"), legacy_eos=True)
    return load("sdxl", folder, device="cpu"), folder


def sd_pipeline(folder, data, ending, tmp_path):
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    # Diffusers goes by the name's ending, and .pti is one that it does not know.
    file = tmp_path / f"concept{ending.replace('.pti', '.safetensors')}"
    file.write_bytes(data)
    pipeline.load_textual_inversion(tmp_path, weight_name=file.name, token="<my-dog>")
    return pipeline


def sdxl_pipeline(folder, tensors):
    """As diffusers' documentation says: once per encoder."""
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    for name, number in (("text_encoder", ""), ("text_encoder_2", "_2")):
        pipeline.load_textual_inversion(
            tensors[name],
            token="<my-dog>",
            text_encoder=getattr(pipeline, f"text_encoder{number}"),
            tokenizer=getattr(pipeline, f"tokenizer{number}"),
        )
    return pipeline


def exported(embedding, tool):
    """The tensors of an export by our names of the encoders, read by nothing of ours."""
    data, _ = write(embedding, tool)
    if tool == "diffusers":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = [safetensors.torch.load(archive.read(name)) for name in archive.namelist()]
        return {name: file["<my-dog>"] for name, file in zip(("text_encoder", "text_encoder_2"), files, strict=True)}
    names = {"comfyui": ("clip_l", "clip_g"), "a1111": ("clip_l", "clip_g")}
    names["replicate"] = ("text_encoders_0", "text_encoders_1")
    tensors = safetensors.torch.load(data)
    return dict(zip(("text_encoder", "text_encoder_2"), (tensors[name] for name in names[tool]), strict=True))


def theirs(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = diffusers.DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    made = pipeline(
        PROMPT,
        negative_prompt="a red cat",
        width=32,
        height=32,
        num_inference_steps=3,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(7),
    )
    return np.asarray(made.images[0], dtype=int)


def ours(family, embedding):
    fields = {"prompt": PROMPT, "negative_prompt": "a red cat", "steps": 3, "guidance_scale": 3.0}
    return rendered(family, picture_work(family, concepts={"my-dog": embedding}, **fields))[0]


def conditioned(family, embedding):
    vectors = {name: rows.vectors for name, rows in embedding.rows.items()}
    placeholder = Placeholder(embedding.class_word, {name: len(rows) for name, rows in vectors.items()})
    tokenized = tokenize(parse_prompt(PROMPT), family.encoders, {"my-dog": placeholder})
    return family.condition([tokenized.splice({"my-dog": vectors})], [View.whole(32, 32)])


@pytest.mark.parametrize("vectors", [1, 3])
@pytest.mark.parametrize("tool", ["diffusers", "a1111", "comfyui", "replicate"])
def test_diffusers_loads_every_export_of_one_encoder_and_renders_our_picture(sd, tmp_path, tool, vectors):
    family, folder = sd
    embedding = concept(family, vectors=vectors)
    picture = theirs(sd_pipeline(folder, *write(embedding, tool), tmp_path))
    assert np.abs(picture - ours(family, embedding)).max() <= 1
    assert np.abs(picture - ours(family, concept(family, seed=2, vectors=vectors))).max() > 1


@pytest.mark.parametrize("vectors", [1, 3])
@pytest.mark.parametrize("tool", ["diffusers", "a1111", "comfyui", "replicate"])
def test_diffusers_loads_every_export_of_two_encoders_and_renders_our_picture(sdxl, tool, vectors):
    family, folder = sdxl
    embedding = concept(family, vectors=vectors)
    picture = theirs(sdxl_pipeline(folder, exported(embedding, tool)))
    assert np.abs(picture - ours(family, embedding)).max() <= 1
    assert np.abs(picture - ours(family, concept(family, seed=2, vectors=vectors))).max() > 1


def test_with_eos_token_id_2_diffusers_pools_at_the_concept_and_we_at_the_end(legacy_sdxl):
    family, folder = legacy_sdxl
    embedding = concept(family)
    pipeline = sdxl_pipeline(folder, exported(embedding, "diffusers"))
    hidden, _, pooled, _ = pipeline.encode_prompt(PROMPT, device="cpu", do_classifier_free_guidance=False)
    states = pipeline.text_encoder_2(pipeline.tokenizer_2(PROMPT, return_tensors="pt").input_ids)
    projected = pipeline.text_encoder_2.text_projection(states.last_hidden_state[0])
    mine = conditioned(family, embedding)

    torch.testing.assert_close(mine["hidden"], hidden, atol=1e-5, rtol=0)
    torch.testing.assert_close(mine["pooled"][0], projected[-1], atol=1e-5, rtol=0)
    index = pipeline.tokenizer_2.tokenize(PROMPT).index("<my-dog>") + 1
    torch.testing.assert_close(pooled[0], projected[index], atol=1e-5, rtol=0)
    assert (pooled - mine["pooled"]).norm() > 0.1 * pooled.norm()


def test_the_documented_setting_makes_diffusers_pool_at_the_end(legacy_sdxl):
    family, folder = legacy_sdxl
    embedding = concept(family, vectors=2)
    pipeline = sdxl_pipeline(folder, exported(embedding, "comfyui"))
    assert np.abs(theirs(pipeline) - ours(family, embedding)).max() > 1
    pipeline.text_encoder_2.text_model.eos_token_id = pipeline.tokenizer_2.eos_token_id
    assert np.abs(theirs(pipeline) - ours(family, embedding)).max() <= 1


def test_a_prompt_without_new_tokens_is_pooled_alike_by_both(legacy_sdxl):
    family, folder = legacy_sdxl
    pipeline = diffusers.StableDiffusionXLPipeline.from_pretrained(folder, add_watermarker=False)
    _, _, pooled, _ = pipeline.encode_prompt("a photo of the dog", device="cpu", do_classifier_free_guidance=False)
    tokenized = tokenize(parse_prompt("a photo of the dog"), family.encoders, {})
    mine = family.condition([tokenized.splice({})], [View.whole(32, 32)])["pooled"]
    torch.testing.assert_close(mine, pooled, atol=1e-5, rtol=0)
