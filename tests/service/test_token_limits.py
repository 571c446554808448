"""A prompt's tokens, counted without a model: the same as the model's own."""

import pytest

from dti.families import load
from dti.spec.prompts import parse_prompt
from dti.tokens import Placeholder, tokenize
from service.catalogue.token_limits import _tokenizers
from tests.checkpoints import CHECKPOINTS

PROMPTS = ("a photo of the dog", "", "<my-dog>", " A red <my-dog> on the beach, with <my-dog>: xyz ", "zebra")


@pytest.fixture(scope="module", params=["sd-2-velocity", "sana"])
def encoders(request, tmp_path_factory):
    """Of a family that writes nothing around a prompt, and of one with an instruction before it."""
    checkpoint = CHECKPOINTS[request.param]
    family = load(checkpoint.family, checkpoint.build(tmp_path_factory.mktemp(request.param)), device="cpu")
    return family.encoders, family.card()["encoders"]


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_count_of_tokens_is_that_of_the_model(encoders, prompt):
    models, cards = encoders
    tokenized = tokenize(parse_prompt(prompt), models, {"my-dog": Placeholder("dog", dict.fromkeys(models, 3))})
    for ruler in _tokenizers(cards):
        padding = models[ruler.encoder].frame.padding
        read = sum(token != padding for token in tokenized.inputs[ruler.encoder].ids)
        assert ruler.tokens(prompt, {"my-dog": {ruler.encoder: 3}}) == read


@pytest.mark.parametrize("prompt", ["a red dog, " * 20, "a BREAK <my-dog> BREAK", "(a:1.2) " * 60, "<my-dog> " * 40])
def test_the_count_of_a_long_prompts_tokens_is_that_of_the_models_chunks(encoders, prompt):
    models, cards = encoders
    placeholder = {"my-dog": Placeholder("dog", dict.fromkeys(models, 3))}
    for ruler in _tokenizers(cards):
        frame = models[ruler.encoder].frame
        if frame.chunks == 1:
            continue
        tokenized = tokenize(parse_prompt(prompt, "a1111"), models, placeholder)
        tokens = ruler.tokens(prompt, {"my-dog": {ruler.encoder: 3}}, "a1111")
        chunks = -(-(tokens - ruler.frame) // frame.words)
        assert chunks == len(tokenized.inputs[ruler.encoder].ids) // frame.limit
