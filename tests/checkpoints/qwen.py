"""Shared parts of tiny checkpoints with a Qwen 3 encoder: its tokenizer, with a chat template, and the model."""

import json
from pathlib import Path

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, ModelMixin
from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedModel, Qwen2Tokenizer, Qwen3Config

from tests.checkpoints.stable_diffusion import WORDS

WIDTH = 16
LAYERS = 4

CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
)


def qwen_tokenizer() -> Qwen2Tokenizer:
    """Words of the tests are one token each, another one behind a space; all else falls apart into letters."""
    pieces = dict.fromkeys(sorted(ByteLevel.alphabet()))
    words = (*WORDS, "user", "assistant", "think")
    merges = dict.fromkeys((word[:end], word[end]) for word in words for end in range(1, len(word)))
    merges |= dict.fromkeys(("Ġ", word) for word in words)
    pieces |= dict.fromkeys("".join(merge) for merge in merges)
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=list(merges), chat_template=CHAT)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return tokenizer


def qwen_config(tokenizer: Qwen2Tokenizer) -> Qwen3Config:
    """Of a tiny model with more rows than there are tokens, as the published ones have."""
    return Qwen3Config(
        vocab_size=len(tokenizer) + 5,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=1,
        num_key_value_heads=1,
        head_dim=8,
        initializer_range=0.3,
    )


def write(
    folder: Path,
    pipeline: str,
    models: dict[str, PreTrainedModel | ModelMixin],
    tokenizer: Qwen2Tokenizer,
    scheduler: FlowMatchEulerDiscreteScheduler,
    **index: object,
) -> Path:
    """Write a checkpoint.

    Args:
        folder: where; made if it is missing.
        pipeline: the class of diffusers that it is for.
        models: by the names of their folders.
        tokenizer: of the text encoder.
        scheduler: the checkpoint's own.
        index: further entries of model_index.json.
    """
    parts = {**models, "tokenizer": tokenizer, "scheduler": scheduler}
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    places = {name: [type(part).__module__.partition(".")[0], type(part).__name__] for name, part in parts.items()}
    (folder / "model_index.json").write_text(json.dumps({"_class_name": pipeline, **index, **places}, indent=2))
    return folder


def liven(model: torch.nn.Module, spread: float = 0.2) -> torch.nn.Module:
    """Give a model weights of one spread, so that neither its prompts nor its times are lost on the way."""
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=spread)
    return model
