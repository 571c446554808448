"""A1111's prompt syntax: weights, chunks and the hidden states that they make."""

import pytest
import torch

from dti.families import load
from dti.pictures import View
from dti.spec.attention import Break, Span, weighted
from dti.spec.chunks import Unit, chunked
from dti.spec.prompts import parse_prompt
from dti.tokens import Placeholder, tokenize
from tests.checkpoints.sdxl import stable_diffusion_xl
from tests.checkpoints.stable_diffusion import stable_diffusion

# The examples that A1111 publishes beside its parser.
PUBLISHED = {
    "normal text": [("normal text", 1.0)],
    "an (important) word": [("an ", 1.0), ("important", 1.1), (" word", 1.0)],
    "(unbalanced": [("unbalanced", 1.1)],
    r"\(literal\]": [("(literal]", 1.0)],
    "(unnecessary)(parens)": [("unnecessaryparens", 1.1)],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1.0),
        ("house", 1.573),
        (" ", 1.1),
        ("on", 1.0),
        (" a ", 1.1),
        ("hill", 0.55),
        (", sun, ", 1.1),
        ("sky", 1.4641),
        (".", 1.1),
    ],
}


@pytest.mark.parametrize("prompt", PUBLISHED)
def test_weights_are_those_that_a1111_publishes(prompt):
    spans = weighted(prompt)
    assert [span.text for span in spans] == [text for text, _ in PUBLISHED[prompt]]
    assert [span.weight for span in spans] == pytest.approx([weight for _, weight in PUBLISHED[prompt]])


def test_break_ends_a_chunk_only_as_a_word_of_its_own():
    assert weighted("a BREAK b") == [Span("a"), Break(), Span("b")]
    assert weighted("a BREAKFAST") == [Span("a BREAKFAST")]
    assert weighted("(a BREAK b:2)") == [Span("a", 2.0), Break(), Span("b", 2.0)]


@pytest.mark.parametrize("prompt", [")", "a:1.2)", "a]", "time: 12:30", "a:b"])
def test_a_closing_bracket_or_a_colon_alone_is_text(prompt):
    assert weighted(prompt) == [Span(prompt)]


COMMA = 9


def sizes(*units):
    return [[unit.ids for unit in chunk] for chunk in chunked(units, 6, COMMA)]


def tokens(*ids):
    return [Unit((token,)) for token in ids]


def test_tokens_fill_chunks_in_order():
    assert sizes(*tokens(1, 2, 3, 4, 5, 6, 7, 8)) == [[(1,), (2,), (3,), (4,), (5,), (6,)], [(7,), (8,)]]
    assert sizes() == [[]]
    assert sizes(*tokens(1), Break()) == [[(1,)]]
    assert sizes(*tokens(1), Break(), *tokens(2)) == [[(1,)], [(2,)]]


def test_a_phrase_behind_a_comma_moves_on_as_a_whole():
    assert sizes(*tokens(1, 2, 3, COMMA, 5, 6, 7)) == [[(1,), (2,), (3,), (9,)], [(5,), (6,), (7,)]]
    assert sizes(*tokens(1, 2, 3, 4, 5, COMMA, 7)) == [[(1,), (2,), (3,), (4,), (5,), (9,)], [(7,)]]
    assert sizes(*tokens(1, 2, 3, 4, COMMA, 6, COMMA)) == [[(1,), (2,), (3,), (4,), (9,), (6,)], [(9,)]]


def test_a_concepts_vectors_stay_in_one_chunk():
    assert sizes(*tokens(1, 2, 3, 4), Unit((0, 0, 0), 1.0, "dog")) == [[(1,), (2,), (3,), (4,)], [(0, 0, 0)]]


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def family(request, tmp_path_factory):
    build = {"sd": stable_diffusion, "sdxl": stable_diffusion_xl}[request.param]
    family = load(request.param, build(tmp_path_factory.mktemp(request.param)), device="cpu")
    # The last normalisation of an untrained encoder leaves a mean of 0, to which no states can be rescaled.
    for encoder in family.encoders.values():
        torch.nn.init.normal_(getattr(encoder.network, "text_model", encoder.network).final_layer_norm.bias, 0.3)
    return family


LONG = "a photo of the red dog, " * 12


def spliced(family, prompt, rows=None, syntax="a1111"):
    given = {"my-dog": Placeholder("dog", dict.fromkeys(family.encoders, 2))} if rows else {}
    pieces = parse_prompt(prompt, syntax)
    return tokenize(pieces, family.encoders, given).splice({"my-dog": rows} if rows else {})


def published_arithmetic(encoder, given, attribute):
    """A1111's: every chunk by itself, times the weights, rescaled to the mean of before; then side by side."""
    chunks = []
    for start in range(0, len(given.ids), encoder.frame.limit):
        ids = torch.tensor([given.ids[start : start + encoder.frame.limit]])
        output = encoder.network(ids, output_hidden_states=True)
        z = {"last": output.last_hidden_state, "penultimate": output.hidden_states[-2]}[attribute]
        weights = (given.weights or (1.0,) * len(given.ids))[start : start + encoder.frame.limit]
        before = z.mean()
        z = z * torch.tensor(weights).reshape(1, -1, 1).expand(z.shape)
        chunks.append(z * (before / z.mean()))
    return torch.hstack(chunks)


@pytest.mark.parametrize(
    "prompt",
    ["a (red:1.4) dog", "(a [photo]) of the dog BREAK a red cat", LONG, f"{LONG} (on the beach:0.7)", "(red)"],
)
@torch.no_grad()
def test_hidden_states_equal_a1111s_published_arithmetic(family, prompt):
    for name, encoder in family.encoders.items():
        given = spliced(family, prompt).inputs[name]
        read = encoder.read([given])
        for attribute in ("last", "penultimate"):
            expected = published_arithmetic(encoder, given, attribute)
            torch.testing.assert_close(getattr(read, attribute), expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_the_pooled_vector_is_the_first_chunks(family):
    for name, encoder in family.encoders.items():
        long, first = (
            encoder.read([spliced(family, prompt).inputs[name]]).pooled for prompt in ("a dog BREAK a cat", "a dog")
        )
        torch.testing.assert_close(long, first)


@torch.no_grad()
def test_rows_of_a_concept_reach_the_chunk_in_which_they_stand(family):
    rows = {name: torch.randn(2, encoder.width) for name, encoder in family.encoders.items()}
    for name, encoder in family.encoders.items():
        size = encoder.frame.limit
        long = encoder.read([spliced(family, f"{LONG} BREAK <my-dog>", rows).inputs[name]]).last
        alone = encoder.read([spliced(family, "<my-dog>", rows).inputs[name]]).last
        torch.testing.assert_close(long[:, -size:], alone, atol=1e-5, rtol=0)


@torch.no_grad()
def test_padding_behind_a_short_prompt_does_not_reach_the_denoiser(family):
    short, long = spliced(family, "a red cat"), spliced(family, LONG)
    latents, times = torch.randn(2, *family.latent_shape(32, 32)), torch.tensor([500, 500])
    together = family.predict(latents, times, family.condition([short, long], [View.whole(32, 32)] * 2))
    for number, prompt in enumerate((short, long)):
        alone = family.condition([prompt], [View.whole(32, 32)])
        assert "mask" not in alone
        expected = family.predict(latents[number : number + 1], times[:1], alone)
        torch.testing.assert_close(together[number : number + 1], expected, atol=1e-4, rtol=0)


def test_clip_skip_reads_an_earlier_layer_normalised_as_diffusers_does(family):
    encoder = family.encoders["text_encoder"]
    given = spliced(family, "a red dog").inputs["text_encoder"]
    with torch.no_grad():
        output = encoder.network(torch.tensor([given.ids]), output_hidden_states=True)
        network = getattr(encoder.network, "text_model", encoder.network)
        expected = network.final_layer_norm(output.hidden_states[-2])
        torch.testing.assert_close(encoder.read([given, given], [2, 1]).last[:1], expected)
        torch.testing.assert_close(encoder.read([given, given], [2, 1]).last[1:], output.last_hidden_state)
