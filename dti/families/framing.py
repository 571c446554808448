"""Prompt frames of language-model encoders: begin, end, padding, instructions and chat templates."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, normalizers
from transformers import PreTrainedTokenizerBase

from dti.encoders import PromptFrame
from dti.errors import ModelUnavailableError

_MESSAGE = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Marks the prompt's position in a rendered chat template; no template contains it."""


def read_tokenizer(folder: Path, kind: Any) -> PreTrainedTokenizerBase:  # noqa: ANN401 - transformers' classes have no common type
    """Load a transformers tokenizer.

    Args:
        folder: folder of the tokenizer.
        kind: its class.

    Raises:
        ModelUnavailableError: it cannot be read, or has no padding token.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelUnavailableError(f"{folder} holds no {kind.__name__} that can be read: {error}") from error
    # transformers makes a tokenizer of an empty folder, too: one without words.
    if len(tokenizer) <= len(tokenizer.all_special_tokens):
        raise ModelUnavailableError(f"{folder} holds no {kind.__name__} that can be read: it has no words.")
    if tokenizer.pad_token_id is None:
        raise ModelUnavailableError(f"{folder} names no token to fill prompts up with.")
    return tokenizer


def frame(tokenizer: PreTrainedTokenizerBase, limit: int, before: str = "", after: str = "") -> PromptFrame:
    """Prompt frame from the texts that a pipeline puts around the words.

    Args:
        tokenizer: from `read_tokenizer`.
        limit: maximum number of tokens.
        before: text before the words. A trailing space is merged into the first word's token.
        after: text after the words.
    """
    lead = " " if before.endswith(" ") else ""
    return PromptFrame(
        begin=tuple(tokenizer.encode(before.removesuffix(lead))),
        end=tuple(tokenizer.encode(after, add_special_tokens=False)),
        padding=tokenizer.pad_token_id,
        limit=limit,
        lead=lead,
    )


def chat(tokenizer: PreTrainedTokenizerBase, **options: bool) -> tuple[str, str]:
    """Texts before and after a user's only message in the chat template, the assistant's opening included.

    Args:
        tokenizer: from `read_tokenizer`.
        options: options of the template.

    Raises:
        ModelUnavailableError: the tokenizer has no chat template.
    """
    message = [{"role": "user", "content": _MESSAGE}]
    try:
        text = str(tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True, **options))
    except ValueError as error:
        raise ModelUnavailableError(f"{tokenizer.name_or_path} has no chat template: {error}") from error
    before, _, after = text.partition(_MESSAGE)
    return before, after


def words_tokenizer(tokenizer: PreTrainedTokenizerBase, *, lower_case: bool) -> Tokenizer:
    """A copy of the library's tokenizer without padding and truncation.

    Args:
        tokenizer: from `read_tokenizer`.
        lower_case: whether to lower-case all text.
    """
    words = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    words.no_padding()
    words.no_truncation()
    if lower_case:
        words.normalizer = normalizers.Sequence([normalizers.Lowercase(), words.normalizer])
    return words
