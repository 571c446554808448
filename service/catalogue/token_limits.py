"""How many tokens a prompt has, counted with the tokenizers that workers published. Knows no request.

What is said to an encoder whose tokenizer is too large to be published is checked by the worker, when the job begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session
from tokenizers import Tokenizer

from dti.spec.prompts import Text, parse_prompt, with_lead
from service.database.tables import ModelCard
from service.errors import InvalidInputError, PromptTooLongError

Vectors = Mapping[str, int]
"""How many rows a concept has, by encoder."""


@dataclass(frozen=True)
class EncoderTokenizer:
    """One text encoder's tokenizer and how many tokens it takes, begin and end included.

    Attributes:
        encoder: its name.
        limit: tokens of a prompt.
        frame: tokens that stand around the words.
        lead: goes before the first words and into their first token.
        unknown: tokens without a direction: those of words that the encoder has never seen.
        tokenizer: of the words.
    """

    encoder: str
    limit: int
    frame: int
    lead: str
    unknown: frozenset[int]
    tokenizer: Tokenizer

    def tokens(self, prompt: str, concepts: Mapping[str, Vectors]) -> int:
        """How many tokens a prompt has where each concept takes as many as it has vectors for this encoder."""
        return self.frame + sum(
            self.count(piece.words) if isinstance(piece, Text) else concepts[piece.name][self.encoder]
            for piece in with_lead(parse_prompt(prompt), self.lead)
        )

    def count(self, text: str) -> int:
        """How many tokens a stretch of a prompt has, without begin and end."""
        return len(self._ids(text))

    def knows(self, words: str) -> bool:
        """Whether every token of some words has a direction, from which one can be learned."""
        ids = self._ids(f" {words.strip()}")
        return bool(ids) and self.unknown.isdisjoint(ids)

    def check(self, prompt: str, concepts: Mapping[str, Vectors]) -> None:
        """Refuse a prompt that does not fit."""
        tokens = self.tokens(prompt, concepts)
        if tokens > self.limit:
            names = [name for name in concepts if f"<{name}>" in prompt]
            raise PromptTooLongError(names, self.encoder, tokens, self.limit)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids


@dataclass(frozen=True)
class _Set:
    """A model's tokenizers, made from the card of a moment."""

    published_at: datetime
    tokenizers: tuple[EncoderTokenizer, ...]


class TokenLimits:
    """The tokenizers of every model that some worker has loaded; a tokenizer is read once and kept, for it is large."""

    def __init__(self) -> None:
        self._kept: dict[str, _Set] = {}

    def check(self, session: Session, model: str, prompt: str, concepts: Mapping[str, Vectors]) -> None:
        """Refuse a prompt that does not fit; where no worker has published the model yet, the worker will.

        Raises:
            PromptTooLongError: it does not fit one of the model's encoders.
        """
        for ruler in self._of(session, model):
            ruler.check(prompt, concepts)

    def check_class_word(self, session: Session, model: str, class_word: str) -> None:
        """Refuse a class word that the model does not know; where no worker has published it yet, the worker will.

        Raises:
            InvalidInputError: one of the model's encoders has no direction for it.
        """
        for ruler in self._of(session, model):
            if not ruler.knows(class_word):
                raise InvalidInputError(
                    "class_word", f"{model} ({ruler.encoder}) does not know {class_word!r}. Use another word."
                )

    def check_unlearned(
        self, session: Session, model: str, prompt: str, *, name: str, class_word: str, vectors: int | None
    ) -> None:
        """Refuse a prompt that will not fit once its one concept is learned.

        Args:
            session: reads what the model's workers published.
            model: whose encoders read the prompt.
            prompt: holds no other concept.
            name: the concept's.
            class_word: what it begins as; without `vectors` it takes as many tokens.
            vectors: how many rows it is to have.

        Raises:
            PromptTooLongError: it does not fit one of the model's encoders.
        """
        for ruler in self._of(session, model):
            rows = vectors or ruler.count(f" {class_word.strip()}")
            ruler.check(prompt, {name: {ruler.encoder: rows}})

    def _of(self, session: Session, model: str) -> Sequence[EncoderTokenizer]:
        published_at = session.scalars(select(ModelCard.published_at).where(ModelCard.name == model)).one_or_none()
        if published_at is None:
            return ()
        kept = self._kept.get(model)
        if kept is None or kept.published_at != published_at:
            card = session.scalars(select(ModelCard.card).where(ModelCard.name == model)).one()
            kept = self._kept[model] = _Set(published_at, _tokenizers(card["encoders"]))
        return kept.tokenizers


def _tokenizers(encoders: Mapping[str, Mapping[str, Any]]) -> tuple[EncoderTokenizer, ...]:
    return tuple(
        EncoderTokenizer(
            encoder=name,
            limit=int(card["token_limit"]),
            frame=int(card["frame_tokens"]),
            lead=str(card["lead"]),
            unknown=frozenset(card["zero_rows"]),
            tokenizer=_tokenizer(card["tokenizer"]),
        )
        for name, card in encoders.items()
        if card["tokenizer"] is not None
    )


def _tokenizer(spelled: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(spelled)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
