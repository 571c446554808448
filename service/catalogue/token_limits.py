"""Token limits of prompts, checked with the tokenizers that workers publish.

A tokenizer that is too large to be published is checked by the worker, at the start of the job.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session
from tokenizers import Tokenizer

from dti.spec.chunks import Unit, chunked
from dti.spec.prompts import Break, Text, parse_prompt, triggers, with_lead
from dti.spec.settings import LearnableProperty, PromptSyntax
from dti.spec.templates import training_prompts
from service import workers
from service.database.tables import ModelCard
from service.errors import InvalidInputError, PromptTooLongError
from service.workers import EncoderCard

_WORD_END = "</w>"
"""End of a token that ends a word, in CLIP's vocabularies."""

_LISTED_WORDS = 2_000
"""A larger vocabulary is that of a whole language: a list of it tells nothing."""

Vectors = Mapping[str, int]
"""Numbers of vectors of a concept, by encoder."""


@dataclass(frozen=True, slots=True)
class Caption:
    """The caption of a picture, and the name of the file that has it."""

    text: str
    file: str


@dataclass(frozen=True)
class EncoderTokenizer:
    """The tokenizer of a text encoder.

    Attributes:
        encoder: its name.
        limit: most tokens of a prompt, special tokens included, once where it is read in chunks.
        frame: number of special tokens.
        lead: prepended to the first words, part of their first token.
        unknown: tokens without a direction (zero rows), from which nothing can be learned.
        tokenizer: without special tokens.
        chunk: tokens of a chunk; None for an encoder that reads a prompt as a whole.
        comma: id of a comma's token, see `dti.spec.chunks.chunked`.
    """

    encoder: str
    limit: int
    frame: int
    lead: str
    unknown: frozenset[int]
    tokenizer: Tokenizer
    chunk: int | None = None
    comma: int | None = None

    def tokens(self, prompt: str, concepts: Mapping[str, Vectors], syntax: PromptSyntax = "plain") -> int:
        """The number of tokens of a prompt, with one for each vector of a concept and those that fill up chunks."""
        units = list(self._units(prompt, concepts, syntax))
        if self.chunk is None:
            return self.frame + sum(len(unit.ids) for unit in units if isinstance(unit, Unit))
        *full, last = chunked(units, self.chunk, self.comma)
        return self.frame + len(full) * self.chunk + sum(len(unit.ids) for unit in last)

    @property
    def capacity(self) -> int:
        """The most vectors of one concept: they stay together in a chunk."""
        return self.limit - self.frame if self.chunk is None else self.chunk

    def fits(self, prompt: str, concepts: Mapping[str, Vectors]) -> bool:
        """Whether `check` accepts a prompt."""
        return not self._oversized(prompt, concepts) and self.tokens(prompt, concepts) <= self.limit

    def _oversized(self, prompt: str, concepts: Mapping[str, Vectors]) -> list[str]:
        """The concepts of a prompt with more vectors than stay together."""
        vectors = {name: concepts[name][self.encoder] for name in triggers(prompt) if name in concepts}
        return [name for name, count in vectors.items() if count > self.capacity]

    def _units(self, prompt: str, concepts: Mapping[str, Vectors], syntax: PromptSyntax) -> Iterator[Unit | Break]:
        for piece in with_lead(parse_prompt(prompt, syntax), self.lead):
            if isinstance(piece, Break):
                yield piece
            elif isinstance(piece, Text):
                yield from (Unit((token,)) for token in self._ids(piece.words))
            else:
                yield Unit((0,) * concepts[piece.name][self.encoder])

    def count(self, text: str) -> int:
        """The number of tokens of a text, without special tokens."""
        return len(self._ids(text))

    def knows(self, words: str) -> bool:
        """Whether every token of some words has a direction to learn from."""
        ids = self._ids(f" {words.strip()}")
        return bool(ids) and self.unknown.isdisjoint(ids)

    def words(self) -> list[str]:
        """The whole words with a direction, sorted; none for an encoder with a large vocabulary."""
        found = {
            token.removesuffix(_WORD_END)
            for token, number in self.tokenizer.get_vocab().items()
            if token.endswith(_WORD_END) and number not in self.unknown
        }
        return sorted(word for word in found if word.isalpha()) if len(found) <= _LISTED_WORDS else []

    def check(
        self,
        prompt: str,
        concepts: Mapping[str, Vectors],
        syntax: PromptSyntax = "plain",
        *,
        subject: str = "The prompt",
    ) -> None:
        """Refuse a prompt with too many tokens; `subject` is its name in the message."""
        for name in self._oversized(prompt, concepts):
            rows, alone = concepts[name][self.encoder] + self.frame, f"The concept <{name}> alone"
            raise PromptTooLongError([], self.encoder, rows, self.capacity + self.frame, alone)
        tokens = self.tokens(prompt, concepts, syntax)
        if tokens > self.limit:
            names = [name for name in triggers(prompt) if name in concepts]
            raise PromptTooLongError(names, self.encoder, tokens, self.limit, subject)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids


@dataclass(frozen=True)
class _Set:
    """A model's tokenizers, and when their card was published."""

    published_at: datetime
    tokenizers: tuple[EncoderTokenizer, ...]


class TokenLimits:
    """The token limits of every model that a worker has loaded; parsed tokenizers are cached, since they are large."""

    def __init__(self) -> None:
        self._kept: dict[str, _Set] = {}

    def check(
        self,
        session: Session,
        model: str,
        prompt: str,
        concepts: Mapping[str, Vectors],
        *,
        syntax: PromptSyntax = "plain",
    ) -> None:
        """Refuse a prompt with too many tokens; without a published card, the worker checks it.

        Raises:
            PromptTooLongError: it does not fit one of the model's encoders.
        """
        for ruler in self._of(session, model):
            ruler.check(prompt, concepts, syntax)

    def count(
        self, session: Session, model: str, prompt: str, concepts: Mapping[str, Vectors]
    ) -> dict[str, tuple[int, int]] | None:
        """The tokens of a prompt and their limit, by encoder; None without a published card."""
        counts = {ruler.encoder: (ruler.tokens(prompt, concepts), ruler.limit) for ruler in self._of(session, model)}
        return counts or None

    def check_class_word(self, session: Session, model: str, class_word: str) -> None:
        """Refuse a class word that the model does not know; without a published card, the worker checks it.

        Raises:
            InvalidInputError: one of the model's encoders has no direction for it.
        """
        for ruler in self._of(session, model):
            if not ruler.knows(class_word):
                near = difflib.get_close_matches(class_word.strip().lower(), ruler.words(), 3, cutoff=0.5)
                remedy = f"Words near it: {', '.join(near)}." if near else "Use another word."
                raise InvalidInputError(
                    "class_word",
                    f"{model} ({ruler.encoder}) does not know {class_word!r}. {remedy} "
                    f"GET /v1/models/{model} lists the words of a small vocabulary.",
                )

    def words(self, session: Session, model: str) -> list[str] | None:
        """The words that a model knows; None for a large vocabulary, or without a published card."""
        rulers = self._of(session, model)
        return (rulers[0].words() or None) if len(rulers) == 1 else None

    def check_unlearned(
        self, session: Session, model: str, prompt: str, *, name: str, class_word: str, vectors: int | None
    ) -> None:
        """Refuse a prompt that will have too many tokens once its one concept is trained.

        Args:
            session: reads the model's card.
            model: renders the prompt.
            prompt: holds no other concept.
            name: the concept's.
            class_word: its initial value; without `vectors`, the concept gets as many vectors as this has tokens.
            vectors: number of vectors of the concept.

        Raises:
            PromptTooLongError: it does not fit one of the model's encoders.
        """
        for ruler in self._of(session, model):
            rows = vectors or ruler.count(f" {class_word.strip()}")
            ruler.check(prompt, {name: {ruler.encoder: rows}})

    def check_training(
        self,
        session: Session,
        model: str,
        caption: Caption | None,
        *,
        learnable_property: LearnableProperty,
        name: str,
        class_word: str,
        vectors: int | None,
    ) -> None:
        """Refuse a caption that leaves no training prompt which fits, or a number of vectors that leaves none.

        Args:
            session: reads the model's card.
            model: trains on the prompts.
            caption: of a picture; None for the templates alone.
            learnable_property: selects the templates.
            name: the concept's.
            class_word: as for `check_unlearned`.
            vectors: as for `check_unlearned`.

        Raises:
            PromptTooLongError: the caption is too long; the message names its file.
            InvalidInputError: the vectors are too many.
        """
        rulers = self._of(session, model)
        counts = {name: {ruler.encoder: vectors or ruler.count(f" {class_word.strip()}") for ruler in rulers}}

        def fits(prompt: str) -> bool:
            spelled = prompt.replace("{}", f"<{name}>")
            return all(ruler.fits(spelled, counts) for ruler in rulers)

        prompts = training_prompts(learnable_property, caption.text if caption else None, fits)
        if fits(prompts[0]):
            return
        if caption is None:
            limit = min(ruler.capacity for ruler in rulers)
            raise InvalidInputError(
                "training.num_vectors", f"{vectors} vectors leave no room in a prompt: {model} takes {limit} tokens."
            )
        for ruler in rulers:
            ruler.check(prompts[0].replace("{}", f"<{name}>"), counts, subject=f"The caption of {caption.file}")

    def _of(self, session: Session, model: str) -> Sequence[EncoderTokenizer]:
        published_at = session.scalars(select(ModelCard.published_at).where(ModelCard.name == model)).one_or_none()
        if published_at is None:
            return ()
        kept = self._kept.get(model)
        if kept is None or kept.published_at != published_at:
            card = workers.cards(session).get(model)
            kept = self._kept[model] = _Set(published_at, _tokenizers(card["encoders"]) if card else ())
        return kept.tokenizers


def _tokenizers(encoders: Mapping[str, EncoderCard]) -> tuple[EncoderTokenizer, ...]:
    return tuple(
        EncoderTokenizer(
            encoder=name,
            limit=int(card["token_limit"]),
            frame=int(card["frame_tokens"]),
            lead=str(card["lead"]),
            unknown=frozenset(card["zero_rows"]),
            tokenizer=_tokenizer(card["tokenizer"]),
            chunk=card["chunk_tokens"],
            comma=card["comma"],
        )
        for name, card in encoders.items()
        if card["tokenizer"] is not None
    )


def _tokenizer(spelled: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(spelled)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
