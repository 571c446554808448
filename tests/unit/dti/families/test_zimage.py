"""Z-Image: agreement with its diffusers pipeline."""

import json
import shutil

import diffusers
import numpy as np
import pytest
import torch

from dti.errors import ModelUnavailableError
from dti.families import load
from dti.spec import registry
from tests.checkpoints.zimage import zimage
from tests.unit.dti.works import concept, conditioning, picture_work, random_pixels, rendered


class Multistep(diffusers.DPMSolverMultistepScheduler):
    """The pipeline gives its noise levels to every sampler; this one has its own."""

    def set_timesteps(self, device, sigmas, mu):
        super().set_timesteps(len(sigmas), device, mu=mu if self.config.use_dynamic_shifting else None)


def multistep(config):
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": config.shift}
    dynamic = {"use_dynamic_shifting": config.use_dynamic_shifting, "time_shift_type": "exponential"}
    shift = {name: config[name] for name in ("base_shift", "max_shift", "base_image_seq_len", "max_image_seq_len")}
    sampler = Multistep(**flow, **dynamic)
    sampler.register_to_config(**shift)
    return sampler


SAMPLERS = {"flow_euler": diffusers.FlowMatchEulerDiscreteScheduler.from_config, "flow_dpmpp_2m": multistep}


@pytest.fixture(scope="module", params=["fixed", "dynamic"])
def folder(request, tmp_path_factory):
    return zimage(tmp_path_factory.mktemp("zimage"), dynamic=request.param == "dynamic")


@pytest.fixture(scope="module")
def family(folder):
    return load("zimage", folder, device="cpu")


@pytest.fixture
def pipeline(folder):
    pipeline = diffusers.ZImagePipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def made_by(pipeline, scheduler="flow_euler", **fields):
    pipeline.scheduler = SAMPLERS[scheduler](pipeline.scheduler.config)
    given = {"width": 64, "height": 32, "num_inference_steps": 5, "guidance_scale": 3.0}
    picture = pipeline(**given | fields, generator=torch.Generator().manual_seed(7)).images[0]
    return np.asarray(picture, dtype=int)


def difference(family, expected, **fields):
    """Of our picture from that one, in levels of 255."""
    given = {"concepts": {}, "width": 64, "steps": 5, "guidance_scale": 3.0, "scheduler": "flow_euler"}
    (picture,) = rendered(family, picture_work(family, **given | fields))
    return np.abs(picture - expected).max()


def test_every_sampler_of_the_family_is_compared():
    assert set(registry.FAMILIES["zimage"].schedulers) == set(SAMPLERS)


@pytest.mark.parametrize("prompt", ["A photo of the dog", "", "red " * 40])
def test_a_picture_equals_that_of_diffusers_pipeline(family, pipeline, prompt):
    fields = {"prompt": prompt.strip(), "negative_prompt": "a red cat"}
    expected = made_by(pipeline, **fields)
    assert np.abs(expected - made_by(pipeline, **fields | {"prompt": "a painting"})).max() > 1
    assert difference(family, expected, **fields) <= 1


def test_a_picture_of_another_sampler_equals_the_pipelines(family, pipeline):
    expected = made_by(pipeline, "flow_dpmpp_2m", prompt="a red cat")
    assert difference(family, expected, prompt="a red cat", scheduler="flow_dpmpp_2m") <= 1


def test_a_guidance_scale_of_0_disables_guidance_as_in_the_pipeline(family, pipeline):
    expected = made_by(pipeline, prompt="a photo of the dog", guidance_scale=0.0)
    assert difference(family, expected, prompt="a photo of the dog", guidance_scale=0.0) <= 1
    assert family.guidance(0.0) == 1


def test_a_picture_of_a_concept_equals_that_of_diffusers_with_a_resized_table(family, pipeline):
    thing = concept(family, vectors=2)
    rows, table = thing.rows["text_encoder"].vectors, pipeline.text_encoder.resize_token_embeddings
    pipeline.tokenizer.add_tokens(["qq0", "qq1"])
    table(len(pipeline.tokenizer), mean_resizing=False)
    with torch.no_grad():
        added = pipeline.tokenizer.convert_tokens_to_ids(["qq0", "qq1"])
        pipeline.text_encoder.get_input_embeddings().weight[added] = rows
    fields = {"prompt": "a photo of <my-dog> on the beach", "negative_prompt": "a red cat"}
    # An added token keeps the space before it apart; the learned rows have it in them.
    expected = made_by(pipeline, **fields | {"prompt": "a photo ofqq0qq1 on the beach"})
    plain = made_by(pipeline, **fields | {"prompt": "a photo of on the beach"})
    assert np.abs(expected - plain).max() > 1
    assert difference(family, expected, **fields, concepts={"my-dog": thing}) <= 1


def test_prompts_are_encoded_as_by_the_pipeline(family, pipeline):
    prompts = ["a photo of the dog", "a red cat on the beach"]
    expected, _ = pipeline.encode_prompt(list(prompts), do_classifier_free_guidance=False)
    read = conditioning(family, *prompts)
    assert read["hidden"].shape[1] == 512
    for hidden, length, states in zip(read["hidden"], read["lengths"], expected, strict=True):
        torch.testing.assert_close(hidden[:length], states, atol=1e-4, rtol=1e-4)


def test_a_prediction_does_not_depend_on_longer_prompts_beside_it(family):
    latents = torch.randn(2, *family.latent_shape(32, 32), generator=torch.Generator().manual_seed(0))
    times = torch.tensor([300.0, 700.0])
    prompts = ["a red cat", "a photo of the dog on the beach" * 4]
    together = family.predict(latents, times, conditioning(family, *prompts))
    for i, prompt in enumerate(prompts):
        alone = family.predict(latents[i : i + 1], times[i : i + 1], conditioning(family, prompt))
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=1e-5)


def test_latents_are_scaled_by_the_autoencoders_configuration(family):
    pixels = random_pixels(3)
    mean = family.encode(pixels).mean
    expected = (family._autoencoder.network.encode(pixels).latent_dist.mean - 0.1159) * 0.3611
    torch.testing.assert_close(mean, expected, atol=1e-5, rtol=1e-5)
    assert mean.shape[1:] == family.latent_shape(32, 32)


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        ("text_encoder/config.json", {"model_type": "gemma2"}, "text encoder is 'gemma2'"),
        ("text_encoder/config.json", {"hidden_size": 8}, "width that the denoiser reads"),
        ("transformer/config.json", {"_class_name": "SanaTransformer2DModel"}, "denoiser"),
        ("transformer/config.json", {"in_channels": 9}, "denoiser's channels"),
        ("transformer/config.json", {"all_patch_size": [4]}, "patches"),
        ("transformer/config.json", {"siglip_feat_dim": 8}, "input for pictures"),
        ("vae/config.json", {"_class_name": "AutoencoderDC"}, "autoencoder is 'AutoencoderDC'"),
        ("scheduler/scheduler_config.json", {"_class_name": "DDIMScheduler"}, "scheduler is 'DDIMScheduler'"),
    ],
)
def test_another_layout_is_refused_with_the_differences(folder, tmp_path, file, changes, reason):
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / file).write_text(json.dumps(json.loads((broken / file).read_text()) | changes))
    with pytest.raises(ModelUnavailableError, match=reason):
        load("zimage", broken, device="cpu")
