"""Text encoders as the rest of the package sees them: the protocol, class-word rows and vocabulary norms.

Methods read rows and norms here, families implement the protocol; neither imports the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from tokenizers import Tokenizer
from torch import Tensor

from dti.errors import InvalidSettingError
from dti.spec.settings import Magnitude


@dataclass(frozen=True, slots=True)
class PromptFrame:
    """Tokens that a tokenizer and a pipeline put around the words of a prompt.

    Attributes:
        begin: token ids before the words.
        end: token ids after the words.
        padding: id that fills a prompt up to its limit.
        limit: maximum number of tokens, begin, end and padding included.
        lead: text prepended to the first words, merged into their first token.
        chunks: most chunks of `limit` tokens each that a prompt may take.
        comma: id of a comma's token, at which chunks are preferably divided; None for none.
    """

    begin: tuple[int, ...]
    end: tuple[int, ...]
    padding: int
    limit: int
    lead: str = ""
    chunks: int = 1
    comma: int | None = None

    @property
    def words(self) -> int:
        """Tokens of one chunk without begin and end."""
        return self.limit - len(self.begin) - len(self.end)

    @property
    def token_limit(self) -> int:
        """Most tokens of a prompt, begin and end counted once."""
        return self.limit + (self.chunks - 1) * self.words


class TextEncoder(Protocol):
    """A frozen text encoder and its tokenizer."""

    @property
    def name(self) -> str:
        """Name in diffusers: `text_encoder`, `text_encoder_2`."""

    @property
    def width(self) -> int:
        """Components of a row."""

    @property
    def vocabulary(self) -> Tensor:
        """Frozen input embedding table `(V, d)`, in any dtype."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Tokenizer without padding and truncation."""

    @property
    def frame(self) -> PromptFrame:
        """Tokens around the words of a prompt."""

    @property
    def negative_frame(self) -> PromptFrame:
        """Tokens around the words of a negative prompt; equal to `frame` for most encoders."""

    def word_ids(self, text: str) -> list[int]:
        """Tokens of words as they appear inside a sentence, without begin and end."""

    def text_ids(self, text: str) -> list[int]:
        """Tokens of a prompt fragment verbatim, a leading space included."""

    def output(self, ids: Sequence[int]) -> Tensor:
        """Last hidden states `(len(ids), d)` at these tokens, encoded between begin and end."""


def class_rows(encoder: TextEncoder, class_word: str, count: int | None) -> Tensor:
    """Vocabulary rows of the class word, in float32.

    Args:
        encoder: the encoder that owns the vocabulary.
        class_word: one or more words.
        count: number of rows; None for one per token. Fewer than tokens: the first ones; more: repeated cyclically.

    Returns:
        Rows `(count, d)`, none of them zero.

    Raises:
        InvalidSettingError: the class word has no tokens in this encoder, or a token with a zero row.
    """
    rows = encoder.vocabulary[class_ids(encoder, class_word, count)].detach().float()
    if not rows.any(dim=-1).all():
        raise InvalidSettingError(
            "class_word", f"{encoder.name} does not know {class_word!r} (a zero row). Use another word."
        )
    return rows


def class_ids(encoder: TextEncoder, class_word: str, count: int | None) -> list[int]:
    """Token ids of the class word; see `class_rows`.

    Raises:
        InvalidSettingError: the class word has no tokens in this encoder.
    """
    ids = encoder.word_ids(class_word)
    if not ids:
        raise InvalidSettingError("class_word", f"{class_word!r} has no tokens in {encoder.name}. Use a plain word.")
    return [ids[i % len(ids)] for i in range(count or len(ids))]


def vocabulary_norm(vocabulary: Tensor, choice: Magnitude) -> float:
    """A row norm: the given number, or a statistic of the L2 norms of the vocabulary's rows.

    Zero rows are excluded: padding and reserved tokens are often zero and would bias the statistic.
    """
    if not isinstance(choice, str):
        return float(choice)
    norms = torch.linalg.vector_norm(vocabulary.detach(), dim=-1, dtype=torch.float32)
    norms = norms[norms > 0].double()
    return float(getattr(norms, choice)())
