"""Prompt syntax of other tools, which is read here as plain words. `FOREIGN` lists it, a line each.

Torch-free. Nothing is interpreted here: a finding says which characters would mean something else elsewhere.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dti.spec.prompts import Text, parse_prompt
from dti.spec.settings import PromptSyntax

_EXAMPLE_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class Syntax:
    """A construct of another tool.

    Attributes:
        pattern: finds it.
        tool: its tools.
        meaning: its meaning there.
        remedy: its equivalent here.
        understood: whether the prompt syntax `a1111` reads it.
    """

    pattern: re.Pattern[str]
    tool: str
    meaning: str
    remedy: str = "remove it"
    understood: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """A construct in a prompt.

    Attributes:
        syntax: a name of FOREIGN.
        text: the characters, shortened.
    """

    syntax: str
    text: str

    @property
    def message(self) -> str:
        """The characters, their meaning elsewhere, and a remedy."""
        found = FOREIGN[self.syntax]
        return f"{self.text!r} is {found.meaning} in {found.tool} and plain text here: {found.remedy}."


def _syntax(pattern: str, tool: str, meaning: str, remedy: str = "remove it") -> Syntax:
    return Syntax(re.compile(pattern), tool, meaning, remedy)


def _weighting(pattern: str, tool: str, meaning: str) -> Syntax:
    remedy = "remove it, or set prompt_syntax of a generation to a1111"
    return Syntax(re.compile(pattern), tool, meaning, remedy, understood=True)


FOREIGN: Mapping[str, Syntax] = {
    "embedding": _syntax(
        r"\bembedding:\s*[^\s,()\[\]]+", "ComfyUI", "a learned concept", "write the concept's name between < and >"
    ),
    "weight": _weighting(r"\([^()]*:\s*[-+]?\d*\.?\d+\s*\)", "A1111 and ComfyUI", "a weight"),
    "emphasis": _weighting(r"\(\(+[^()]*\)+\)|\(\s*<[^<>()]+>\s*\)", "A1111 and ComfyUI", "an emphasis"),
    "scheduled": _syntax(r"\[[^\[\]|]*:[^\[\]|]*:?\s*\d*\.?\d+\s*\]", "A1111", "a change during the denoising"),
    "alternating": _syntax(r"\[[^\[\]]*\|[^\[\]]*\]", "A1111", "an alternation during the denoising"),
    "attenuation": _weighting(r"\[\[+[^\[\]]*\]+\]|\[\s*<[^<>\[\]]+>\s*\]", "A1111", "a weakened emphasis"),
    "escape": _weighting(r"\\[()\[\]]", "A1111 and ComfyUI", "an escaped bracket"),
    "break": _weighting(r"\bBREAK\b", "A1111", "the end of a chunk of tokens"),
    "composition": _syntax(r"(?<=\S)\s+AND\s+(?=\S)", "A1111", "a composition of prompts", "write it in lower case"),
    "choice": _syntax(r"\{[^{}]+\}", "dynamic prompts and NovelAI", "a choice or an emphasis", "write one text"),
    "wildcard": _syntax(r"\b__[\w/*-]+__\b", "dynamic prompts", "a wildcard", "write one text"),
    "compel": _syntax(r"\)[-+]{1,4}(?![\w-])|\w\+{2,4}(?!\w)|\)\.(?:and|blend|swap)\(", "InvokeAI", "a weight"),
    "midjourney_weight": _syntax(r"\S::\s*[-+]?\d*\.?\d*", "Midjourney", "a weight"),
    "midjourney_parameter": _syntax(
        r"(?<!\S)--(?:ar|aspect|v|version|style|stylize|s|chaos|c|no|seed|niji|q|quality|iw|tile|sref|cref|weird)\b",
        "Midjourney",
        "a parameter",
        "use the fields of the request",
    ),
    "placeholder": _syntax(
        r"\{\}", "captions and interpolations", "the concept's place", "write the concept's name between < and >"
    ),
    "unclosed": _syntax(r"(?<!\w)[<‹＜⟨][A-Za-z][\w-]*", "prompts", "a concept", "close it with >"),
}
"""Constructs by name. Bare parentheses and square brackets are ordinary punctuation, and are not listed."""


def foreign_syntax(prompt: str, *, placeholder: bool = False, syntax: PromptSyntax = "plain") -> Sequence[Finding]:
    """The constructs of other tools in a prompt, at most one of each kind.

    Args:
        prompt: as given.
        placeholder: whether {} stands for the concept in it.
        syntax: the one that is understood.
    """
    outside = "\0".join(piece.words for piece in parse_prompt(prompt) if isinstance(piece, Text))
    findings = []
    for name, construct in FOREIGN.items():
        if (name == "placeholder" and placeholder) or (construct.understood and syntax == "a1111"):
            continue
        # A bracket without its partner stands outside of triggers; all other constructs may enclose some.
        match = construct.pattern.search(outside if name == "unclosed" else prompt)
        if match is not None:
            findings.append(Finding(name, match[0].strip()[:_EXAMPLE_CHARACTERS]))
    return findings
