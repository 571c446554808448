import hashlib
import io
import json
import pickle
import struct
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from dti.embeddings.embedding import Embedding, Rows
from dti.errors import EmbeddingFormatError, EmbeddingMismatchError
from tests.unit.dti.embeddings import FACTS, random_embedding, same_rows
from tests.unit.dti.laws import law, seeds

TWO = (("text_encoder", 8), ("text_encoder_2", 12))

names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,62}", fullmatch=True)
words = st.text(st.characters(blacklist_categories=["Cs"]), max_size=40)
values = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words
)

METADATA = {
    "format": "dti",
    "version": "1",
    **{name: str(value) for name, value in FACTS.items()},
    "settings": "{}",
}


def direction(*shape, dtype=torch.float32):
    return torch.nn.functional.one_hot(torch.zeros(shape[:-1], dtype=torch.long), shape[-1]).to(dtype)


def tensors(**parts):
    return {f"text_encoder.{part}": tensor for part, tensor in parts.items()}


def file_of(content, **metadata):
    """A file by the library's own writer, wrong in whatever way is asked for."""
    return safetensors.torch.save(content, {**METADATA, **metadata})


GOOD = {"direction": direction(2, 4), "magnitude": torch.ones(2, 1)}


@st.composite
def embeddings(draw):
    return random_embedding(
        draw(seeds),
        count=draw(st.integers(1, 4)),
        widths=draw(st.sampled_from([TWO, TWO[:1]])),
        magnitude=draw(st.floats(1e-6, 1e3)),
        trigger=draw(names),
        class_word=draw(words),
        settings=draw(st.dictionaries(words, values)),
        steps=draw(st.integers(0, 10**9 - 1)),
    )


@law
@given(embeddings())
def test_writing_and_reading_preserves_every_field(embedding):
    data = embedding.to_bytes()
    back = Embedding.from_bytes(data)
    assert same_rows(embedding, back)
    assert all(getattr(back, name) == getattr(embedding, name) for name in FACTS)
    assert back.to_bytes() == data


def test_bytes_do_not_depend_on_insertion_order():
    embedding = random_embedding(widths=TWO)
    turned = replace(
        embedding,
        rows=dict(reversed(embedding.rows.items())),
        settings=dict(reversed(embedding.settings.items())),
    )
    assert embedding.to_bytes() == turned.to_bytes()


def test_bytes_are_the_same_on_every_machine():
    rows = Rows(torch.tensor([[0.6, 0.8], [1.0, 0.0]]), torch.tensor([[0.5], [2.0]]))
    data = Embedding(rows={"text_encoder": rows}, **FACTS).to_bytes()
    assert hashlib.sha256(data).hexdigest() == "e0b4fc414850d7a43c08ff17efb38ec43a96aa3112cdfd0141982fd964ed0786"


def test_the_file_is_readable_by_the_safetensors_library(tmp_path):
    embedding = random_embedding(count=3, widths=TWO)
    embedding.save(tmp_path / "dog.safetensors")
    with safe_open(tmp_path / "dog.safetensors", "pt") as file:
        metadata = file.metadata()
        parts = {f"{name}.{part}" for name, _ in TWO for part in ("direction", "magnitude")}
        assert set(file.keys()) == parts | {"clip_l", "rows_text_encoder_2"}
        assert torch.equal(file.get_tensor("clip_l"), embedding.rows["text_encoder"].vectors)
        assert torch.equal(file.get_tensor("text_encoder_2.direction"), embedding.rows["text_encoder_2"].direction)
    assert metadata == {
        "format": "dti",
        "version": "1",
        "trigger": "my-dog",
        "class_word": "dog",
        "family": "sd",
        "fingerprint": "f" * 16,
        "method": "dti",
        "settings": json.dumps(FACTS["settings"], sort_keys=True),
        "steps": "400",
    }
    assert same_rows(Embedding.load(tmp_path / "dog.safetensors"), embedding)


def test_a_file_by_the_safetensors_library_is_read():
    embedding = Embedding.from_bytes(file_of(tensors(**GOOD)))
    assert torch.equal(embedding.rows["text_encoder"].vectors, GOOD["direction"])


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({}, "no rows"),
        (tensors(direction=GOOD["direction"]), "as many magnitudes"),
        (tensors(magnitude=GOOD["magnitude"]), "as many magnitudes"),
        (tensors(direction=direction(3, 4), magnitude=torch.ones(2, 1)), "as many magnitudes"),
        (tensors(direction=direction(4), magnitude=torch.ones(1, 1)), "not float32 rows"),
        (tensors(direction=direction(1, 2, 4), magnitude=torch.ones(1, 1)), "not float32 rows"),
        (tensors(direction=torch.zeros(0, 4), magnitude=torch.zeros(0, 1)), "not float32 rows"),
        (tensors(direction=torch.zeros(2, 0), magnitude=torch.ones(2, 1)), "not float32 rows"),
        (tensors(direction=direction(2, 4, dtype=torch.float16), magnitude=torch.ones(2, 1)), "not float32 rows"),
        (tensors(direction=direction(2, 4, dtype=torch.float64), magnitude=torch.ones(2, 1)), "not float32 rows"),
        (tensors(direction=direction(2, 4, dtype=torch.bfloat16), magnitude=torch.ones(2, 1)), "not float32 rows"),
        (tensors(direction=direction(2, 4, dtype=torch.int64), magnitude=torch.ones(2, 1)), "not float32 rows"),
        (tensors(direction=GOOD["direction"] * torch.nan, magnitude=torch.ones(2, 1)), "not finite"),
        (tensors(direction=GOOD["direction"], magnitude=torch.full((2, 1), torch.inf)), "not finite"),
        (tensors(direction=GOOD["direction"] * 1.001, magnitude=torch.ones(2, 1)), "away from one"),
        (tensors(direction=torch.zeros(2, 4), magnitude=torch.ones(2, 1)), "away from one"),
        (tensors(direction=GOOD["direction"], magnitude=torch.zeros(2, 1)), "positive number"),
        (tensors(direction=GOOD["direction"], magnitude=-torch.ones(2, 1)), "positive number"),
        (tensors(direction=GOOD["direction"], magnitude=torch.ones(2, 4)), "positive number"),
        (tensors(**GOOD, weight=torch.ones(1, 1)), "no part of an embedding"),
        ({**tensors(**GOOD), "emb_params": torch.ones(1, 4)}, "no part of an embedding"),
        ({"../x.direction": GOOD["direction"], "../x.magnitude": GOOD["magnitude"]}, "no part of an embedding"),
    ],
)
def test_wrong_tensors_are_refused(content, complaint):
    with pytest.raises(EmbeddingFormatError, match=complaint):
        Embedding.from_bytes(file_of(content))


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "pt"},
        {"version": "2"},
        {"trigger": "<my-dog>"},
        {"trigger": "my-dog\n"},
        {"trigger": ""},
        {"settings": "[]"},
        {"settings": "{"},
        {"settings": '{"kappa": NaN}'},
        {"settings": '{"kappa": 1e999}'},
        {"settings": "[" * 100_000},
        {"steps": "-1"},
        {"steps": "many"},
        {"steps": "\N{FULLWIDTH DIGIT FOUR}"},
        {"steps": "1" * 5000},
    ],
)
def test_wrong_metadata_is_refused(metadata):
    with pytest.raises(EmbeddingFormatError):
        Embedding.from_bytes(file_of(tensors(**GOOD), **metadata))


@pytest.mark.parametrize("name", sorted(METADATA))
def test_every_metadata_field_is_required(name):
    metadata = {key: value for key, value in METADATA.items() if key != name}
    with pytest.raises(EmbeddingFormatError):
        Embedding.from_bytes(safetensors.torch.save(tensors(**GOOD), metadata))


def archived():
    sink = io.BytesIO()
    torch.save({"<my-dog>": torch.ones(1, 4)}, sink)
    return sink.getvalue()


def numbers():
    sink = io.BytesIO()
    np.savez(sink, direction=np.ones((1, 4)))
    return sink.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1234567",
        bytes(8),
        b"\xff" * 8,
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 1 << 21) + b" " * (1 << 21),
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"\xff\xfe\xfd\xfc",
        struct.pack("<Q", 21) + b'{"__metadata__": null}',
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        archived(),
        numbers(),
        safetensors.torch.save({"emb_params": torch.ones(1, 4)}),
    ],
    ids=lambda data: data[:12].hex(),
)
def test_files_of_another_kind_are_refused(data):
    with pytest.raises(EmbeddingFormatError):
        Embedding.from_bytes(data)


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path.joinpath("sprung").write_text, ("",))

    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(EmbeddingFormatError):
            Embedding.from_bytes(pickle.dumps(Trap(), protocol))
    assert not tmp_path.joinpath("sprung").exists()


WHOLE = random_embedding(count=2, widths=TWO).to_bytes()


@law
@given(st.integers(0, len(WHOLE) - 1))
def test_a_truncated_file_is_refused(end):
    with pytest.raises(EmbeddingFormatError):
        Embedding.from_bytes(WHOLE[:end])


@law
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_a_damaged_byte_is_refused_or_leaves_a_valid_embedding(index, byte):
    data = WHOLE[:index] + bytes([byte]) + WHOLE[index + 1 :]
    try:
        embedding = Embedding.from_bytes(data)
    except EmbeddingFormatError:
        return
    assert same_rows(Embedding.from_bytes(embedding.to_bytes()), embedding)


@law
@given(st.text('{}[]":,0123456789.eE-_adimnorstxyF \\u\x00é', max_size=200), st.binary(max_size=64))
def test_a_random_header_is_refused(header, body):
    text = header.encode()
    with pytest.raises(EmbeddingFormatError):
        Embedding.from_bytes(struct.pack("<Q", len(text)) + text + body)


@pytest.mark.parametrize(
    ("shape", "offsets", "dtype"),
    [
        ([2, 4], [0, 31], "F32"),
        ([2, 4], [32, 0], "F32"),
        ([2, 4], [-8, 24], "F32"),
        ([2**62, 4], [0, 32], "F32"),
        ([2**70, 1], [0, 32], "F32"),
        ([-2, -4], [0, 32], "F32"),
        ([2.0, 4], [0, 32], "F32"),
        ([2, 4], [0, 32], "F99"),
        ([2, 4], [0, 32], None),
        ("24", [0, 32], "F32"),
        ([8], [0, 8], "BOOL"),
        ([2, 4], [0, 16], "F8_E8M0"),
        ([2, 4], [0, 8], "F4"),
    ],
)
def test_a_header_that_contradicts_its_tensors_is_refused(shape, offsets, dtype):
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    text = json.dumps({"__metadata__": METADATA, "text_encoder.direction": entry}).encode()
    with pytest.raises(EmbeddingFormatError):
        Embedding.from_bytes(struct.pack("<Q", len(text)) + text + bytes(32))


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": {}},
        {"rows": {"text_encoder": Rows(torch.full((1, 4), torch.nan), torch.ones(1, 1))}},
        {"rows": {"text_encoder": Rows(torch.ones(1, 4), torch.ones(1, 1))}},
        {"trigger": "My Dog"},
        {"steps": -1},
    ],
)
def test_an_embedding_that_could_not_be_read_is_not_written(damage):
    with pytest.raises(EmbeddingFormatError):
        replace(random_embedding(), **damage).to_bytes()


def test_settings_that_json_cannot_represent_are_not_written():
    with pytest.raises(EmbeddingFormatError, match="kappa"):
        random_embedding(settings={"kappa": float("nan")}).to_bytes()


def test_an_embedding_fits_the_checkpoint_that_it_was_learned_for():
    embedding = random_embedding(widths=TWO)
    embedding.check_fits(family="sd", fingerprint="f" * 16, widths=dict(reversed(TWO)))


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        ({"family": "sdxl"}, "family is sd, the model's is sdxl"),
        ({"fingerprint": "e" * 16}, "fingerprint is ffff"),
        ({"widths": {"text_encoder": 8}}, "encoders"),
        ({"widths": {"text_encoder": 8, "text_encoder_2": 16}}, "widths"),
    ],
)
def test_another_checkpoint_is_refused_with_the_difference(other, complaint):
    checkpoint = {"family": "sd", "fingerprint": "f" * 16, "widths": dict(TWO), **other}
    with pytest.raises(EmbeddingMismatchError, match=complaint):
        random_embedding(widths=TWO).check_fits(**checkpoint)
