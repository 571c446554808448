"""Finding and loading checkpoints; refusals of missing, damaged and foreign ones."""

import json
import shutil

import pytest
import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file

from dti.errors import ModelTooLargeError, ModelUnavailableError
from dti.families import load
from dti.spec.registry import FAMILIES
from tests.checkpoints.stable_diffusion import stable_diffusion


def edit(file, **changes):
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_fingerprint_identifies_weights_not_precision(plain, broken, tmp_path):
    other = stable_diffusion(tmp_path / "other", seed=1)
    same, different = (load("sd", source).fingerprint for source in (plain, other))
    assert same != different
    for dtype in (torch.float16, torch.bfloat16):
        for part in ("unet", "text_encoder"):
            file = next((broken / part).glob("*.safetensors"))
            rounded = {name: weight.to(dtype) for name, weight in load_file(file).items()}
            save_file(rounded, file, metadata={"format": "pt"})
        assert load("sd", broken).fingerprint == same
    for dtype in (torch.float16, torch.bfloat16):
        family = FAMILIES["sd"].load().load(plain, device=torch.device("cpu"), dtype=dtype)
        assert family.fingerprint == same


def test_the_fingerprint_does_not_depend_on_the_names_of_weights_in_files(plain, broken):
    """Transformers before version 5 wrote every weight of CLIP's text model behind a prefix."""
    file = next((broken / "text_encoder").glob("*.safetensors"))
    prefixed = {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in load_file(file).items()}
    save_file(prefixed, file, metadata={"format": "pt"})
    assert load("sd", broken).fingerprint == load("sd", plain).fingerprint


def test_a_little_further_training_changes_the_fingerprint(plain, broken):
    file = next((broken / "unet").glob("*.safetensors"))
    generator = torch.Generator().manual_seed(0)
    trained = {
        name: weight + 1e-4 * weight.std() * torch.randn(weight.shape, generator=generator)
        if weight.dim() > 1
        else weight
        for name, weight in load_file(file).items()
    }
    save_file(trained, file, metadata={"format": "pt"})
    assert load("sd", broken).fingerprint != load("sd", plain).fingerprint


def test_a_checkpoint_loads_in_the_requested_dtype_and_decodes_in_float32(plain):
    family = FAMILIES["sd"].load().load(plain, device=torch.device("cpu"), dtype=torch.bfloat16)
    assert (
        family.dtype == family.networks[1].dtype == family.encoders["text_encoder"].vocabulary.dtype == torch.bfloat16
    )
    assert family.networks[-1].dtype == torch.float32
    assert isinstance(family.decode(torch.zeros(1, *family.latent_shape(32, 32)))[0], Image.Image)


def test_a_safety_checker_in_the_index_is_ignored(broken):
    index = broken / "model_index.json"
    edit(index, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])
    assert load("sd", broken)


@pytest.mark.parametrize("part", ["model_index.json", "tokenizer", "text_encoder", "unet", "vae", "scheduler"])
def test_a_missing_part_is_named(broken, part):
    shutil.rmtree(broken / part) if (broken / part).is_dir() else (broken / part).unlink()
    with pytest.raises(ModelUnavailableError, match=f"has no {part}"):
        load("sd", broken)


@pytest.mark.parametrize(
    ("file", "changes", "reason"),
    [
        ("unet/config.json", {"in_channels": 9}, "input in channels"),
        ("unet/config.json", {"_class_name": "SD3Transformer2DModel"}, "denoiser"),
        ("unet/config.json", {"addition_embed_type": "text_time"}, "further conditioning"),
        ("unet/config.json", {"cross_attention_dim": 2048}, "width that the denoiser reads"),
        ("text_encoder/config.json", {"architectures": ["T5EncoderModel"]}, "text_encoder is"),
        ("vae/config.json", {"_class_name": "AutoencoderDC"}, "autoencoder is 'AutoencoderDC'"),
        ("scheduler/scheduler_config.json", {"_class_name": "FlowMatchEulerDiscreteScheduler"}, "scheduler is"),
        ("scheduler/scheduler_config.json", {"prediction_type": "sample"}, "predicts 'sample'"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": True},
            "pure noise",
        ),
    ],
)
def test_another_layout_is_refused_with_the_differences(broken, file, changes, reason):
    edit(broken / file, **changes)
    with pytest.raises(ModelUnavailableError, match=reason):
        load("sd", broken)


def test_a_second_text_encoder_is_another_family(broken):
    shutil.copytree(broken / "text_encoder", broken / "text_encoder_2")
    with pytest.raises(ModelUnavailableError, match="a further text encoder"):
        load("sd", broken)


@pytest.mark.parametrize("part", ["unet", "text_encoder", "vae"])
def test_weights_that_are_missing_damaged_or_incomplete_are_refused(broken, part):
    file = next((broken / part).glob("*.safetensors"))
    whole = load_file(file)
    save_file(dict(list(whole.items())[1:]), file, metadata={"format": "pt"})
    with pytest.raises(ModelUnavailableError, match=part):
        load("sd", broken)
    file.write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00 nothing")
    with pytest.raises(ModelUnavailableError, match=part):
        load("sd", broken)
    file.unlink()
    with pytest.raises(ModelUnavailableError, match="no safetensors weights"):
        load("sd", broken)


def test_a_damaged_configuration_is_refused(broken):
    (broken / "unet" / "config.json").write_text("{")
    with pytest.raises(ModelUnavailableError, match=r"config\.json cannot be read"):
        load("sd", broken)


def test_a_path_that_is_no_folder_and_no_hub_id_is_refused():
    with pytest.raises(ModelUnavailableError, match="no folder /no/such/folder"):
        load("sd", "/no/such/folder")


def test_a_hub_id_that_is_not_in_the_cache_is_refused_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelUnavailableError, match="not in the local cache"):
        load("sd", "nobody/no-such-model")


def test_a_variant_is_read_only_without_original_weights(broken):
    plain = load("sd", broken).fingerprint
    file = next((broken / "unet").glob("*.safetensors"))
    other = {name: weight + 1 for name, weight in load_file(file).items()}
    variant = file.with_name(file.name.replace(".safetensors", ".fp16.safetensors"))
    save_file(other, variant, metadata={"format": "pt"})
    assert load("sd", broken).fingerprint == plain
    file.unlink()
    family = load("sd", broken)
    assert family.fingerprint != plain
    assert torch.equal(family.networks[1].conv_in.weight, other["conv_in.weight"])


def test_an_unknown_variant_is_not_read(broken):
    file = next((broken / "unet").glob("*.safetensors"))
    file.rename(file.with_name(file.name.replace(".safetensors", ".non_ema.safetensors")))
    with pytest.raises(ModelUnavailableError, match="unet holds no safetensors weights"):
        load("sd", broken)


def test_exhausted_host_memory_is_reported_with_a_remedy(plain, monkeypatch):
    """The allocation is real, and larger than any machine."""
    monkeypatch.setattr(UNet2DConditionModel, "from_pretrained", lambda *_, **__: torch.empty(2**60))
    with pytest.raises(ModelTooLargeError, match=r"does not fit into the memory of this machine.*offload = true"):
        load("sd", plain, device="cpu")


def test_exhausted_device_memory_is_reported_with_a_remedy(plain, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(UNet2DConditionModel, "to", full)
    with pytest.raises(ModelTooLargeError, match="does not fit"):
        load("sd", plain, device="cpu")
