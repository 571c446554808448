"""Exports in the loaders, or by the published rules, of the tools that read them; our own file in other tools."""

import io
import pickle
import re
import zipfile

import pytest
import torch
from diffusers.loaders.textual_inversion import TextualInversionLoaderMixin
from safetensors.torch import load_file

from dti.embeddings.embedding import Embedding, Rows
from dti.errors import EmbeddingFormatError
from dti.formats import detect_and_read, write
from tests.support.pictures_as_found import case

ALLOWED_IN_A1111 = re.compile(r"[^/]+/(data/\d+|version|data\.pkl)")
"""AUTOMATIC1111's modules/safe.py, `allowed_zip_names_re`."""

COMFYUI_KEYS = {"sd": {"clip_l": "text_encoder"}, "sdxl": {"clip_l": "text_encoder", "clip_g": "text_encoder_2"}}
WIDTHS = {"sd": {"text_encoder": 768}, "sdxl": {"text_encoder": 768, "text_encoder_2": 1280}}

LAYOUTS = pytest.mark.parametrize(("family", "count"), [("sd", 1), ("sd", 3), ("sdxl", 1), ("sdxl", 3)])


def embedding(family, count):
    generator = torch.Generator().manual_seed(count)
    rows = {}
    for name, width in WIDTHS[family].items():
        direction = torch.nn.functional.normalize(torch.randn(count, width, generator=generator), dim=-1)
        rows[name] = Rows(direction, torch.full((count, 1), 0.39))
    facts = {"trigger": "my-owl", "class_word": "owl", "fingerprint": "f" * 64, "method": "dti", "settings": {}}
    return Embedding(rows=rows, family=family, steps=4, **facts)


class A1111Unpickler(pickle.Unpickler):
    """A1111's RestrictedUnpickler: tensors and plain values only."""

    def persistent_load(self, saved_id):
        assert saved_id[0] == "storage"
        return torch.storage.TypedStorage(dtype=torch.float32, _internal=True)

    def find_class(self, module, name):
        assert (module, name) in {
            ("collections", "OrderedDict"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch", "FloatStorage"),
        }
        return lambda *_arguments: None


def comfyui(path, key):
    """The rows that ComfyUI's `load_embed` takes for an encoder."""
    held = load_file(path)
    if "string_to_param" in held:
        return next(iter(held["string_to_param"].values()))
    return held[key] if key in held else next(iter(held.values()))


def a1111_safetensors(path):
    """The rows that A1111's `create_embedding_from_data` takes: one tensor, or SDXL's two."""
    held = load_file(path)
    if "clip_g" in held and "clip_l" in held:
        return {"text_encoder": held["clip_l"], "text_encoder_2": held["clip_g"]}
    if len(held) != 1:
        raise ValueError("embedding file has multiple terms in it")
    return {"text_encoder": next(iter(held.values()))}


def saved(tmp_path, one, file_format):
    data, extension = write(one, file_format)
    path = tmp_path / f"file{extension}"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("count", [1, 3])
def test_a1111s_check_passes_the_pickle_and_finds_the_same_rows(tmp_path, count):
    one = embedding("sd", count)
    path = saved(tmp_path, one, "a1111")
    with zipfile.ZipFile(path) as archive:
        assert [name for name in archive.namelist() if not ALLOWED_IN_A1111.fullmatch(name)] == []
        (content,) = [name for name in archive.namelist() if name.endswith("data.pkl")]
        A1111Unpickler(io.BytesIO(archive.read(content))).load()
    held = torch.load(path, weights_only=True)
    assert torch.equal(held["string_to_param"]["*"], one.rows["text_encoder"].vectors)


@LAYOUTS
def test_comfyui_finds_the_same_rows_in_its_export_and_in_our_own_file(tmp_path, family, count):
    one = embedding(family, count)
    for file_format in ("comfyui", "dti"):
        path = saved(tmp_path, one, file_format)
        for key, encoder in COMFYUI_KEYS[family].items():
            assert torch.equal(comfyui(path, key), one.rows[encoder].vectors)
    # An unknown name falls back to the first tensor.
    one = embedding("sd", 1)
    assert torch.equal(comfyui(saved(tmp_path, one, "dti"), "clip_h"), one.rows["text_encoder"].vectors)


@pytest.mark.parametrize("count", [1, 3])
def test_a1111_finds_the_same_rows_of_sdxl_in_its_export_and_in_our_own_file(tmp_path, count):
    one = embedding("sdxl", count)
    for file_format in ("a1111", "comfyui", "dti"):
        found = a1111_safetensors(saved(tmp_path, one, file_format))
        assert all(torch.equal(found[name], rows.vectors) for name, rows in one.rows.items())


def test_our_own_file_of_one_encoder_is_an_error_in_a1111_and_diffusers(tmp_path):
    path = saved(tmp_path, embedding("sd", 1), "dti")
    with pytest.raises(ValueError, match="multiple terms"):
        a1111_safetensors(path)
    with pytest.raises(ValueError, match=r"string_to_param|incorrect"):
        TextualInversionLoaderMixin._retrieve_tokens_and_embeddings(["<x>"], [load_file(path)], None)


@LAYOUTS
def test_our_own_file_comes_back_and_rows_that_disagree_are_refused(family, count):
    one = embedding(family, count)
    data = one.to_bytes()
    assert Embedding.from_bytes(data).to_bytes() == data
    wrong = bytearray(data)
    start = 8 + int.from_bytes(data[:8], "little")
    wrong[start + 2] ^= 1
    with pytest.raises(EmbeddingFormatError, match="holds other rows"):
        Embedding.from_bytes(bytes(wrong))


def test_an_embedding_packed_by_macos_is_read():
    found = detect_and_read(case("embedding-packed-by-macos.zip"))
    assert (found.format, len(found.vectors)) == ("diffusers", 1)


def packed(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__slash__", "/").replace("__dot__", "."), data)
    return out.getvalue()


@pytest.mark.parametrize("file_format", ["dti", "diffusers", "comfyui", "a1111"])
def test_one_file_in_an_archive_is_read_as_that_file_beside_what_systems_add(file_format):
    one = embedding("sd", 2)
    data, extension = write(one, file_format)
    files = {f"owl__slash__my-owl{extension}": data, "__MACOSX__slash__owl__slash__.__my.safetensors": b"\0\5\x16\7"}
    files |= {"__dot__hidden.pt": b"x", "desktop.ini": b"x"}
    found = detect_and_read(packed(**files))
    rows = found.rows["text_encoder"].vectors if file_format == "dti" else next(iter(found.vectors.values()))
    assert torch.equal(rows, one.rows["text_encoder"].vectors)


@pytest.mark.parametrize(
    "beside",
    [
        ".ipynb_checkpoints/my-owl-checkpoint.safetensors",
        "owl\\.Trash-1000\\files\\old.pt",
        "@eaDir/my-owl.safetensors/SYNO.pt",
        "__MACOSX/._MY-OWL.SAFETENSORS",
        "$RECYCLE.BIN/old.bin",
        "preview.png",
        "README.txt",
    ],
)
@pytest.mark.parametrize("name", ["my-owl.safetensors", "owl/MY-OWL.SAFETENSORS", "owl\\my-owl.safetensors"])
def test_an_embedding_is_read_beside_hidden_copies_and_other_files(name, beside):
    one = embedding("sd", 1)
    found = detect_and_read(packed(**{beside: b"\0\5\x16\7", name: write(one, "comfyui")[0]}))
    assert torch.equal(next(iter(found.vectors.values())), one.rows["text_encoder"].vectors)
