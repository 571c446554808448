"""Laws of language models as text encoders: Gemma 2 with scaled embeddings, and Qwen 3 in a chat."""

from dataclasses import dataclass

import pytest
import torch
from transformers import Gemma2Model, GemmaTokenizer, Qwen2Tokenizer, Qwen3Model

from dti.errors import ModelUnavailableError
from dti.families.framing import chat, frame, read_tokenizer
from dti.families.language_model import LanguageModel
from dti.families.offload import Placement
from dti.spec.prompts import parse_prompt
from dti.tokens import Placeholder, tokenize
from tests.checkpoints.qwen import qwen_config, qwen_tokenizer
from tests.checkpoints.sana import sana

LIMIT = 96
PROMPTS = ("a photo of <my-dog> on the beach", "<my-dog>", "<cat>, a painting of <my-dog> and <cat>.", "a red cat")
COUNTS = {"my-dog": 1, "cat": 2}


@dataclass
class EncoderCase:
    """A language model and the frame of its pipeline."""

    model: type
    tokenizer: type
    before: str
    after: str


def qwen(folder):
    tokenizer = qwen_tokenizer()
    tokenizer.save_pretrained(folder / "tokenizer")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Qwen3Model(qwen_config(tokenizer)).save_pretrained(folder / "text_encoder")
    return folder


@pytest.fixture(scope="module", params=["gemma", "qwen"])
def source(request, tmp_path_factory):
    """A checkpoint's folder and its kind."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "gemma":
        return sana(folder), EncoderCase(Gemma2Model, GemmaTokenizer, "In style of the painting: ", "")
    tokenizer = read_tokenizer(qwen(folder) / "tokenizer", Qwen2Tokenizer)
    return folder, EncoderCase(Qwen3Model, Qwen2Tokenizer, *chat(tokenizer, enable_thinking=False))


@pytest.fixture(scope="module")
def tokenizer(source):
    folder, kind = source
    tokenizer = read_tokenizer(folder / "tokenizer", kind.tokenizer)
    tokenizer.padding_side = "right"
    return tokenizer


def loaded(source, tokenizer, dtype=torch.float32):
    folder, kind = source
    options = {"kind": kind.model, "placement": Placement(torch.device("cpu")), "dtype": dtype}
    framed = frame(tokenizer, LIMIT, kind.before, kind.after)
    return LanguageModel.load(folder, "text_encoder", tokenizer, frame=framed, **options)


@pytest.fixture(scope="module")
def encoder(source, tokenizer):
    return loaded(source, tokenizer)


def rows_of(encoder, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: {"text_encoder": torch.randn(count, encoder.width, generator=generator)} for name, count in COUNTS.items()
    }


def input_of(encoder, prompt, rows, class_word="dog"):
    placeholders = {name: Placeholder(class_word, {"text_encoder": count}) for name, count in COUNTS.items()}
    return tokenize(parse_prompt(prompt), {"text_encoder": encoder}, placeholders).splice(rows).inputs["text_encoder"]


def read_with_a_resized_table(source, line, dtype=torch.float32):
    """All layers, of a fresh model whose table has the rows at the end, in one go and without any hook."""
    folder, kind = source
    model = kind.model.from_pretrained(folder / "text_encoder", dtype=dtype)
    known = model.get_input_embeddings().num_embeddings
    ids = torch.tensor([line.ids])
    if line.rows is not None:
        model.resize_token_embeddings(known + len(line.rows), mean_resizing=False)
        with torch.no_grad():
            model.get_input_embeddings().weight[known:] = line.rows.to(dtype)
        ids[0, list(line.positions)] = torch.arange(known, known + len(line.rows))
    mask = torch.arange(len(line.ids)) < sum(token != line.ids[-1] for token in line.ids)
    with torch.no_grad():
        output = model(ids, attention_mask=mask[None], output_hidden_states=True, use_cache=False)
    return torch.stack(output.hidden_states, dim=1), mask


@pytest.mark.parametrize("prompt", PROMPTS)
def test_spliced_rows_read_the_same_in_every_layer_as_a_resized_table(source, encoder, prompt):
    line = input_of(encoder, prompt, rows_of(encoder))
    expected, mask = read_with_a_resized_table(source, line)
    layers = range(expected.shape[1])
    reading = encoder.read([line], layers)
    assert torch.equal(reading.mask[0], mask)
    torch.testing.assert_close(reading.states[:, :, mask], expected[:, :, mask], atol=1e-4, rtol=1e-4)


def test_in_half_precision_a_row_is_what_the_table_would_give(source, tokenizer):
    encoder = loaded(source, tokenizer, torch.bfloat16)
    line = input_of(encoder, PROMPTS[2], rows_of(encoder))
    expected, _ = read_with_a_resized_table(source, line, torch.bfloat16)
    assert torch.equal(encoder.read([line], [0], filled=True).states, expected[:, :1])


def test_states_at_padding_are_computed_on_request(source, encoder):
    line = input_of(encoder, PROMPTS[0], rows_of(encoder))
    expected, _ = read_with_a_resized_table(source, line)
    states = encoder.read([line], [1, -1], filled=True).states
    torch.testing.assert_close(states, expected[:, [1, -1]], atol=1e-4, rtol=1e-4)


def test_prompts_of_a_batch_keep_their_order_and_are_independent(encoder):
    inputs = [input_of(encoder, prompt, rows_of(encoder, seed)) for seed, prompt in enumerate(PROMPTS)]
    plain = tokenize(parse_prompt("a red cat"), {"text_encoder": Plain(encoder)}, {}).splice({}).inputs["text_encoder"]
    inputs.insert(2, plain)
    together = encoder.read(inputs)
    for i, line in enumerate(inputs):
        alone = encoder.read([line])
        mask = alone.mask[0]
        torch.testing.assert_close(
            together.states[i, 0, : len(mask)][mask], alone.states[0, 0][mask], atol=1e-4, rtol=1e-4
        )


class Plain:
    """The same encoder with one token before the words, as a negative prompt may have it."""

    def __init__(self, encoder):
        self._encoder = encoder
        self.frame = frame_of(encoder)

    def text_ids(self, text):
        return self._encoder.text_ids(text)


def frame_of(encoder):
    whole = encoder.frame
    return type(whole)(begin=whole.begin[:1], end=(), padding=whole.padding, limit=LIMIT // 2)


def test_gradients_reach_the_rows_only_also_after_encoding_without_gradients(encoder):
    with torch.inference_mode():
        encoder.read([input_of(encoder, PROMPTS[3], {})])
    rows = rows_of(encoder)
    leaf = rows["cat"]["text_encoder"].requires_grad_()
    reading = encoder.read([input_of(encoder, PROMPTS[2], rows)])
    reading.states[:, 0][reading.mask].square().sum().backward()
    assert (leaf.grad.norm(dim=1) > 0).all()
    assert all(weight.grad is None for weight in encoder.network.parameters())
    assert not encoder.network.get_input_embeddings()._forward_hooks


@pytest.mark.parametrize("prompt", PROMPTS[:3])
def test_a_prompt_is_tokenized_as_by_its_pipeline_with_the_class_word_in_it(source, encoder, tokenizer, prompt):
    _, kind = source
    word = "stuffed animal" if kind.tokenizer is GemmaTokenizer else "dog"
    counts = {name: len(encoder.word_ids(word)) for name in COUNTS}
    placeholders = {name: Placeholder(word, {"text_encoder": count}) for name, count in counts.items()}
    line = tokenize(parse_prompt(prompt), {"text_encoder": encoder}, placeholders).inputs["text_encoder"]
    text = kind.before + prompt.replace("<my-dog>", word).replace("<cat>", word) + kind.after
    ids = tokenizer(text, padding="max_length", max_length=LIMIT).input_ids
    concepts = {reserved.position for reserved in line.concepts}
    # At the very beginning of a message a word has no space before it, and other ids; its place has rows anyway.
    assert [(at, token) for at, token in enumerate(line.ids) if at not in concepts] == [
        (at, token) for at, token in enumerate(ids) if at not in concepts
    ]
    if line.first not in concepts or kind.before.endswith(" "):
        assert list(line.ids) == ids


def test_a_class_word_is_tokenized_as_inside_a_sentence(encoder, tokenizer):
    assert encoder.word_ids(" dog ") == encoder.word_ids("dog") == tokenizer.encode("a dog")[-1:]
    assert encoder.word_ids("dog") != encoder.text_ids("dog")
    assert encoder.word_ids("  ") == []


def test_special_tokens_in_a_users_text_are_dropped(source, encoder):
    special = "<eos>" if source[1].tokenizer is GemmaTokenizer else "<|im_end|>"
    assert encoder.text_ids(f"a{special} dog") == encoder.text_ids("a dog")


def test_the_encoders_output_is_encoded_between_begin_and_end(encoder):
    ids = encoder.word_ids("dog")
    line = input_of(encoder, "<my-dog>", {"my-dog": {"text_encoder": encoder.vocabulary[ids].detach()}})
    expected = encoder.read([line]).states[0, 0, line.first : line.first + len(ids)]
    torch.testing.assert_close(encoder.output(ids), expected, atol=1e-5, rtol=1e-5)


def test_a_tokenizer_without_a_chat_template_is_refused(tmp_path):
    tokenizer = read_tokenizer(sana(tmp_path) / "tokenizer", GemmaTokenizer)
    with pytest.raises(ModelUnavailableError, match="no chat template"):
        chat(tokenizer)


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(ModelUnavailableError, match="holds no GemmaTokenizer"):
        read_tokenizer(tmp_path, GemmaTokenizer)


def test_a_tokenizer_of_another_model_is_refused(source, tokenizer, tmp_path):
    folder, kind = source
    model = kind.model.from_pretrained(folder / "text_encoder")
    model.resize_token_embeddings(3)
    model.save_pretrained(tmp_path / "text_encoder")
    with pytest.raises(ModelUnavailableError, match="do not belong together"):
        loaded((tmp_path, kind), tokenizer)
