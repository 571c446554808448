"""Prompts: text between angle brackets is a concept in any spelling; relations, hearts and arrows are text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dti.spec.prompts import NAME_PATTERN, Text, Trigger, nearest, parse_prompt, triggers

SPELLINGS = (
    ("<owl>", "owl"),
    ("<Owl>", "owl"),
    ("<OWL>", "owl"),
    ("< owl >", "owl"),
    ("<\towl\n>", "owl"),
    ("<<owl>>", "owl"),
    ("‹owl›", "owl"),
    ("＜owl＞", "owl"),
    ("＜ｏｗｌ＞", "owl"),
    ("〈owl〉", "owl"),
    ("⟨owl⟩", "owl"),
    ("«owl»", "owl"),
    ("《owl》", "owl"),
    ("&lt;owl&gt;", "owl"),
    ("&LT;owl&GT;", "owl"),
    ("&#60;owl&#x3E;", "owl"),
    (r"\<owl\>", "owl"),
    ("<o\u200bwl>", "owl"),
    ("<\u00a0owl\u00a0>", "owl"),
    ("<my_owl>", "my-owl"),
    ("<my owl>", "my-owl"),
    ("<My-Owl>", "my-owl"),
    ("< my owl >", "my-owl"),
    ("<my\u2011owl>", "my-owl"),
    ("<my–owl>", "my-owl"),
    ("<my--owl>", "my--owl"),
    ("<3>", "3"),
)

NO_NAMES = (
    ("<lora:owl:0.8>", "lora:owl:0.8"),
    ("<hypernet:owl:1>", "hypernet:owl:1"),
    ("<owl:1.2>", "owl:1.2"),
    ("<оwl>", "оwl"),
    ("<owl, hat>", "owl, hat"),
    ("<|endoftext|>", "|endoftext|"),
    ("</b>", "/b"),
    ("<zoé>", "zoé"),
)

TEXTS = (
    "a dog <3 a cat",
    "I <3 owls and cats > dogs",
    "a broken heart </3",
    "x < y",
    "x < y and y > z",
    "a<b and c>d",
    "1 < 2 > 0",
    "3<5>2",
    "a < b > c",
    "temperature < 30 degrees and humidity > 50",
    "<18 years and >60 years",
    "x <= y and z >= w",
    "a <- b -> c",
    "left <-> right",
    "a <> b",
    "< >",
    ">_< face",
    "cat => dog",
    "un panneau «bonjour le monde»",
    "вывеска «Привет»",
    "a house > a tent < a castle",
    "sum << 2",
)


@pytest.mark.parametrize(("written", "name"), SPELLINGS)
def test_any_spelling_of_a_trigger_is_the_same_prompt(written, name):
    assert parse_prompt(f"a photo of {written} on grass") == parse_prompt(f"a photo of <{name}> on grass")
    assert triggers(written) == (name,)


@pytest.mark.parametrize(("written", "name"), NO_NAMES)
def test_text_between_brackets_that_is_no_name_is_a_trigger_that_no_concept_has(written, name):
    assert parse_prompt(f"a {written} on grass") == (Text("a"), Trigger(name), Text(" on grass"))


@pytest.mark.parametrize("prompt", TEXTS)
def test_relations_hearts_arrows_and_quotations_stay_text(prompt):
    assert parse_prompt(prompt) == (Text(prompt),)


@given(name=st.from_regex(NAME_PATTERN, fullmatch=True), before=st.text("abc ,"), after=st.text("abc ,"))
def test_every_name_in_brackets_is_a_trigger(name, before, after):
    assert triggers(f"{before}<{name}>{after}") == (name,)


@given(st.text("<>‹›«»&lt;gt; ab3-=", max_size=60))
def test_no_character_outside_of_triggers_is_lost(prompt):
    words = "".join(piece.words for piece in parse_prompt(prompt) if isinstance(piece, Text))
    plain = "".join(prompt.split())
    if not triggers(prompt):
        assert "".join(words.split()) == plain


def test_a_misspelt_name_has_a_nearest_one():
    assert nearest("my_owl", ["cat", "my-owl"]) == "my-owl"
    assert nearest("owll", ["cat", "owl"]) == "owl"
    assert nearest("lora:owl:0.8", ["owl"]) == "owl"
    assert nearest("zebra", ["owl"]) is None
