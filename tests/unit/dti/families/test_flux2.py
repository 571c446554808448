"""FLUX.2 klein: agreement with its diffusers pipeline."""

import json
import shutil

import diffusers
import numpy as np
import pytest
import torch

from dti.errors import ModelUnavailableError
from dti.families import load
from dti.spec import registry
from tests.checkpoints.flux2 import flux2
from tests.checkpoints.qwen import LAYERS
from tests.unit.dti.works import concept, conditioning, picture_work, random_pixels, rendered

SAMPLERS = {
    "flow_euler": lambda: diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    "flow_dpmpp_2m": lambda: diffusers.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        use_dynamic_shifting=True,
        time_shift_type="exponential",
    ),
}
DEPTHS = (LAYERS // 4, LAYERS // 2, LAYERS * 3 // 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return flux2(tmp_path_factory.mktemp("flux2"))


@pytest.fixture(scope="module")
def family(folder):
    return load("flux2", folder, device="cpu")


@pytest.fixture
def pipeline(folder):
    return pipeline_of(folder)


def pipeline_of(folder):
    pipeline = diffusers.Flux2KleinPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def made_by(pipeline, scheduler="flow_euler", **fields):
    pipeline.scheduler = SAMPLERS[scheduler]()
    given = {"width": 64, "height": 32, "num_inference_steps": 5, "guidance_scale": 3.0}
    generator = torch.Generator().manual_seed(7)
    picture = pipeline(**given | fields, generator=generator, text_encoder_out_layers=DEPTHS).images[0]
    return np.asarray(picture, dtype=int)


def difference(family, expected, **fields):
    """Of our picture from that one, in levels of 255."""
    given = {"concepts": {}, "width": 64, "steps": 5, "guidance_scale": 3.0, "scheduler": "flow_euler"}
    (picture,) = rendered(family, picture_work(family, **given | fields))
    return np.abs(picture - expected).max()


def test_every_sampler_of_the_family_is_compared():
    assert set(registry.FAMILIES["flux2"].schedulers) == set(SAMPLERS)


@pytest.mark.parametrize("scheduler", SAMPLERS)
@pytest.mark.parametrize("prompt", ["A photo of the dog", ""])
def test_a_picture_equals_that_of_diffusers_pipeline(family, pipeline, scheduler, prompt):
    expected = made_by(pipeline, scheduler, prompt=prompt)
    assert np.abs(expected - made_by(pipeline, scheduler, prompt="a red cat")).max() > 1
    assert difference(family, expected, prompt=prompt, scheduler=scheduler) <= 1


def test_a_large_picture_with_many_steps_is_shifted_as_by_the_pipeline(family):
    for side, steps in ((1024, 50), (2048, 4)):
        tokens = (side // family.size_multiple_px) ** 2
        sampler = SAMPLERS["flow_euler"]()
        mu = diffusers.pipelines.flux2.pipeline_flux2_klein.compute_empirical_mu(tokens, steps)
        sampler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=mu)
        times = family.schedule("flow_euler", steps, width=side, height=side).times
        torch.testing.assert_close(times, sampler.timesteps)


@pytest.mark.parametrize(("scale", "counts"), [(0.5, 1.0), (1.0, 1.0), (3.0, 3.0)])
def test_a_guidance_scale_below_1_disables_guidance_as_in_the_pipeline(family, pipeline, scale, counts):
    expected = made_by(pipeline, prompt="a photo of the dog", guidance_scale=scale)
    assert difference(family, expected, prompt="a photo of the dog", guidance_scale=scale) <= 1
    assert family.guidance(scale) == counts


def test_a_distilled_checkpoint_uses_no_guidance(tmp_path):
    folder = flux2(tmp_path, distilled=True)
    family = load("flux2", folder, device="cpu")
    expected = made_by(pipeline_of(folder), prompt="a photo of the dog", guidance_scale=3.0)
    assert difference(family, expected, prompt="a photo of the dog", guidance_scale=3.0) <= 1
    assert family.guidance(3.0) == 1
    assert not family.card()["takes_guidance"]


def test_a_picture_of_a_concept_equals_that_of_diffusers_with_a_resized_table(family, pipeline):
    thing = concept(family, vectors=2)
    rows, table = thing.rows["text_encoder"].vectors, pipeline.text_encoder.resize_token_embeddings
    pipeline.tokenizer.add_tokens(["qq0", "qq1"])
    table(len(pipeline.tokenizer), mean_resizing=False)
    with torch.no_grad():
        added = pipeline.tokenizer.convert_tokens_to_ids(["qq0", "qq1"])
        pipeline.text_encoder.get_input_embeddings().weight[added] = rows
    # An added token keeps the space before it apart; the learned rows have it in them.
    expected = made_by(pipeline, prompt="a photo ofqq0qq1 on the beach")
    plain = made_by(pipeline, prompt="a photo of on the beach")
    assert np.abs(expected - plain).max() > 1
    fields = {"prompt": "a photo of <my-dog> on the beach", "concepts": {"my-dog": thing}}
    assert difference(family, expected, **fields) <= 1


def test_prompts_are_encoded_as_by_the_pipeline_padding_included(family, pipeline):
    prompts = ["a photo of the dog", "a red cat on the beach"]
    hidden, places = pipeline.encode_prompt(prompts, text_encoder_out_layers=DEPTHS)
    read = conditioning(family, *prompts)["hidden"]
    assert read.shape[1] == places.shape[1] == 512
    torch.testing.assert_close(read, hidden, atol=1e-4, rtol=1e-4)


def test_latents_are_patches_normalised_as_by_the_pipeline(family, pipeline):
    pixels = random_pixels(3)
    distribution = family.encode(pixels)
    expected = pipeline._encode_vae_image(pixels, generator=None)
    torch.testing.assert_close(distribution.mean, expected, atol=1e-5, rtol=1e-5)
    assert distribution.mean.shape == distribution.std.shape == (3, *family.latent_shape(32, 32))


def test_the_latents_standard_deviation_is_that_of_the_scaled_codes(family, pipeline):
    pixels = random_pixels(1)
    codes, distribution = pipeline.vae.encode(pixels).latent_dist, family.encode(pixels)
    restored = [
        pipeline._unpatchify_latents(latents * family._autoencoder._std + family._autoencoder._mean)
        for latents in (distribution.mean, distribution.mean + distribution.std)
    ]
    torch.testing.assert_close(restored[0], codes.mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(restored[1] - restored[0], codes.std, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        ("text_encoder/config.json", {"model_type": "mistral3"}, "text encoder is 'mistral3'"),
        ("text_encoder/config.json", {"hidden_size": 8}, "width that the denoiser reads"),
        ("transformer/config.json", {"_class_name": "FluxTransformer2DModel"}, "denoiser"),
        ("transformer/config.json", {"guidance_embeds": True}, "guidance scale"),
        ("transformer/config.json", {"in_channels": 9}, "input in channels"),
        ("transformer/config.json", {"out_channels": 8}, "output in channels"),
        ("vae/config.json", {"_class_name": "AutoencoderKL"}, "autoencoder is 'AutoencoderKL'"),
        ("vae/config.json", {"patch_size": [1, 1]}, "latents' patches"),
        ("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"}, "scheduler is 'DDIMScheduler'"),
    ],
)
def test_another_layout_is_refused_with_the_differences(folder, tmp_path, file, changes, reason):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / file).write_text(json.dumps(json.loads((broken / file).read_text()) | changes))
    with pytest.raises(ModelUnavailableError, match=reason):
        load("flux2", broken, device="cpu")
