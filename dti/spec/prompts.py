"""Prompt grammar: plain words and `<concept>` triggers. Also the default prompts for objects and styles.

Torch-free: shared by the HTTP edge and the text encoders.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dti.spec.settings import LearnableProperty

NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
"""Pattern of a concept's name; prompts write it between angle brackets."""

_TRIGGER = re.compile(f"<({NAME_PATTERN})>")


PLAIN_PROMPTS: Mapping[LearnableProperty, str] = {"object": "a photo of {}", "style": "a picture in the style of {}"}
"""Default prompts, with {} for the concept."""


@dataclass(frozen=True, slots=True)
class Text:
    """Plain words of a prompt."""

    words: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A concept's name in a prompt."""

    name: str


def parse_prompt(prompt: str) -> tuple[Text | Trigger, ...]:
    """Words and triggers of a prompt, in order; `<…>` around an invalid name is plain text.

    Leading and trailing white space is removed, and so is the space before a trigger: a language model's tokenizer
    would attach that space to the next word.
    """
    # Parsed into pieces, because replacing strings confuses triggers that are prefixes of each other.
    return tuple(_pieces(prompt.strip()))


def with_lead(pieces: Sequence[Text | Trigger], lead: str) -> tuple[Text | Trigger, ...]:
    """A parsed prompt with `lead` prepended to its first words; a leading trigger takes none."""
    if pieces and isinstance(pieces[0], Trigger):
        return tuple(pieces)
    words = pieces[0].words if pieces and isinstance(pieces[0], Text) else ""
    return (Text(lead + words), *pieces[1:])


def triggers(prompt: str) -> tuple[str, ...]:
    """Distinct concept names in a prompt, in order of appearance."""
    return tuple(dict.fromkeys(piece.name for piece in parse_prompt(prompt) if isinstance(piece, Trigger)))


def _pieces(prompt: str) -> Iterator[Text | Trigger]:
    end = 0
    for match in _TRIGGER.finditer(prompt):
        words = prompt[end : match.start()].removesuffix(" ")
        if words:
            yield Text(words)
        yield Trigger(match[1])
        end = match.end()
    if end < len(prompt):
        yield Text(prompt[end:])
