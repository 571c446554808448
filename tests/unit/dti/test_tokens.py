import copy
from functools import partial

import pytest
import torch
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from dti.errors import InvalidSettingError, PromptTooLongError, UnknownTriggerError
from dti.families import load
from dti.spec.prompts import parse_prompt
from dti.tokens import Placeholder, spliced, tokenize
from tests.checkpoints.sdxl import stable_diffusion_xl
from tests.checkpoints.stable_diffusion import TOKENS, stable_diffusion

PROMPTS = (
    "a photo of <my-dog> on the beach",
    "<my-dog>",
    "<cat> and <cat-1>: a painting of <cat>, in the style of <cat-1>!",
    "A <my-dog>'s  red    cat",
)
CONCEPTS = {"my-dog": 1, "cat": 2, "cat-1": 3}


ENCODERS = {
    "sd": (partial(stable_diffusion, legacy_eos=True), "text_encoder"),
    "sd-padded": (partial(stable_diffusion, padding="!"), "text_encoder"),
    "sdxl": (stable_diffusion_xl, "text_encoder_2"),
    "sdxl-legacy": (partial(stable_diffusion_xl, legacy_eos=True), "text_encoder_2"),
}
"""CLIP without and with a projection, the end token's two meanings, both kinds of padding."""


@pytest.fixture(scope="module", params=ENCODERS)
def checkpoint_and_encoder(request, tmp_path_factory):
    """A checkpoint, and one of its text encoders."""
    build, encoder = ENCODERS[request.param]
    folder = build(tmp_path_factory.mktemp(request.param))
    return folder, load(request.param.partition("-")[0], folder, device="cpu").encoders[encoder]


@pytest.fixture
def checkpoint(checkpoint_and_encoder):
    return checkpoint_and_encoder[0]


@pytest.fixture
def encoder(checkpoint_and_encoder):
    return checkpoint_and_encoder[1]


def placeholders(encoder, class_word="stuffed animal"):
    return {name: Placeholder(class_word, {encoder.name: count}) for name, count in CONCEPTS.items()}


def vectors(encoder, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: {encoder.name: torch.randn(count, encoder.width, generator=generator)} for name, count in CONCEPTS.items()
    }


def tokenized(encoder, prompt, **options):
    return tokenize(parse_prompt(prompt), {encoder.name: encoder}, placeholders(encoder, **options))


def input_of(encoder, prompt, rows):
    return tokenized(encoder, prompt).splice(rows).inputs[encoder.name]


def read_with_a_resized_table(checkpoint, encoder, prompt, rows):
    """The ordinary implementation: new tokens in the tokenizer, new rows in the table, names replaced in the prompt."""
    tokenizer = CLIPTokenizer.from_pretrained(checkpoint / encoder.name.replace("text_encoder", "tokenizer"))
    kind = CLIPTextModel if encoder.name == "text_encoder" else CLIPTextModelWithProjection
    model = kind.from_pretrained(checkpoint / encoder.name)
    end = tokenizer.eos_token_id
    for name in sorted(CONCEPTS, key=len, reverse=True):
        tokens = [f"new{name}x{i}".replace("-", "q") for i in range(CONCEPTS[name])]
        tokenizer.add_tokens(tokens)
        prompt = prompt.replace(f"<{name}>", " ".join(tokens))
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
        with torch.no_grad():
            model.get_input_embeddings().weight[tokenizer.convert_tokens_to_ids(tokens)] = rows[name][encoder.name]
    ids = tokenizer(prompt, padding="max_length", max_length=TOKENS, return_tensors="pt").input_ids
    with torch.no_grad():
        hidden = model(ids).last_hidden_state
        at_the_end = hidden[:, int((ids[0] == end).nonzero()[0])]
        return hidden, model.text_projection(at_the_end) if hasattr(model, "text_projection") else at_the_end


@pytest.mark.parametrize("prompt", PROMPTS)
def test_spliced_rows_read_the_same_as_a_resized_table(encoder, checkpoint, prompt):
    rows = vectors(encoder)
    expected, _ = read_with_a_resized_table(checkpoint, encoder, prompt, rows)
    hidden = encoder.read([input_of(encoder, prompt, rows)]).last
    torch.testing.assert_close(hidden, expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_pooled_state_is_the_one_at_the_end_of_the_prompt(encoder, checkpoint, prompt):
    rows = vectors(encoder)
    _, expected = read_with_a_resized_table(checkpoint, encoder, prompt, rows)
    vector = encoder.read([input_of(encoder, prompt, rows)]).pooled
    torch.testing.assert_close(vector, expected, atol=2e-6, rtol=0)


def test_prompts_of_a_batch_are_independent(encoder):
    inputs = [input_of(encoder, prompt, vectors(encoder, seed)) for seed, prompt in enumerate(PROMPTS)]
    together = encoder.read(inputs).last
    alone = torch.cat([encoder.read([line]).last for line in inputs])
    torch.testing.assert_close(together, alone, atol=2e-6, rtol=0)


def test_encoding_changes_no_table_and_no_tokenizer_and_leaves_no_hook(encoder):
    table, tokenizer = encoder.vocabulary.clone(), encoder.tokenizer.to_str()
    rows = {name: {at: one.requires_grad_() for at, one in of.items()} for name, of in vectors(encoder).items()}
    hidden = encoder.read([input_of(encoder, prompt, rows) for prompt in PROMPTS]).last
    hidden.square().sum().backward()
    assert torch.equal(encoder.vocabulary, table)
    assert encoder.vocabulary.grad is None
    assert encoder.tokenizer.to_str() == tokenizer
    assert not encoder.network.get_input_embeddings()._forward_hooks


def test_the_hook_is_removed_after_an_error(encoder):
    look_up = encoder.network.get_input_embeddings()
    with pytest.raises(ZeroDivisionError), spliced(look_up, [input_of(encoder, PROMPTS[0], vectors(encoder))]):
        raise ZeroDivisionError
    assert not look_up._forward_hooks


def test_gradients_reach_every_row_of_every_concept_and_only_those_in_the_prompt(encoder):
    rows = {name: {at: one.requires_grad_() for at, one in of.items()} for name, of in vectors(encoder).items()}
    hidden = encoder.read([input_of(encoder, PROMPTS[2], rows)]).last
    hidden.square().sum().backward()
    assert (rows["cat"][encoder.name].grad.norm(dim=1) > 0).all()
    assert (rows["cat-1"][encoder.name].grad.norm(dim=1) > 0).all()
    assert rows["my-dog"][encoder.name].grad is None


def test_a_prompt_is_framed_and_padded_as_by_the_models_own_tokenizer(encoder, checkpoint):
    tokenizer = CLIPTokenizer.from_pretrained(checkpoint / encoder.name.replace("text_encoder", "tokenizer"))
    prompt = "a photo of the dog on the beach"
    line = tokenized(encoder, prompt).inputs[encoder.name]
    assert list(line.ids) == tokenizer(prompt, padding="max_length", max_length=TOKENS).input_ids


def test_a_concepts_positions_repeat_its_class_words_tokens(encoder):
    line = tokenized(encoder, "a <cat-1>").inputs[encoder.name]
    stuffed, animal = encoder.word_ids("stuffed animal")
    assert [line.ids[reserved.position] for reserved in line.concepts] == [stuffed, animal, stuffed]


def test_a_users_begin_and_end_tokens_are_dropped(encoder):
    assert encoder.word_ids("a <|endoftext|> cat<|startoftext|>") == encoder.word_ids("a cat")


def test_a_prompt_of_exactly_the_limit_is_accepted_and_one_token_more_is_refused(encoder):
    frame = encoder.frame
    available, limit = frame.chunks * (TOKENS - 2), frame.token_limit
    assert tokenized(encoder, "a " * available)
    # The concept's three vectors stay in one chunk, which is one more than there may be.
    with pytest.raises(
        PromptTooLongError, match=f"{limit + 3} tokens for {encoder.name}, which takes {limit}"
    ) as error:
        tokenized(encoder, "a " * (available - 2) + "<cat-1>")
    assert (error.value.tokens, error.value.limit) == (limit + 3, limit)


def test_a_concept_with_more_vectors_than_a_chunk_is_refused_by_name_and_the_length_of_one_chunk(encoder):
    concepts = {"big": Placeholder("cat", {encoder.name: TOKENS - 1})}
    with pytest.raises(PromptTooLongError, match="The concept <big> alone has") as error:
        tokenize(parse_prompt("a photo of <big>"), {encoder.name: encoder}, concepts)
    assert (error.value.tokens, error.value.limit) == (TOKENS + 1, TOKENS)


def test_a_concept_without_rows_is_refused_by_name(encoder):
    with pytest.raises(UnknownTriggerError, match="<their-cat>"):
        tokenized(encoder, "a photo of <their-cat>")


def test_a_class_word_without_tokens_is_refused(encoder):
    with pytest.raises(InvalidSettingError, match="class_word"):
        tokenized(encoder, "<cat>", class_word=" ")


def test_rows_keep_their_precision_until_they_are_written(encoder):
    rows = copy.deepcopy(vectors(encoder))
    line = input_of(encoder, "<cat>", rows)
    assert line.rows.dtype == torch.float32
    assert torch.equal(line.rows, rows["cat"][encoder.name])
