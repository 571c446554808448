"""Prompt grammar: plain words and `<concept>` triggers. Also the default prompts for objects and styles.

Torch-free: shared by the HTTP edge and the text encoders.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from dti.spec.attention import Break, Span, weighted
from dti.spec.brackets import NAME_PATTERN, bracketed
from dti.spec.settings import LearnableProperty, PromptSyntax

__all__ = [
    "NAME_PATTERN",
    "PLAIN_PROMPTS",
    "Break",
    "Piece",
    "Text",
    "Trigger",
    "nearest",
    "parse_prompt",
    "triggers",
    "with_lead",
]

_SIMILAR = 0.4
"""Least similarity of a suggested name, 0 to 1; unrelated names are below."""

PLAIN_PROMPTS: Mapping[LearnableProperty, str] = {"object": "a photo of {}", "style": "a picture in the style of {}"}
"""Default prompts, with {} for the concept."""


@dataclass(frozen=True, slots=True)
class Text:
    """Plain words of a prompt."""

    words: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """A concept's name in a prompt; the text between the brackets where that cannot be a name."""

    name: str
    weight: float = 1.0


Piece = Text | Trigger | Break


def parse_prompt(prompt: str, syntax: PromptSyntax = "plain") -> tuple[Piece, ...]:
    """Words and triggers of a prompt, in order, with their weights in a prompt of A1111's syntax.

    Every text between angle brackets is a trigger, so that a misspelt one is never read as words; comparisons, hearts
    and arrows are words (see `dti.spec.brackets`). Upper case, spaces and underscores are read as in `<my-owl>`.
    Leading and trailing white space is removed, and so is the space before a trigger: a language model's tokenizer
    would attach that space to the next word.
    """
    # Parsed into pieces, because replacing strings confuses triggers that are prefixes of each other.
    if syntax == "plain":
        return tuple(_pieces(prompt.strip()))
    return tuple(piece for span in weighted(prompt.strip()) for piece in _weighted_pieces(span))


def with_lead(pieces: Sequence[Piece], lead: str) -> tuple[Piece, ...]:
    """A parsed prompt with `lead` prepended to its first words; a leading trigger takes none."""
    if not pieces:
        return (Text(lead),)
    first, *rest = pieces
    return (replace(first, words=lead + first.words), *rest) if isinstance(first, Text) else tuple(pieces)


def triggers(prompt: str) -> tuple[str, ...]:
    """Distinct concept names in a prompt, in order of appearance."""
    return tuple(dict.fromkeys(piece.name for piece in parse_prompt(prompt) if isinstance(piece, Trigger)))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The most similar of some names; None if none is similar."""
    return next(iter(get_close_matches(name.lower(), list(known), n=1, cutoff=_SIMILAR)), None)


def _pieces(prompt: str) -> Iterator[Text | Trigger]:
    end = 0
    for bracket in bracketed(prompt):
        words = prompt[end : bracket.start].removesuffix(" ")
        if words:
            yield Text(words)
        yield Trigger(bracket.name)
        end = bracket.end
    if end < len(prompt):
        yield Text(prompt[end:])


def _weighted_pieces(span: Span | Break) -> Iterator[Piece]:
    if isinstance(span, Break):
        yield span
        return
    for piece in _pieces(span.text):
        yield replace(piece, weight=span.weight)
