"""Malformed and malicious files: each is refused with a message, and nothing in it is executed."""

import io
import json
import os
import pickle
import struct
import zipfile

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from dti.errors import EmbeddingFormatError
from dti.formats import LIMIT_BYTES, detect_and_read, load, write
from tests.unit.dti.embeddings import random_embedding
from tests.unit.dti.formats.test_reading import archived, pickled, web_ui
from tests.unit.dti.laws import law

ROWS = torch.ones(2, 8)


def st_file(tensors):
    return safetensors.torch.save({name: tensor.clone() for name, tensor in tensors.items()})


def with_header(text, body=b""):
    header = text if isinstance(text, bytes) else json.dumps(text).encode()
    return struct.pack("<Q", len(header)) + header + body


def twice():
    entry = '"<dog>":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}'
    return with_header(f"{{{entry},{entry}}}".encode(), struct.pack("<2f", 1, 2))


def nested(depth):
    value = ROWS
    for _ in range(depth):
        value = {"deeper": value}
    return value


def bomb():
    """A pickle's archive of few bytes that announces far more than an embedding has."""
    return archived({"archive/data.pkl": b"\x80\x02}.", "archive/data/0": bytes(LIMIT_BYTES + 1)})


def in_torchs_zip(content):
    return archived({"archive/data.pkl": content, "archive/version": b"3\n"}, zipfile.ZIP_STORED)


def greedy():
    """A pickle that reads as so many zeros: nothing in it is code, and it would take all memory."""
    return b"\x80\x02}X\x05\x00\x00\x00<dog>c__builtin__\nbytearray\nJ\x00\x00\x00\x40\x85Rs."


def shortened():
    """A pickle whose tensor claims more numbers than its file of the archive has."""
    with zipfile.ZipFile(io.BytesIO(pickled({"<dog>": ROWS}))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["archive/data/0"] = files["archive/data/0"][:16]
    return archived(files, zipfile.ZIP_STORED)


def stretched():
    """A tensor that claims a million million rows over one number."""
    return torch.ones(1).expand(10**12, 8)


BAD_ROWS = {
    "not finite: nan": (ROWS * torch.nan, "not finite"),
    "not finite: infinite": (ROWS * torch.inf, "not finite"),
    "one row is zero": (torch.stack([ROWS[0], torch.zeros(8)]), "norm 0"),
    "integers": (torch.ones(2, 8, dtype=torch.int64), "int64"),
    "booleans": (torch.ones(2, 8, dtype=torch.bool), "bool"),
    "double precision": (ROWS.double(), "float64"),
    "a number": (torch.tensor(1.0), r"shape \(\)"),
    "three axes": (ROWS[None], r"shape \(1, 2, 8\)"),
    "no rows": (torch.ones(0, 8), r"shape \(0, 8\)"),
    "no numbers a row": (torch.ones(2, 0), r"shape \(2, 0\)"),
    "more rows than a prompt": (torch.ones(129, 8), r"shape \(129, 8\)"),
    "wider than any encoder": (torch.ones(1, 20000), r"shape \(1, 20000\)"),
}

BAD_PICKLES = {
    "complex numbers": ({"<dog>": ROWS * 1j}, "complex64"),
    "a sparse tensor": ({"<dog>": ROWS.to_sparse()}, "sparse"),
    "a tensor without a name": (ROWS, "holds a Tensor"),
    "a list": ([{"<dog>": ROWS}], "holds a list"),
    "names that are numbers": ({1: ROWS}, "holds a dict"),
    "nothing": ({}, "holds nothing"),
    "no tensors": ({"<dog>": "rows"}, "none of the formats"),
    "a million million rows": ({"<dog>": stretched()}, "shape"),
    "deep nesting": (nested(300), "none of the formats|1 tensors|not a tensor"),
    "web UI without tensors": ({"string_to_param": {}}, "0 tensors"),
    "web UI with two concepts": ({"string_to_param": {"*": ROWS, "@": ROWS}}, "2 tensors"),
    "web UI with a list": ({"string_to_param": [ROWS]}, "no tensors"),
    "web UI with words": ({"string_to_param": {"*": "rows"}}, "a str, not a tensor"),
    "a training's whole state": ({"state": {}, "weights": ROWS}, "none of the formats"),
}

BAD_FILES = {
    "empty": (b"", "neither"),
    "text": (b"just some words", "neither"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "neither"),
    "too large": (bytes(LIMIT_BYTES + 1), f"{LIMIT_BYTES + 1} bytes"),
    "huge header": (struct.pack("<Q", 2**62) + b"{}", "neither"),
    "header of rubbish": (with_header(b"\xff\xfe"), "not JSON"),
    "header that nests deeply": (with_header(b"[" * 100_000), "not JSON"),
    "the same token twice": (twice(), "is a duplicate key"),
    "no tensors": (st_file({}), "holds nothing"),
    "several concepts": (st_file({"<dog>": ROWS, "<cat>": ROWS}), "holds 2 tensors: '<cat>', '<dog>'"),
    "half of Replicate's names": (st_file({"text_encoders_0": ROWS, "other": ROWS}), "holds 2 tensors"),
    "two tensors for one encoder": (
        st_file({"clip_l": ROWS, "clip_h": ROWS}),
        "clip_h, clip_l: more than one of them is for text_encoder",
    ),
    "tensor outside of the file": (
        with_header({"<dog>": {"dtype": "F32", "shape": [1, 8], "data_offsets": [0, 32]}}),
        "cannot be read",
    ),
    "pickle cut off": (pickled({"<dog>": ROWS})[:-200], "cannot be read"),
    "old pickle cut off": (pickled({"<dog>": ROWS}, _use_new_zipfile_serialization=False)[:-20], "cannot be read"),
    "archive that is none": (b"PK\x03\x04" + bytes(60), "cannot be read"),
    "archive without embeddings": (archived({"README.md": b"words"}), "holds nothing"),
    "archive with other names": (
        archived({f"{name}.safetensors": st_file({f"<{name}>": ROWS}) for name in ("dog", "cat")}),
        "none of the formats",
    ),
    "archive inside an archive": (archived({"a.bin": archived({"b.bin": b""})}), "archive inside an archive"),
    "archive with two steps": (
        archived({f"learned_embeds-steps-{step}.bin": pickled({"<dog>": ROWS}) for step in (1, 2)}),
        "more than once",
    ),
    "archive of two concepts": (
        archived(
            {
                "learned_embeds.safetensors": st_file({"<dog>": ROWS}),
                "learned_embeds_2.safetensors": st_file({"<cat>": ROWS}),
            }
        ),
        "several concepts",
    ),
    "archive of many files": (archived({f"{i}.bin": b"" for i in range(100)}), "100 files"),
    "pickle that unpacks to gigabytes": (bomb(), "bytes at most"),
    "pickle that asks for a gigabyte of zeros": (in_torchs_zip(greedy()), "asks for '__builtin__ bytearray'"),
    "old pickle that asks for a gigabyte of zeros": (greedy(), "asks for '__builtin__ bytearray'"),
    "archive of two pickles": (
        archived({"a/data.pkl": b"\x80\x02}.", "b/data.pkl": greedy()}, zipfile.ZIP_STORED),
        "cannot be read as plain weights",
    ),
    "pickle of very many operations": (in_torchs_zip(b"\x80\x02" + b"N0" * 20_000 + b"}."), "20000 operations"),
    "pickle with a tensor larger than its storage": (shortened(), "RuntimeError"),
    "a program for PyTorch": (
        archived({"a/data.pkl": b"\x80\x02}.", "a/constants.pkl": b"\x80\x02)."}, zipfile.ZIP_STORED),
        "nothing in it was executed",
    ),
    "archive packed otherwise": (
        archived({"learned_embeds.bin": pickled({"<dog>": ROWS})}, zipfile.ZIP_LZMA),
        "Use a plain zip",
    ),
}


def refused(data):
    with pytest.raises(EmbeddingFormatError) as caught:
        detect_and_read(data)
    return str(caught.value)


@pytest.mark.parametrize(
    "container", [st_file, pickled, lambda one: web_ui({"*": one["<dog>"]})], ids=["st", "pt", "ui"]
)
@pytest.mark.parametrize(("rows", "complaint"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_tensors_that_are_not_rows_are_refused_in_every_container(container, rows, complaint):
    with pytest.raises(EmbeddingFormatError, match=complaint):
        detect_and_read(container({"<dog>": rows}))


@pytest.mark.parametrize(("content", "complaint"), BAD_PICKLES.values(), ids=BAD_PICKLES)
def test_pickles_of_other_objects_are_refused(content, complaint):
    with pytest.raises(EmbeddingFormatError, match=complaint):
        detect_and_read(pickled(content))


@pytest.mark.parametrize(("data", "complaint"), BAD_FILES.values(), ids=BAD_FILES)
def test_files_that_are_not_embeddings_are_refused(data, complaint):
    with pytest.raises(EmbeddingFormatError, match=complaint):
        detect_and_read(data)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path):
    file = tmp_path / "huge.safetensors"
    with file.open("wb") as sink:
        sink.truncate(1 << 40)
    with pytest.raises(EmbeddingFormatError, match=f"{1 << 40} bytes"):
        load(file)


class Trap:
    """Unpickled by anything that believes a file, it makes another file."""

    def __init__(self, path, call):
        self._path, self._call = path, call

    def __reduce__(self):
        return self._call, (str(self._path),)


def as_plain_pickle(trap):
    return pickle.dumps({"<dog>": ROWS, "more": trap})


def as_archive(trap):
    """As `torch.save` would have written it."""
    return pickled({"<dog>": ROWS, "more": trap})


def as_old_pickle(trap):
    return pickled({"string_to_param": {"*": ROWS}, "name": trap}, _use_new_zipfile_serialization=False)


def in_an_archive(trap):
    return archived({"learned_embeds.bin": as_archive(trap)})


def under_a_safe_name(trap):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"<dog>": trap}, protocol=2))
        archive.writestr("archive/version", "3\n")
    return sink.getvalue()


@pytest.mark.parametrize("hide", [as_plain_pickle, as_archive, as_old_pickle, in_an_archive, under_a_safe_name])
@pytest.mark.parametrize("call", [os.mkdir, os.system, eval, __import__])
def test_code_in_a_pickle_is_refused_and_not_executed(hide, call, tmp_path):
    sprung = tmp_path / "sprung"
    argument = {os.system: f"touch {sprung}", eval: f"open({str(sprung)!r}, 'w')", __import__: "antigravity"}
    data = hide(Trap(argument.get(call, sprung), call))
    assert "nothing in it was executed" in refused(data)
    assert not sprung.exists()


def test_the_malicious_pickle_executes_in_a_naive_reader(tmp_path):
    torch.load(io.BytesIO(as_archive(Trap(tmp_path / "sprung", os.mkdir))), weights_only=False)
    assert (tmp_path / "sprung").exists()


def test_an_untrusted_name_is_truncated_in_messages():
    assert len(refused(st_file({"x" * 100_000: ROWS * torch.nan}))) < 200
    assert len(refused(st_file({f"{i}" * 1000: ROWS for i in range(100)}))) < 1200


WHOLE = {name: write(random_embedding(count=2), name)[0] for name in ("diffusers", "a1111", "comfyui", "replicate")}


@pytest.mark.parametrize("tool", WHOLE)
@law
@given(st.data())
def test_a_damaged_file_is_refused_or_read_as_rows(tool, data):
    whole = WHOLE[tool]
    index, byte = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 255))
    try:
        found = detect_and_read(whole[:index] + bytes([byte]) + whole[index + 1 :])
    except EmbeddingFormatError:
        return
    assert all(rows.isfinite().all() and rows.dim() == 2 for rows in found.vectors.values())


@pytest.mark.parametrize("tool", WHOLE)
@law
@given(st.data())
def test_a_truncated_file_is_refused(tool, data):
    refused(WHOLE[tool][: data.draw(st.integers(0, len(WHOLE[tool]) - 1))])
