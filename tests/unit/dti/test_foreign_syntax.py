"""Other tools' prompt syntax is found; ordinary prompts have none."""

import pytest

from dti.spec.foreign_syntax import FOREIGN, foreign_syntax

EXAMPLES = {
    "embedding": ("embedding:owl", "a photo of embedding:my-owl.pt, night", "(embedding:owl:1.2)"),
    "weight": ("(<owl>:1.4)", "a (red hat:0.8) on", "(cat: 1.2)", "(a:-1)"),
    "emphasis": ("((<owl>))", "(((masterpiece)))", "a (<owl>)"),
    "scheduled": ("[cat:dog:0.5]", "[<owl>:cat:10]", "[cat::0.5]", "[:cat:0.3]", "[cat:0.5]"),
    "alternating": ("[<owl>|cat]", "[a|b|c]", "a [red | blue] hat"),
    "attenuation": ("[[blurry]]", "[<owl>]", "a [[<owl>]]"),
    "escape": (r"saber \(fate\)", r"a \[b\]", r"owl \( x"),
    "break": ("<owl> BREAK a hat", "a cat, BREAK", "BREAK dog"),
    "composition": ("<owl> AND a hat", "a cat AND a dog", "a AND b:0.5"),
    "choice": ("a {red|blue} hat", "{owl}", "{{masterpiece}}"),
    "wildcard": ("__owl__", "a __colour/red__ hat", "__animals-*__"),
    "compel": ("an owl++ hat", "(an owl)-- hat", '("owl", "cat").blend(0.5, 0.5)', "(red hat)+"),
    "midjourney_weight": ("owl::2 cat::1", "hot:: dog", "a <owl>::1.5"),
    "midjourney_parameter": ("<owl> --ar 16:9", "a cat --v 6", "owl --no hat"),
    "placeholder": ("a photo of {}", "{} on grass", "<owl> and {}"),
    "unclosed": ("a photo of <owl", "a <owl on grass", "a <my-owl, red", "a ＜owl at night"),
}

ORDINARY = (
    "a photo of <owl>",
    "a dog (golden retriever) on grass",
    "a dog [sic], 4:3",
    "a dog <3 a cat",
    "x < y",
    "salt and pepper - C+ grade, 16:9",
    "rock'n'roll & SAND, AND",
    "a (very) red hat: nice",
    "two-storey house --- old",
    "<owl> <my_cat>",
)


def test_every_construct_has_at_least_three_examples():
    assert EXAMPLES.keys() == FOREIGN.keys()
    assert min(map(len, EXAMPLES.values())) >= 3


@pytest.mark.parametrize(("name", "prompt"), [(name, prompt) for name, some in EXAMPLES.items() for prompt in some])
def test_a_construct_is_found_and_said(name, prompt):
    (finding,) = [finding for finding in foreign_syntax(prompt) if finding.syntax == name]
    assert finding.text.strip("\0")
    assert finding.text in finding.message
    assert FOREIGN[name].tool in finding.message


@pytest.mark.parametrize("prompt", ORDINARY)
def test_an_ordinary_prompt_has_none(prompt):
    assert foreign_syntax(prompt) == []


def test_the_concepts_place_is_no_foreign_syntax_where_it_stands_for_the_concept():
    assert foreign_syntax("a photo of {}", placeholder=True) == []
    assert [finding.syntax for finding in foreign_syntax("({}:1.2)", placeholder=True)] == ["weight"]
