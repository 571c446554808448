"""Which of the text model's outputs the denoiser hears in training."""

import numpy as np
import pytest
import torch

from tools.tiny.captions import Caption
from tools.tiny.hearing import EMPTY, FALSE_WORDS, NOUN, PLAIN, SHARES, Layout, choose_kinds, hear
from tools.tiny.networks import build_text_model
from tools.tiny.reading import read, tokenize
from tools.tiny.vocabulary import build_tokenizer

POSITIONS = 6


def states(count):
    """States that tell caption and position: caption * 100 + position."""
    return (100 * torch.arange(count)[:, None] + torch.arange(POSITIONS)).float()[..., None]


def heard(kinds, nouns, ends, *, alone=False):
    count = len(kinds)
    layout = Layout(*(torch.tensor(part) for part in (nouns, ends, kinds)), torch.full((count,), alone))
    return hear(states(count), -torch.ones(1, POSITIONS, 1), layout)[..., 0].tolist()


def test_plain_captions_are_heard_as_they_are():
    assert heard([PLAIN, PLAIN], [2, 3], [3, 4]) == states(2)[..., 0].tolist()


def test_a_noun_stands_alone_among_the_outputs_of_another_caption_in_the_place_of_its_noun():
    first, second = heard([PLAIN, NOUN], [3, 2], [4, 3])
    assert first == [0, 1, 2, 3, 4, 5]
    assert second == [0, 1, 2, 102, 4, 5]


def test_a_noun_among_nothing_stays_where_it_is():
    assert heard([PLAIN, NOUN], [3, 2], [4, 3], alone=True)[1] == [-1, -1, 102, -1, -1, -1]
    assert heard([EMPTY, NOUN], [1, 2], [1, 3])[1] == [-1, -1, 102, -1, -1, -1]


def test_false_words_leave_noun_and_end_true():
    _, second = heard([PLAIN, FALSE_WORDS], [1, 3], [4, 5])
    assert second == [100, 101, 2, 103, 104, 105]


def test_kinds_come_in_their_shares_and_pairs_are_never_told_by_one_noun():
    rng = np.random.default_rng(0)
    kinds = choose_kinds(rng, np.zeros(20_000, bool))
    assert np.bincount(kinds) / len(kinds) == pytest.approx(SHARES, abs=0.02)
    assert NOUN not in choose_kinds(rng, np.ones(1000, bool))


@torch.no_grad()
def test_a_row_takes_the_noun_s_place_and_no_other():
    tokenizer = build_tokenizer()
    torch.manual_seed(0)
    text_model = build_text_model(tokenizer).eval()
    captions = [Caption("a photo of a dog in the snow", "dog", in_front=False), Caption("", "", in_front=True)]
    tokens = tokenize(tokenizer, captions)
    assert tokens.nouns.tolist() == [5, 1]
    assert tokens.ends.tolist() == [9, 1]
    plain = read(text_model, tokens.ids)
    row = torch.randn(1, plain.shape[-1])
    put = read(text_model, tokens.ids, row, (torch.tensor([0]), tokens.nouns[:1]))
    assert torch.equal(put[1], plain[1])
    assert torch.allclose(put[0, :5], plain[0, :5], atol=1e-6)
    assert (put[0, 5:] - plain[0, 5:]).abs().amax(1).min() > 1e-3
    assert torch.equal(read(text_model, tokens.ids), plain)
