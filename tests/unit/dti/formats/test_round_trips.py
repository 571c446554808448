"""Export to another tool's format and import again preserve an embedding bit for bit."""

from dataclasses import replace
from typing import get_args

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from dti.embeddings.embedding import Embedding
from dti.formats import FORMATS, ExternalEmbedding, detect_and_read, load, write
from dti.formats.splitting import split
from dti.spec.settings import EmbeddingFormat
from tests.unit.dti.embeddings import random_embedding, same_rows
from tests.unit.dti.laws import law, rows, seeds

TWO = (("text_encoder", 8), ("text_encoder_2", 12))

FOREIGN = [name for name in FORMATS if name != "dti"]

magnitudes = st.floats(1e-6, 1e3)


@st.composite
def embeddings(draw):
    return random_embedding(
        draw(seeds),
        count=draw(st.integers(1, 4)),
        widths=draw(st.sampled_from([TWO, TWO[:1]])),
        magnitude=draw(magnitudes),
        family=draw(st.sampled_from(["sd", "sdxl", "one-of-its-own"])),
    )


def test_every_format_of_the_spec_is_listed():
    assert set(FORMATS) == set(get_args(EmbeddingFormat))


@pytest.mark.parametrize("tool", FOREIGN)
@law
@given(embeddings())
def test_exported_vectors_are_exact(tool, embedding):
    data, _ = write(embedding, tool)
    found = detect_and_read(data)
    assert isinstance(found, ExternalEmbedding)
    one = len(embedding.rows) == 1
    for name, part in embedding.rows.items():
        assert torch.equal(found.vectors[None if one and None in found.vectors else name], part.vectors)
    assert len(found.vectors) == len(embedding.rows)


@law
@given(embeddings())
def test_a_dti_file_is_read_with_every_field(embedding):
    back = detect_and_read(write(embedding, "dti")[0])
    assert isinstance(back, Embedding)
    assert same_rows(back, embedding)


@pytest.mark.parametrize("length", range(0, 256, 8))
def test_a_dti_file_is_detected_with_any_header_length(length):
    """The length stands before it: of 128 bytes, and every 256 more, it begins as a pickle does."""
    embedding = replace(random_embedding(), settings={"note": "x" * length})
    assert isinstance(detect_and_read(write(embedding, "dti")[0]), Embedding)


@pytest.mark.parametrize("tool", FORMATS)
def test_equal_embeddings_give_equal_bytes(tool):
    assert write(random_embedding(widths=TWO), tool) == write(random_embedding(widths=TWO), tool)
    assert write(random_embedding(), tool) == write(random_embedding(), tool)


@pytest.mark.parametrize(
    ("tool", "widths", "ending"),
    [
        ("dti", TWO, ".safetensors"),
        ("diffusers", TWO[:1], ".safetensors"),
        ("diffusers", TWO, ".zip"),
        ("a1111", TWO[:1], ".pt"),
        ("a1111", TWO, ".safetensors"),
        ("comfyui", TWO, ".safetensors"),
        ("replicate", TWO, ".pti"),
    ],
)
def test_a_files_extension_is_the_one_that_its_tool_expects(tool, widths, ending):
    assert write(random_embedding(widths=widths), tool)[1] == ending


@pytest.mark.parametrize(
    ("tool", "family", "names"),
    [
        ("comfyui", "sdxl", {"clip_l", "clip_g"}),
        ("a1111", "sdxl", {"clip_l", "clip_g"}),
        ("replicate", "sdxl", {"text_encoders_0", "text_encoders_1"}),
        ("comfyui", "sd", {"clip_l"}),
        ("comfyui", "sana", {"gemma2_2b"}),
        ("comfyui", "one-of-its-own", {"text_encoder"}),
    ],
)
def test_tensors_have_the_names_that_their_tool_expects(tool, family, names):
    widths = TWO if len(names) == 2 else TWO[:1]
    data, _ = write(random_embedding(widths=widths, family=family), tool)
    assert set(safetensors.torch.load(data)) == names


@pytest.mark.parametrize(("tool", "name"), [("diffusers", "my-dog"), ("a1111", "my-dog"), ("comfyui", None)])
def test_the_concepts_name_is_preserved_where_the_format_stores_it(tool, name):
    assert detect_and_read(write(random_embedding(), tool)[0]).trigger == name


def test_the_files_name_is_ignored(tmp_path):
    file = tmp_path / "embeddings.pti"
    file.write_bytes(write(random_embedding(), "a1111")[0])
    assert load(file).format == "a1111"


@law
@given(rows(torch.float32), magnitudes)
def test_a_product_of_magnitude_and_direction_is_split_exactly(directions, magnitude):
    vectors = magnitude * directions
    found = split(vectors)
    assert torch.equal(found.vectors, vectors)
    assert (found.direction.double().norm(dim=-1) - 1).abs().max() < 1e-5


@law
@given(seeds, st.sampled_from([8, 768, 1280]), magnitudes)
def test_any_other_row_is_split_to_one_unit_in_the_last_place_and_then_exactly(seed, width, scale):
    vectors = scale * torch.randn(2, width, generator=torch.Generator().manual_seed(seed))
    once = split(vectors).vectors
    assert (once.view(torch.int32) - vectors.view(torch.int32)).abs().max() <= 1
    assert torch.equal(split(once).vectors, once)
