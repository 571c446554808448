"""The tokenizer of the bundled model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import CLIPTokenizer

from tools.tiny.captions import compose, vocabulary
from tools.tiny.vocabulary import POSITIONS, build_tokenizer, learn_merges, trained_ids
from tools.tiny.world import choose_scene


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer()


def test_every_word_is_one_token(tokenizer):
    counts = {word: len(tokenizer(word)["input_ids"]) - 2 for word in vocabulary()}
    assert set(counts.values()) == {1}


def test_all_captions_fit_the_positions(tokenizer):
    rng = np.random.default_rng(0)
    lengths = [len(tokenizer(compose(choose_scene(rng), rng).text, truncation=False)["input_ids"]) for _ in range(400)]
    assert np.mean(np.asarray(lengths) <= POSITIONS) > 0.99


def test_the_special_tokens_close_the_table(tokenizer):
    assert (tokenizer.bos_token_id, tokenizer.eos_token_id) == (len(tokenizer) - 2, len(tokenizer) - 1)
    assert {tokenizer.bos_token_id, tokenizer.eos_token_id} <= set(trained_ids(tokenizer))


@given(st.text(max_size=30))
@settings(deadline=None, max_examples=100, derandomize=True)
def test_any_text_has_tokens(text):
    tokenizer = build_tokenizer_once()
    ids = tokenizer(text, truncation=True)["input_ids"]
    assert 2 <= len(ids) <= POSITIONS
    assert all(0 <= number < len(tokenizer) for number in ids)


def build_tokenizer_once(built=[]):  # noqa: B006 - hypothesis calls the test many times; one tokenizer serves them all
    built.extend([] if built else [build_tokenizer()])
    return built[0]


def test_it_reads_back_as_it_was_written(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    read = CLIPTokenizer.from_pretrained(tmp_path)
    for text in ("a photo of a dog", "an Unheard-of Beast, 7 of them", ""):
        assert read(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert read.model_max_length == POSITIONS


def test_merges_are_learned_until_no_word_is_in_pieces():
    merges = learn_merges(["to", "photo", "tot"])
    assert {"".join(pair) for pair in merges} >= {"to</w>", "photo</w>", "tot</w>"}
