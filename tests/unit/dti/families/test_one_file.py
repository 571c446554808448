"""One-file checkpoints: the same tensors and pictures as the folder's, without a network."""

from functools import partial

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from dti.errors import ModelUnavailableError
from dti.families import load
from dti.families.one_file import open_file
from dti.families.single_files import FOLDER, clip_tokenizer
from tests.checkpoints.one_file import one_file
from tests.checkpoints.sdxl import stable_diffusion_xl
from tests.checkpoints.stable_diffusion import stable_diffusion
from tests.unit.dti.works import picture_work, rendered, trained, training_work

LAYOUTS = {
    "sd1": ("sd", stable_diffusion, {}),
    "sd2": ("sd", partial(stable_diffusion, padding="!"), {"open_clip": True}),
    "sdxl": ("sdxl", stable_diffusion_xl, {}),
}


@pytest.fixture(scope="module", params=LAYOUTS)
def pair(request, tmp_path_factory):
    """A family, its folder, and the same weights in one file."""
    family, build, options = LAYOUTS[request.param]
    folder = build(tmp_path_factory.mktemp(request.param))
    file = one_file(folder, tmp_path_factory.mktemp("files") / "model.safetensors", **options)
    return load(family, folder, device="cpu"), load(family, file, device="cpu"), file


def test_every_tensor_equals_the_folders(pair):
    folder, file, _ = pair
    for one, other in zip(folder.networks, file.networks, strict=True):
        expected = dict(one.named_parameters())
        assert expected.keys() == dict(other.named_parameters()).keys()
        for name, weight in other.named_parameters():
            assert torch.equal(weight, expected[name]), name
    assert folder.fingerprint == file.fingerprint


def test_it_trains_and_renders_as_the_folder_does(pair):
    folder, file, _ = pair
    made = [trained(family, training_work(steps=2)).embedding() for family in (folder, file)]
    assert torch.equal(*(embedding.rows["text_encoder"].direction for embedding in made))
    works = [picture_work(family) for family in (folder, file)]
    pictures = [rendered(family, work)[0] for family, work in zip((folder, file), works, strict=True)]
    assert np.abs(pictures[0] - pictures[1]).max() == 0


def test_the_layout_is_found_by_the_weights_names(pair, tmp_path):
    *_, file = pair
    alone = tmp_path / "alone.safetensors"
    alone.symlink_to(file)
    configurations = {"sdxl": "sdxl", "sd": "sd"}[pair[0].name]
    assert open_file(alone).folder.parent == FOLDER
    assert open_file(alone).folder.name.startswith(configurations)


def test_an_incomplete_file_is_refused_with_a_missing_weight(pair, tmp_path):
    family, _, file = pair
    weights = load_file(file)
    del weights["model.diffusion_model.time_embed.0.weight"]
    (tmp_path / "model").symlink_to(file.with_suffix(""))
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ModelUnavailableError, match="lacks"):
        load(family.name, tmp_path / "model.safetensors", device="cpu")


@pytest.mark.parametrize("ending", ["ckpt", "pt", "bin"])
def test_a_pickle_is_refused_with_its_reason(tmp_path, ending):
    (tmp_path / f"model.{ending}").write_bytes(b"pickle")
    with pytest.raises(ModelUnavailableError, match="can run code"):
        load("sd", tmp_path / f"model.{ending}", device="cpu")


def test_a_file_without_a_text_encoder_or_for_inpainting_is_refused(tmp_path):
    name = "model.diffusion_model.input_blocks.0.0.weight"
    save_file({name: torch.zeros(8, 4, 3, 3)}, tmp_path / "unet.safetensors")
    with pytest.raises(ModelUnavailableError, match="text encoder is missing"):
        load("sd", tmp_path / "unet.safetensors", device="cpu")
    encoder = {"cond_stage_model.transformer.text_model.x": torch.zeros(1)}
    save_file({name: torch.zeros(8, 9, 3, 3), **encoder}, tmp_path / "inpaint.safetensors")
    with pytest.raises(ModelUnavailableError, match="reads 9 channels"):
        load("sd", tmp_path / "inpaint.safetensors", device="cpu")


def test_v_prediction_and_zero_terminal_noise_are_read_from_the_files_marks(pair, tmp_path):
    *_, file = pair
    weights = {**load_file(file), "v_pred": torch.zeros(1), "ztsnr": torch.zeros(1)}
    save_file(weights, tmp_path / "v.safetensors")
    assert open_file(tmp_path / "v.safetensors").scheduler == {
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    }
    assert open_file(file).scheduler == {}


def test_other_families_refuse_a_file(pair):
    *_, file = pair
    with pytest.raises(ModelUnavailableError, match="families sd and sdxl"):
        load("sana", file, device="cpu")


def test_the_bundled_vocabulary_is_clips():
    tokenizer = clip_tokenizer("!", 77)
    assert len(tokenizer) == 49408
    published = [49406, 320, 1125, 539, 550, 18376, 6765, 320, 4558, 525, 7496, 49407]
    assert tokenizer("a photo of an astronaut riding a horse on mars").input_ids == published
    assert (tokenizer.pad_token_id, tokenizer.convert_tokens_to_ids(",</w>")) == (0, 267)
