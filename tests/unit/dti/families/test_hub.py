"""Checkpoints from the Hub: downloaded files, variants, and error messages."""

import shutil

import pytest

from dti.errors import ModelUnavailableError
from dti.families import load
from tests.unit.dti.families.hub import hub


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty one; nothing of the machine's own is read or asked."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    return tmp_path / "cache"


@pytest.fixture
def served(cache, monkeypatch):
    """Serve repositories to this process."""

    def start(**options):
        serving = hub(**options)
        address, fetched = serving.__enter__()
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        files = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
        started.append(serving)
        return fetched

    started = []
    yield start
    for serving in started:
        serving.__exit__(None, None, None)


def rename(folder, ending):
    """Give all weights a word of their variant."""
    for file in folder.rglob("*.safetensors"):
        file.rename(file.with_name(file.name.replace(".safetensors", f".{ending}.safetensors")))
    return folder


def test_only_the_needed_parts_are_downloaded(served, plain, tmp_path):
    folder = shutil.copytree(plain, tmp_path / "published")
    (folder / "safety_checker").mkdir()
    for extra in ("safety_checker/model.safetensors", "unet/diffusion_pytorch_model.bin", "whole.safetensors"):
        (folder / extra).write_bytes(b"large")
    shutil.copy(
        folder / "unet/diffusion_pytorch_model.safetensors", folder / "unet/diffusion_pytorch_model.fp16.safetensors"
    )
    fetched = served(repositories={"somebody/model": folder})
    assert load("sd", "somebody/model", device="cpu").fingerprint == load("sd", plain, device="cpu").fingerprint
    assert {file.partition("/")[0] for file in fetched} == {
        "model_index.json",
        *("tokenizer", "text_encoder", "unet", "vae", "scheduler"),
    }
    assert sorted(file for file in fetched if file.startswith("unet/")) == [
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
    ]


@pytest.mark.parametrize("variant", ["fp16", "bf16"])
def test_a_variant_is_read_if_it_is_the_only_one_published(served, plain, tmp_path, variant):
    folder = rename(shutil.copytree(plain, tmp_path / "published"), variant)
    served(repositories={"somebody/model": folder})
    family = load("sd", "somebody/model", device="cpu")
    assert family.fingerprint == load("sd", plain, device="cpu").fingerprint


def test_an_unaccepted_licence_is_reported_with_a_remedy(served, plain):
    served(repositories={"somebody/gated": plain}, gated={"somebody/gated"})
    with pytest.raises(ModelUnavailableError, match=r"somebody/gated asks for its licence to be accepted.*HF_TOKEN"):
        load("sd", "somebody/gated", device="cpu")


def test_a_missing_repository_is_reported(served):
    served(repositories={})
    with pytest.raises(ModelUnavailableError, match=r"neither a folder nor a public repository somebody/else"):
        load("sd", "somebody/else", device="cpu")


def test_a_cached_checkpoint_is_found_without_a_network(served, plain, monkeypatch):
    served(repositories={"somebody/model": plain})
    once = load("sd", "somebody/model", device="cpu").fingerprint
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load("sd", "somebody/model", device="cpu").fingerprint == once
