"""Warnings of a job: parts of its request that are not used, or not as written, and of its work that were lost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

WarningCode = Literal[
    "files_skipped",
    "picture_uniform",
    "foreign_syntax",
    "setting_unused",
    "caption_unused",
    "concept_unused",
    "checkpoint_unusable",
    "concept_of_another_model",
]
"""The stable codes: clients may compare them."""


@dataclass(frozen=True, kw_only=True)
class JobWarning:
    """A part of a request that has no effect, or not the one that its author may expect.

    Args:
        code: for programs.
        message: for people: the part, with its value, and a remedy.
        subjects: names of the parts: files, fields, concepts or pieces of a prompt.
    """

    code: WarningCode
    message: str
    subjects: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The warning as JSON values."""
        return {**asdict(self), "subjects": list(self.subjects)}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(code=stored["code"], message=stored["message"], subjects=tuple(stored["subjects"]))
