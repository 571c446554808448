"""Uploaded files: a name that is only shown, and bytes that are counted before they are parsed."""

import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO

_NAME_LIMIT = 255
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories of control and format characters, surrogates and line separators."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a request, with the name that the client gave it."""

    filename: str
    stream: BinaryIO

    @property
    def display_name(self) -> str:
        """The name, safe to show and to store."""
        return display_name(self.filename)


@dataclass(frozen=True, slots=True)
class File:
    """The undecoded file of a picture."""

    name: str
    data: bytes
    caption: str | None
    mask: bytes | None = None
    """A picture of the same shape, white on the subject."""


def display_name(filename: str) -> str:
    """A name without its folders, and without characters that cannot be shown or stored."""
    name = PurePosixPath(filename.replace("\\", "/")).name
    kept = "".join(character for character in name if unicodedata.category(character) not in _INVISIBLE)
    return kept[:_NAME_LIMIT] or "(unnamed)"
