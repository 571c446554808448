"""Angle brackets in prompts: which of them enclose a concept's name, in any spelling, and which are text.

Text between angle brackets names a concept, or is an error of its author's; it is never read as words. The exceptions
are texts in which `<` and `>` are relations, arrows or hearts, and sentences between quotation marks of the same shape.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
"""Pattern of a concept's name; prompts write it between angle brackets."""

_NAME = re.compile(NAME_PATTERN)

_QUOTES = "«»‹›《》〈〉"
"""Look-alikes that are quotation marks as well."""

_OPEN = r"(?:\\?<|&(?:lt|LT|#0*60|#[xX]0*3[cC]);|[＜﹤˂ᐸ⟨〈❬❮❰⟪⟬«‹《〈])"
_CLOSE = r"(?:\\?>|&(?:gt|GT|#0*62|#[xX]0*3[eE]);|[＞﹥˃ᐳ⟩〉❭❯❱⟫⟭»›》〉])"
_INNER = rf"(?:(?!{_OPEN}|{_CLOSE}).){{1,200}}?"
_PAIR = re.compile(rf"{_OPEN}{_OPEN}({_INNER}){_CLOSE}{_CLOSE}|{_OPEN}({_INNER}){_CLOSE}", re.DOTALL)
"""Innermost brackets, doubled or single."""

_DASHES = re.compile("[‐‑‒–—―−﹣－]")
_SEPARATORS = re.compile(r"[\s_]+")
_ARROW_OR_COMPARISON = re.compile(r"=|[-~]+\s")
_HEART = re.compile(r"/?3+[\s,.!?)].*\s", re.DOTALL)
_NUMBER = re.compile(r"[-+]?[\d.,]*\d\S{0,3}")
_OPERAND = re.compile(rf"[^\W\d_]|{_NUMBER.pattern}")
"""A variable of one letter, or a number with its unit."""

_SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Bracket:
    """Text between angle brackets.

    Attributes:
        start: index of the opening bracket.
        end: index after the closing bracket.
        name: the concept's name; the text itself where that cannot be a name.
    """

    start: int
    end: int
    name: str


def bracketed(prompt: str) -> Iterator[Bracket]:
    """The texts between angle brackets that name concepts, in order."""
    for match in _PAIR.finditer(prompt):
        inner = match[1] or match[2]
        if not _is_text(prompt[: match.start()], match[0], inner, prompt[match.end() :]):
            yield Bracket(match.start(), match.end(), name_of(inner))


def name_of(inner: str) -> str:
    """The concept's name that a text spells: lower case, with hyphens in place of spaces and underscores.

    Returns:
        A valid name, or the text itself, without invisible characters.
    """
    visible = "".join(
        character for character in unicodedata.normalize("NFKC", inner) if unicodedata.category(character) != "Cf"
    )
    text = visible.strip()
    if _NAME.fullmatch(text):
        return text
    spelled = _SEPARATORS.sub("-", _DASHES.sub("-", text.lower())).strip("-")
    return spelled if _NAME.fullmatch(spelled) else " ".join(text.split())[:_SHOWN_CHARACTERS]


def _is_text(before: str, pair: str, inner: str, after: str) -> bool:
    if not any(character.isalnum() for character in inner):
        return True
    if _ARROW_OR_COMPARISON.match(inner) or (after.startswith("=") and inner[-1].isspace()):
        return True
    if pair[0] in _QUOTES:
        # A name in a prompt has no spaces, and only ASCII letters; a quotation mostly differs.
        return len(inner.split()) > 1 or not _NAME.fullmatch(name_of(inner))
    return bool(_HEART.fullmatch(inner)) or _is_relation(before, inner, after)


def _is_relation(before: str, inner: str, after: str) -> bool:
    """Whether `<` and `>` compare: "x < y and y > z", "1 < 2 > 0"."""
    words = inner.split()
    left, right = (before.split() or [""])[-1], (after.split() or [""])[0].rstrip(",.;:!?)")
    if len(words) == 1:
        loose = inner[0].isspace() and inner[-1].isspace()
        operand = _OPERAND if loose else _NUMBER
        return all(map(operand.fullmatch, (left, words[0], right)))
    compares = any(map(_OPERAND.fullmatch, (left, words[0]))) and any(map(_OPERAND.fullmatch, (words[-1], right)))
    tight = before[-1:].isalnum() and after[:1].isalnum()
    return compares and (inner[-1].isspace() or tight)
