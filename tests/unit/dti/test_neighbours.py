import copy

import pytest
import torch

from dti.embeddings.embedding import Embedding, Rows
from dti.errors import EmbeddingMismatchError
from dti.neighbours import nearest, neighbours
from dti.sphere import normalize
from tests.unit.dti.works import concept


def pointing(family, word, magnitude=3.0):
    """A concept whose rows point where a word of the vocabulary does."""
    rows = {}
    for name, encoder in family.encoders.items():
        row = encoder.vocabulary[encoder.word_ids(word)[:1]].detach().float()
        rows[name] = Rows(normalize(row), torch.full((1, 1), magnitude))
    return Embedding(**{**vars(concept(family)), "rows": rows})


def test_a_row_in_a_words_direction_is_nearest_to_it_at_any_norm(family):
    for found in neighbours(pointing(family, "dog"), family, 3).values():
        ((best, *others),) = found
        assert best["token"].strip() == "dog"
        assert best["cosine"] == pytest.approx(1)
        assert all(one["cosine"] < 0.999 for one in others)


def test_neighbours_are_the_largest_cosines_in_order(family):
    embedding = concept(family, vectors=3)
    for name, found in neighbours(embedding, family, 4).items():
        vocabulary = normalize(family.encoders[name].vocabulary.detach().float())
        cosines = embedding.rows[name].direction @ vocabulary.nan_to_num().T
        assert len(found) == 3
        for near, row in zip(found, cosines, strict=True):
            values = [one["cosine"] for one in near]
            assert len(values) == 4
            assert values == sorted(values, reverse=True)
            # At most the special tokens lie between: they are no words.
            assert sum(row > values[-1] + 1e-6) <= 3 + len(special(family.encoders[name]))


def special(encoder):
    added = encoder.tokenizer.get_added_tokens_decoder()
    return {token for token, one in added.items() if one.special}


def test_special_tokens_are_excluded(family):
    for name, encoder in family.encoders.items():
        words = encoder.tokenizer
        for token in special(encoder):
            row = encoder.vocabulary[token : token + 1].detach().float()
            if row.any():
                (near,) = nearest(normalize(row), encoder, 5)
                assert words.id_to_token(token) not in {one["token"] for one in near}, name


class Widened:
    """A real encoder with a table of one's own."""

    def __init__(self, encoder, vocabulary):
        self.tokenizer, self.vocabulary = encoder.tokenizer, vocabulary


def test_zero_rows_and_rows_without_a_token_are_excluded(family):
    for encoder in family.encoders.values():
        count, width = encoder.vocabulary.shape
        table = torch.zeros(count + 5, width)
        dog, cat = encoder.word_ids("dog")[0], encoder.word_ids("cat")[0]
        table[dog, 0], table[cat, 1], table[count:, 0] = 2.0, -1.0, 1.0
        (near,) = nearest(torch.nn.functional.one_hot(torch.tensor([0]), width).float(), Widened(encoder, table), 50)
        assert [one["token"].strip() for one in near] == ["dog", "cat"]
        assert [one["cosine"] for one in near] == [1.0, 0.0]


def test_a_chunked_search_gives_the_same_result(family, monkeypatch):
    embedding = concept(family)
    whole = neighbours(embedding, family, 5)
    monkeypatch.setattr("dti.neighbours._CHUNK_ROWS", 7)
    parts = neighbours(embedding, family, 5)
    for name in whole:
        assert [one["token"] for one in whole[name][0]] == [one["token"] for one in parts[name][0]]


def test_a_clip_token_that_begins_a_word_differs_from_the_whole_word(family):
    for encoder in family.encoders.values():
        words = encoder.tokenizer
        piece, whole = words.token_to_id("d"), words.token_to_id("d</w>")
        if whole is None:
            continue
        found = [nearest(normalize(encoder.vocabulary[[token]].detach()), encoder, 1)[0][0] for token in (piece, whole)]
        assert [one["token"] for one in found] == ["d…", "d"]


def test_every_token_is_spelled_in_printable_characters(family):
    for found in neighbours(concept(family), family, 10**6).values():
        assert all(one["token"].strip() and one["token"].isprintable() for one in found[0])


def test_no_more_neighbours_than_tokens_are_returned(family):
    for name, encoder in family.encoders.items():
        (near,) = neighbours(concept(family), family, 10**6)[name]
        assert 10 < len(near) <= len(encoder.vocabulary)


def test_rows_of_another_model_are_refused(family):
    other = copy.copy(family)
    other.fingerprint = "another"
    with pytest.raises(EmbeddingMismatchError):
        neighbours(concept(family), other, 3)
