"""Prompts as tokens: where a concept's vectors stand, and how learned rows get there.

Owns the layout of a prompt (stand-in tokens at the concepts' places, begin, end, padding) and the splice of rows at the
encoder's look-up, by position. Tables and tokenizers are never changed, and no user string becomes a token. It knows no
particular tokenizer or encoder, and not how rows are learned.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from dti.errors import InvalidSettingError, PromptTooLongError, UnknownTriggerError
from dti.methods.base import Encoder
from dti.spec.prompts import Text, Trigger, led


@dataclass(frozen=True, slots=True)
class Frame:
    """What an encoder's tokenizer puts around the words.

    Attributes:
        begin: token ids before the words.
        end: token ids after them.
        padding: the id that fills a prompt up.
        limit: tokens of a prompt, begin, end and padding included.
        lead: goes before the first words and into their first token.
    """

    begin: tuple[int, ...]
    end: tuple[int, ...]
    padding: int
    limit: int
    lead: str = ""


class TextEncoder(Encoder, Protocol):
    """What prompts may know of a frozen text encoder, beyond what methods may."""

    @property
    def frame(self) -> Frame:
        """What stands around the words."""

    @property
    def negative_frame(self) -> Frame:
        """What stands around the words of a prompt that guidance leads away from; most often the same."""

    @property
    def tokenizer(self) -> Tokenizer:
        """The words' tokenizer, without padding and truncation."""

    def text_ids(self, text: str) -> list[int]:
        """The tokens of a stretch of a prompt exactly as it is, also where it begins with a space.

        `word_ids` gives those of words as they stand inside of a sentence.
        """


@dataclass(frozen=True, slots=True)
class StandIn:
    """What keeps a concept's places in prompts.

    Attributes:
        class_word: the words whose tokens stand at the concept's places.
        counts: by encoder, how many vectors the concept has.
    """

    class_word: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one vector of a concept belongs."""

    position: int
    concept: str
    index: int


@dataclass(frozen=True, slots=True)
class Line:
    """A prompt as one encoder reads it.

    Attributes:
        ids: tokens, framed and padded.
        places: of the vectors among them.
        first: position of the first word.
    """

    ids: tuple[int, ...]
    places: tuple[Place, ...]
    first: int


@dataclass(frozen=True, slots=True)
class SplicedLine:
    """A line and its rows: `rows[i]` `(d,)` belongs at `positions[i]`; None where the prompt names no concept."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    rows: Tensor | None
    first: int


@dataclass(frozen=True, slots=True)
class SplicedPrompt:
    """A prompt for all encoders of a family, with the learned rows that it names."""

    lines: Mapping[str, SplicedLine]


@dataclass(frozen=True, slots=True)
class Layout:
    """A prompt for all encoders of a family, with places for rows; rows may differ from call to call."""

    lines: Mapping[str, Line]

    def splice(self, vectors: Mapping[str, Mapping[str, Tensor]]) -> SplicedPrompt:
        """The prompt with these rows.

        Args:
            vectors: by concept, by encoder: rows `(n, d)`.
        """
        return SplicedPrompt({name: _spliced(line, name, vectors) for name, line in self.lines.items()})


def _spliced(line: Line, encoder: str, vectors: Mapping[str, Mapping[str, Tensor]]) -> SplicedLine:
    rows = [vectors[place.concept][encoder][place.index] for place in line.places]
    positions = tuple(place.position for place in line.places)
    return SplicedLine(line.ids, positions, torch.stack(rows) if rows else None, line.first)


def lay_out(
    pieces: Iterable[Text | Trigger],
    encoders: Mapping[str, TextEncoder],
    concepts: Mapping[str, StandIn],
    *,
    negative: bool = False,
) -> Layout:
    """A parsed prompt as the encoders read it.

    Args:
        pieces: words and concepts in order, as `dti.spec.parse_prompt` gives them.
        encoders: of the family, by name.
        concepts: by name, what keeps their places.
        negative: whether guidance leads away from it.

    Raises:
        UnknownTriggerError: the prompt names a concept that is not among these.
        PromptTooLongError: the tokens do not fit an encoder.
    """
    parts = tuple(pieces)
    for part in parts:
        if isinstance(part, Trigger) and part.name not in concepts:
            raise UnknownTriggerError(part.name)
    return Layout(
        {
            name: _line(parts, encoder, encoder.negative_frame if negative else encoder.frame, concepts)
            for name, encoder in encoders.items()
        }
    )


def _line(parts: Sequence[Text | Trigger], encoder: TextEncoder, frame: Frame, concepts: Mapping[str, StandIn]) -> Line:
    ids, places = list(frame.begin), list[Place]()
    for part in led(parts, frame.lead):
        if isinstance(part, Text):
            ids += encoder.text_ids(part.words)
            continue
        stand_ins = _stand_ins(concepts[part.name], encoder)
        places += [Place(len(ids) + index, part.name, index) for index in range(len(stand_ins))]
        ids += stand_ins
    ids += frame.end
    if len(ids) > frame.limit:
        raise PromptTooLongError(encoder.name, len(ids), frame.limit)
    ids += [frame.padding] * (frame.limit - len(ids))
    return Line(tuple(ids), tuple(places), len(frame.begin))


def _stand_ins(concept: StandIn, encoder: TextEncoder) -> list[int]:
    """The class word's tokens, over again until every vector has one.

    They are ordinary words below the end token, so that an encoder that looks for the largest id to find the end of the
    prompt (CLIP does, where its configuration says that the end token is 2) still finds it.
    """
    ids = encoder.word_ids(concept.class_word)
    if not ids:
        raise InvalidSettingError(
            "class_word", f"{concept.class_word!r} has no tokens in {encoder.name}. Use a plain word."
        )
    return [ids[index % len(ids)] for index in range(concept.counts[encoder.name])]


@contextmanager
def spliced(look_up: nn.Module, lines: Sequence[SplicedLine], scale: float = 1.0) -> Iterator[Tensor]:
    """Let a look-up of these lines give the learned rows at their positions; afterwards it is as it was.

    Args:
        look_up: the encoder's input embedding, which gives rows `(b, tokens, d)`.
        lines: the batch, all of one length.
        scale: by which the look-up multiplies what it finds; rows are as its table would hold them.

    Yields:
        The ids `(b, tokens)` to look up, on the look-up's device.
    """
    device = next(look_up.parameters()).device
    ids = torch.tensor([line.ids for line in lines], device=device)
    rows = [line.rows for line in lines if line.rows is not None]
    if not rows:
        yield ids
        return
    places = [(i, position) for i, line in enumerate(lines) for position in line.positions]
    at = torch.tensor(places, device=device).unbind(dim=1)
    learned = torch.cat(rows).to(device)

    def write(_module: nn.Module, _inputs: object, found: Tensor) -> Tensor:
        return found.index_put(at, learned.to(found.dtype) * found.new_tensor(scale))

    hook = look_up.register_forward_hook(write)
    try:
        yield ids
    finally:
        hook.remove()
