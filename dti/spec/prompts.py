"""Prompts: the grammar of `<concept>` triggers and the plain prompts of objects and styles.

Parsed once here, for the HTTP edge and the text encoders alike. Torch-free.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dti.spec.settings import LearnableProperty

NAME_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
"""What a concept may be called; in prompts it stands between angle brackets."""

_TRIGGER = re.compile(f"<({NAME_PATTERN})>")


PLAIN_PROMPTS: Mapping[LearnableProperty, str] = {"object": "a photo of {}", "style": "a picture in the style of {}"}
"""What a concept is shown in where nobody said more."""


@dataclass(frozen=True, slots=True)
class Text:
    """Plain words of a prompt."""

    words: str


@dataclass(frozen=True, slots=True)
class Trigger:
    """A place in a prompt that stands for a concept."""

    name: str


def parse_prompt(prompt: str) -> tuple[Text | Trigger, ...]:
    """A prompt as words and concepts in order; `<…>` that is no possible name stays plain text.

    Parsed, never replaced in, so that triggers that are prefixes of each other cannot meet. White space around a prompt
    says nothing and is left out, as is the space before a concept: to a language model it is the next word's.
    """
    return tuple(_pieces(prompt.strip()))


def led(pieces: Sequence[Text | Trigger], lead: str) -> tuple[Text | Trigger, ...]:
    """A parsed prompt whose first words have a lead before them; a concept needs none, as it needs no space."""
    if pieces and isinstance(pieces[0], Trigger):
        return tuple(pieces)
    words = pieces[0].words if pieces and isinstance(pieces[0], Text) else ""
    return (Text(lead + words), *pieces[1:])


def triggers(prompt: str) -> tuple[str, ...]:
    """The names of the concepts in a prompt, each once, in order of appearance."""
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
