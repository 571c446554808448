import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dti.embeddings.embedding import Embedding, Rows
from dti.embeddings.mixing import blend, interpolate
from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.sphere import angle
from tests.unit.dti.embeddings import random_embedding, same_rows
from tests.unit.dti.laws import law, other_seeds, seeds

TWO = (("text_encoder", 8), ("text_encoder_2", 768))
methods = st.sampled_from(["slerp", "lerp"])
shares = st.floats(0, 1)
counts = st.integers(1, 3)


def two(seed, other, count):
    a = random_embedding(seed, count=count, widths=TWO, magnitude=0.4, trigger="a", class_word="dog")
    return a, random_embedding(other, count=count, widths=TWO, magnitude=0.8, trigger="b", class_word="cat")


def at(*row):
    """A concept of one row."""
    return replace(random_embedding(), rows={"text_encoder": Rows(torch.tensor([row]), torch.ones(1, 1))})


@law
@given(seeds, other_seeds, counts, shares, methods)
def test_every_point_between_two_concepts_is_an_embedding_of_their_checkpoint(seed, other, count, share, method):
    a, b = two(seed, other, count)
    point = interpolate(a, b, share, method)
    point.check_fits(family=a.family, fingerprint=a.fingerprint, widths=dict(TWO))
    assert same_rows(Embedding.from_bytes(point.to_bytes()), point)
    assert (point.method, point.settings, point.steps) == (method, {"from": "a", "to": "b", "share": share}, 0)
    assert (point.trigger, point.class_word) == ("a", "dog")


@law
@given(seeds, other_seeds, counts, methods)
def test_shares_0_and_1_are_the_concepts_bit_for_bit(seed, other, count, method):
    a, b = two(seed, other, count)
    assert same_rows(interpolate(a, b, 0.0, method), a)
    assert same_rows(interpolate(a, b, 1.0, method), b)


@law
@given(seeds, other_seeds, counts, shares, methods)
def test_interpolation_is_symmetric(seed, other, count, share, method):
    a, b = two(seed, other, count)
    assert same_rows(interpolate(a, b, share, method), interpolate(b, a, 1 - share, method), tolerance=2e-6)


@law
@given(seeds, other_seeds, counts, shares)
def test_slerp_rotates_evenly_and_interpolates_magnitudes_linearly(seed, other, count, share):
    a, b = two(seed, other, count)
    point = interpolate(a, b, share, "slerp")
    for name, rows in point.rows.items():
        start, end = a.rows[name].direction, b.rows[name].direction
        assert torch.allclose(angle(start, rows.direction), share * angle(start, end), atol=2e-6)
        assert torch.allclose(rows.magnitude, torch.tensor(0.4 + 0.4 * share), atol=1e-6)


@law
@given(seeds, other_seeds, counts, shares)
def test_lerp_follows_the_chord_between_the_rows(seed, other, count, share):
    a, b = two(seed, other, count)
    point = interpolate(a, b, share, "lerp")
    for name, rows in point.rows.items():
        chord = (1 - share) * a.rows[name].vectors + share * b.rows[name].vectors
        assert torch.allclose(rows.vectors, chord, atol=1e-6)


def test_at_the_midpoint_slerp_keeps_the_norm_and_lerp_shrinks_it():
    a, b = at(1.0, 0.0), at(0.0, 1.0)
    assert float(interpolate(a, b, 0.5, "slerp").rows["text_encoder"].magnitude) == pytest.approx(1)
    assert float(interpolate(a, b, 0.5, "lerp").rows["text_encoder"].magnitude) == pytest.approx(math.sqrt(0.5))


def test_antipodes_interpolate_by_slerp_and_are_refused_by_lerp_at_zero():
    a, b = at(1.0, 0.0), at(-1.0, 0.0)
    halfway = interpolate(a, b, 0.5, "slerp").rows["text_encoder"].direction
    assert float(angle(a.rows["text_encoder"].direction, halfway)) == pytest.approx(math.pi / 2)
    with pytest.raises(EmbeddingMismatchError, match="cancel"):
        interpolate(a, b, 0.5, "lerp")


@pytest.mark.parametrize("share", [-0.01, 1.01, math.nan, math.inf])
def test_a_share_outside_0_to_1_is_refused(share):
    with pytest.raises(InvalidSettingError, match="share"):
        interpolate(*two(0, 1, 1), share, "slerp")


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (random_embedding(widths=TWO, family="sdxl"), "families"),
        (random_embedding(widths=TWO, count=2), "vectors"),
        (random_embedding(widths=TWO[:1]), "vectors"),
        (random_embedding(widths=(TWO[0], ("text_encoder_2", 12))), "widths"),
    ],
)
def test_embeddings_of_different_models_or_shapes_are_not_mixed(other, complaint):
    with pytest.raises(EmbeddingMismatchError, match=complaint):
        interpolate(random_embedding(widths=TWO), other, 0.5, "slerp")
    with pytest.raises(EmbeddingMismatchError, match=complaint):
        blend([(random_embedding(widths=TWO), 1.0), (other, 1.0)])


@law
@given(seeds, counts, st.floats(1e-3, 1e3))
def test_a_blend_of_one_concept_is_that_concept(seed, count, weight):
    a = random_embedding(seed, count=count, widths=TWO)
    assert same_rows(blend([(a, weight)]), a, tolerance=1e-6)


@law
@given(seeds, other_seeds, counts, st.floats(0.01, 0.99), st.floats(0.1, 100))
def test_a_blend_of_two_equals_their_slerp(seed, other, count, share, scale):
    a, b = two(seed, other, count)
    assert same_rows(
        blend([(a, scale * (1 - share)), (b, scale * share)]), interpolate(a, b, share, "slerp"), tolerance=2e-6
    )


def test_a_blends_settings_list_its_parts():
    a, b = two(0, 1, 2)
    mixture = blend([(a, 1.0), (b, 3.0)])
    assert (mixture.method, mixture.steps) == ("blend", 0)
    assert mixture.settings == {"parts": [{"concept": "a", "weight": 1.0}, {"concept": "b", "weight": 3.0}]}
    assert same_rows(Embedding.from_bytes(mixture.to_bytes()), mixture)


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
def test_a_weight_that_is_not_positive_is_refused(weight):
    a, b = two(0, 1, 1)
    with pytest.raises(InvalidSettingError, match="weight"):
        blend([(a, 1.0), (b, weight)])


def test_an_empty_blend_is_refused():
    with pytest.raises(InvalidSettingError, match="parts"):
        blend([])


def test_concepts_of_two_checkpoints_of_a_family_are_interpolated_but_not_blended():
    here, there = random_embedding(widths=TWO), random_embedding(widths=TWO, fingerprint="e")
    assert interpolate(here, there, 0.5, "slerp").fingerprint == here.fingerprint
    with pytest.raises(EmbeddingMismatchError, match="fingerprints"):
        blend([(here, 1.0), (there, 1.0)])
