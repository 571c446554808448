import pytest
import torch

from dti.embeddings.embedding import Rows
from dti.encoders import class_rows
from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.methods import create
from dti.sphere import angle
from tests.unit.dti.laws import unit
from tests.unit.dti.methods.test_methods import Table, follow, settings_for, table

METHOD = create("subspace")


def start(class_word="dog", initial=None, encoder=None, **given):
    return METHOD.start(encoder or table(), class_word, settings_for(METHOD, **given), initial)


def pulled(**given):
    learned = start("stuffed animal", **given)
    settings = settings_for(METHOD, learning_rate=0.05)
    follow(METHOD, [learned], METHOD.optimizer([learned], settings), settings, (0, 20))
    return learned


def test_weights_start_as_one_for_the_class_word_itself():
    learned = start("stuffed animal")
    assert torch.equal(METHOD.vectors(learned), class_rows(table(), "stuffed animal", None))
    assert learned.parameters["w"].sum(dim=-1).tolist() == [1, 1]


def test_the_basis_has_the_vocabulary_rows_of_largest_cosine_without_zero_rows():
    vocabulary = table().vocabulary
    (basis,) = start("dog", basis_size=6).constants["basis"]
    cosines = [float(unit(row) @ unit(vocabulary[5])) for row in vocabulary if row.any()]
    nearest = sorted(cosines, reverse=True)[:6]
    assert (unit(basis) @ unit(vocabulary[5])).tolist() == pytest.approx(nearest, abs=1e-5)


def test_a_word_equal_to_another_is_first_in_its_own_basis():
    vocabulary = table().vocabulary
    vocabulary[4] = 3 * vocabulary[5]
    learned = start("dog", encoder=Table(vocabulary))
    assert torch.equal(METHOD.vectors(learned)[0], vocabulary[5])


@pytest.mark.parametrize(("width", "size"), [(768, 672), (16, 14), (1, 1)])
def test_the_default_basis_size_is_seven_eighths_of_the_width(width, size):
    vocabulary = torch.randn((800, width), generator=torch.Generator().manual_seed(1))
    assert start(encoder=Table(vocabulary)).constants["basis"].shape == (1, size, width)


def test_learned_rows_stay_in_the_span_of_their_own_words():
    learned = pulled(basis_size=5)
    for row, basis in zip(METHOD.vectors(learned).detach(), learned.constants["basis"], strict=True):
        inside = torch.linalg.lstsq(basis.T, row[:, None]).solution
        assert torch.allclose(basis.T @ inside, row[:, None], atol=1e-4)
    assert (METHOD.rotation(learned) > 0.05).all()


def test_a_basis_larger_than_the_vocabulary_is_refused():
    assert start(basis_size=39).constants["basis"].shape == (1, 39, 16)
    with pytest.raises(InvalidSettingError, match="40 is more than the 39 rows that text_encoder has") as caught:
        start(basis_size=40)
    assert caught.value.field == "basis_size"


@pytest.mark.parametrize("size", [5, None, 39])
def test_rows_in_the_span_can_be_continued(size):
    rows = METHOD.finish(pulled(basis_size=size))
    again = METHOD.finish(start("stuffed animal", rows, basis_size=size))
    assert torch.allclose(again.vectors, rows.vectors, atol=1e-5)
    assert angle(again.direction, rows.direction).max() < 1e-5


def test_rows_outside_the_span_are_refused_with_a_remedy():
    foreign = Rows(unit(torch.ones(1, 16)), torch.ones(1, 1))
    with pytest.raises(EmbeddingMismatchError, match=r"outside the class word's subspace.*Start at the class word"):
        start("dog", foreign, basis_size=5)
