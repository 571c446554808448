"""AUTOMATIC1111's prompt weights: `(word:1.2)`, `(word)`, `[word]`, `BREAK` and escaped brackets.

Torch-free. Alternation `[a|b]` and scheduling `[a:b:0.5]` change a prompt during the denoising and are not supported.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dti.errors import InvalidSettingError

_EMPHASIS = 1.1
"""Factor of one pair of round brackets; square brackets divide by it."""

LARGEST_WEIGHT = 100.0
"""Far above any weight in use; a number of hundreds of digits would be infinite."""

_PARTS = re.compile(
    r"\\(?P<escaped>[()\[\]\\])"
    r"|(?P<open>[(\[])"
    r"|:\s*(?P<weight>[+-]?(?:\d+\.?\d*|\.\d+))\s*\)"
    r"|(?P<close>[)\]])"
    r"|(?P<text>[^\\()\[\]:]+|:)"
    r"|\\"
)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_PAIRS = {")": "(", "]": "["}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a prompt with the factor of its hidden states."""

    text: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Break:
    """The end of a chunk of tokens."""


def weighted(prompt: str) -> Sequence[Span | Break]:
    """The spans of a prompt, neighbours of equal weight joined.

    An opening bracket without its partner applies up to the end; a closing one is text.

    Source: the description of A1111's prompt syntax ("Attention/emphasis" in its wiki) and the examples at its parser.
    """
    spans: list[Span | Break] = []
    open_brackets: list[tuple[str, int]] = []
    for match in _PARTS.finditer(prompt):
        if match["open"]:
            open_brackets.append((match["open"], len(spans)))
        elif not _close(match, spans, open_brackets):
            spans += _spans(match)
    for bracket, first in reversed(open_brackets):
        _multiply(spans, first, _factor(bracket))
    return _joined(spans)


def _close(match: re.Match[str], spans: list[Span | Break], open_brackets: list[tuple[str, int]]) -> bool:
    """Apply a closing bracket, with or without a weight; False if it closes nothing."""
    wanted = "(" if match["weight"] else _PAIRS.get(match["close"] or "")
    index = next((i for i in reversed(range(len(open_brackets))) if open_brackets[i][0] == wanted), None)
    if index is None:
        return False
    bracket, first = open_brackets.pop(index)
    _multiply(spans, first, _weight(match["weight"]) if match["weight"] else _factor(bracket))
    return True


def _weight(digits: str) -> float:
    weight = float(digits)
    if weight > LARGEST_WEIGHT:
        raise InvalidSettingError("prompt", f"the weight {digits[:20]} is too large: at most {LARGEST_WEIGHT:g}.")
    return weight


def _factor(bracket: str) -> float:
    return _EMPHASIS if bracket == "(" else 1 / _EMPHASIS


def _multiply(spans: list[Span | Break], first: int, factor: float) -> None:
    for i, span in enumerate(spans[first:], start=first):
        if isinstance(span, Span):
            spans[i] = Span(span.text, span.weight * factor)


def _spans(match: re.Match[str]) -> Iterator[Span | Break]:
    """Plain text, with its BREAKs; a lone backslash is dropped, as in A1111."""
    if match["escaped"]:
        yield Span(match["escaped"])
        return
    for number, text in enumerate(_BREAK.split("" if match[0] == "\\" else match[0])):
        if number:
            yield Break()
        if text:
            yield Span(text)


def _joined(spans: Sequence[Span | Break]) -> Sequence[Span | Break]:
    joined: list[Span | Break] = []
    for span in spans:
        last = joined[-1] if joined else None
        if isinstance(span, Span) and isinstance(last, Span) and last.weight == span.weight:
            joined[-1] = Span(last.text + span.text, span.weight)
        else:
            joined.append(span)
    return joined
