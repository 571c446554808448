"""Conversion of a file's rows to an embedding for a model, and refusals with expected and found values."""

import copy

import pytest
import torch

from dti.embeddings.embedding import Embedding
from dti.encoders import vocabulary_norm
from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.families import load
from dti.formats import FORMATS, ExternalEmbedding, convert, detect_and_read, write
from tests.checkpoints.sdxl import WIDTH_2, stable_diffusion_xl
from tests.checkpoints.stable_diffusion import WIDTH, stable_diffusion
from tests.unit.dti.embeddings import random_embedding
from tests.unit.dti.works import concept, picture_work, rendered

KNOWN_AS = {"trigger": "my-dog", "class_word": "dog"}


@pytest.fixture(scope="module")
def sd(tmp_path_factory):
    return load("sd", stable_diffusion(tmp_path_factory.mktemp("sd")), device="cpu")


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory):
    return load("sdxl", stable_diffusion_xl(tmp_path_factory.mktemp("sdxl")), device="cpu")


def foreign(**widths):
    vectors = {
        name: torch.randn(2, width, generator=torch.Generator().manual_seed(0)) for name, width in widths.items()
    }
    return ExternalEmbedding(format="comfyui", vectors=vectors, trigger=None)


def nameless(width):
    return ExternalEmbedding(format="a1111", vectors={None: 3 * torch.ones(2, width)}, trigger="style")


def converted(found, family, *, normalize=False):
    return convert(found, family=family, normalize=normalize, **KNOWN_AS)


@pytest.mark.parametrize("tool", FORMATS)
def test_for_every_model_an_exported_concept_is_imported_with_the_same_vectors(family, tool):
    embedding = concept(family, vectors=2)
    back = converted(detect_and_read(write(embedding, tool)[0]), family).embedding
    assert all(torch.equal(back.rows[name].vectors, rows.vectors) for name, rows in embedding.rows.items())
    family.check_fits(Embedding.from_bytes(back.to_bytes()))


def test_a_converted_concept_renders_the_same_picture(family):
    embedding = concept(family)
    back = converted(detect_and_read(write(embedding, "diffusers")[0]), family).embedding
    one, other = (rendered(family, picture_work(family, concepts={"my-dog": one}))[0] for one in (embedding, back))
    assert (one == other).all()


def test_a_converted_embedding_records_its_origin(sd):
    embedding = converted(nameless(WIDTH), sd, normalize=True).embedding
    assert (embedding.trigger, embedding.class_word, embedding.steps) == ("my-dog", "dog", 0)
    assert (embedding.family, embedding.fingerprint, embedding.method) == ("sd", sd.fingerprint, "import")
    assert embedding.settings == {"imported_format": "a1111", "imported_trigger": "style", "normalized": True}


def test_without_normalization_a_row_keeps_its_norm(sd):
    found = converted(nameless(WIDTH), sd)
    assert found.norms_before == found.norms_after
    assert found.norms_before["text_encoder"] == pytest.approx([3 * WIDTH**0.5] * 2)


def test_normalization_sets_an_inflated_rows_norm_and_keeps_its_direction(family):
    inflated = concept(family, vectors=2)
    file = ExternalEmbedding(
        format="comfyui", vectors={name: 30 * rows.vectors for name, rows in inflated.rows.items()}, trigger=None
    )
    repaired = converted(file, family, normalize=True)
    for name, encoder in family.encoders.items():
        usual = vocabulary_norm(encoder.vocabulary, "mean")
        assert repaired.norms_before[name] == pytest.approx([12.0] * 2, rel=1e-5)
        assert repaired.norms_after[name] == pytest.approx([usual] * 2, rel=1e-6)
        torch.testing.assert_close(repaired.embedding.rows[name].direction, inflated.rows[name].direction)


def test_a_dti_embedding_keeps_its_method_and_settings(sd):
    learned = concept(sd, trigger="other-name")
    again = converted(learned, sd).embedding
    assert (again.trigger, again.method, again.settings) == ("my-dog", learned.method, learned.settings)
    assert torch.equal(again.rows["text_encoder"].direction, learned.rows["text_encoder"].direction)


def test_a_dti_embedding_may_come_from_another_checkpoint_of_the_family(sd, tmp_path):
    other = load("sd", stable_diffusion(tmp_path, seed=5), device="cpu")
    moved = converted(concept(sd), other).embedding
    assert moved.settings["imported_fingerprint"] == sd.fingerprint != other.fingerprint
    other.check_fits(moved)


def test_a_dti_embedding_of_another_family_is_refused(sd, sdxl):
    with pytest.raises(EmbeddingMismatchError, match="model family is sd, the model's is sdxl"):
        converted(concept(sd), sdxl)


def test_a_dti_embedding_of_another_width_is_refused(sd):
    wide = random_embedding(widths=[("text_encoder", 2 * WIDTH)], fingerprint=sd.fingerprint)
    with pytest.raises(EmbeddingMismatchError, match="row widths is"):
        converted(wide, sd)


@pytest.mark.parametrize(
    ("found", "held"),
    [
        (nameless(768), r"Found: one without a name \(768\)"),
        (nameless(WIDTH), rf"Found: one without a name \({WIDTH}\)"),
        (nameless(WIDTH_2), rf"Found: one without a name \({WIDTH_2}\)"),
        (foreign(text_encoder=WIDTH), rf"Found: text_encoder \({WIDTH}\)"),
        (foreign(text_encoder_2=WIDTH_2), rf"Found: text_encoder_2 \({WIDTH_2}\)"),
        (foreign(text_encoder=WIDTH, t5xxl=4096), rf"Found: text_encoder \({WIDTH}\), t5xxl \(4096\)"),
        (foreign(text_encoder=WIDTH_2, text_encoder_2=WIDTH), "Found: "),
        (foreign(text_encoder=WIDTH, text_encoder_2=WIDTH_2, t5xxl=4096), "Found: "),
    ],
)
def test_other_encoders_or_widths_are_refused_with_expected_and_found_values(sdxl, found, held):
    expected = rf"encoders of sdxl, with their widths: text_encoder \({WIDTH}\), text_encoder_2 \({WIDTH_2}\)\. {held}"
    with pytest.raises(EmbeddingMismatchError, match=expected):
        converted(found, sdxl)


def test_a_file_of_two_encoders_is_refused_by_a_model_of_one(sd):
    with pytest.raises(EmbeddingMismatchError, match="encoders of sd, with their widths"):
        converted(foreign(text_encoder=WIDTH, text_encoder_2=WIDTH_2), sd)


def test_an_unnamed_tensor_that_fits_two_encoders_is_refused(sdxl):
    alike = copy.copy(sdxl)
    alike.encoders = dict.fromkeys(sdxl.encoders, sdxl.encoders["text_encoder"])
    with pytest.raises(EmbeddingMismatchError, match="fits text_encoder and text_encoder_2 alike"):
        converted(nameless(WIDTH), alike)


def test_a_class_word_without_tokens_is_refused_at_once(sd):
    with pytest.raises(InvalidSettingError, match="class_word"):
        convert(nameless(WIDTH), family=sd, trigger="my-dog", class_word=" ", normalize=False)
