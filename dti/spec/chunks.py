"""Long prompts in chunks of an encoder's own length, as AUTOMATIC1111 divides them.

Torch-free: the HTTP edge counts chunks by the same rule as the text encoders fill them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dti.spec.attention import Break

_COMMA_REACH = 20
"""Tokens between the last comma of a full chunk and its end that move on to the next one, so that no phrase is cut."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Tokens that stay together: one token of a text, or placeholders of all vectors of a concept.

    Attributes:
        ids: token ids.
        weight: factor of the hidden states.
        concept: the concept's name; None for text.
    """

    ids: tuple[int, ...]
    weight: float = 1.0
    concept: str | None = None


def chunked(units: Iterable[Unit | Break], size: int, comma: int | None) -> Sequence[Sequence[Unit]]:
    """Divide tokens into chunks, at least one.

    Args:
        units: in order; a Break ends a chunk.
        size: tokens of a chunk, without begin and end.
        comma: id of the token of a comma.

    Source: A1111's rule (wiki, "Infinite prompt length", with its default "comma padding backtrack" of 20).
    """
    chunks: list[list[Unit]] = [[]]
    for unit in units:
        if isinstance(unit, Break):
            chunks.append([])
            continue
        if unit.ids != (comma,) and _length(chunks[-1]) == size:
            moved = _behind_comma(chunks[-1], comma)
            if moved:
                chunks.append(chunks[-1][-moved:])
                del chunks[-2][-moved:]
        if _length(chunks[-1]) + len(unit.ids) > size and chunks[-1]:
            chunks.append([])
        chunks[-1].append(unit)
    return chunks if chunks[-1] or len(chunks) == 1 else chunks[:-1]


def _length(chunk: Sequence[Unit]) -> int:
    return sum(len(unit.ids) for unit in chunk)


def _behind_comma(chunk: Sequence[Unit], comma: int | None) -> int:
    """Units behind the last comma of a full chunk, if it is near the end; otherwise 0."""
    tokens = 0
    for number, unit in enumerate(reversed(chunk)):
        if unit.ids == (comma,):
            return number if tokens + 1 <= _COMMA_REACH else 0
        tokens += len(unit.ids)
    return 0
