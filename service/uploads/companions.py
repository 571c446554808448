"""Captions and masks beside pictures, by their names: those of this service and of other trainers.

Captions: `NAME.txt`, `NAME.caption`, `NAME.png.txt`; a `metadata.jsonl` or `metadata.csv` of file names and texts (data
sets of Hugging Face); the `caption` of a `NAME.json` (img2dataset). Masks: `NAME.mask.png`, `NAME-mask.png`,
`NAME_mask.png`, `mask_NAME.png`, `NAME-masklabel.png` (OneTrainer), `masks/NAME.png` (kohya).
"""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dti.spec.clutter import parts_of
from service.errors import InvalidInputError
from service.settings import Limits
from service.uploads.entries import Entry

CAPTION_SUFFIXES = (".txt", ".caption")
TABLES = ("metadata.jsonl", "metadata.csv")
_TABLE_TEXTS = ("text", "caption", "prompt")
_TABLE_NAMES = ("file_name", "filename", "image", "file")
_TABLE_LIMIT_BYTES = 1_000_000

_MASK = re.compile(r"(?P<name>.+?)(?P<mark>[.\-_ ]mask(?:label|s)?)", re.IGNORECASE)
_MASK_BEFORE = re.compile(r"(?P<mark>mask[.\-_ ])(?P<name>.+)", re.IGNORECASE)
_MASK_FOLDERS = frozenset({"mask", "masks", "_mask", "_masks"})
_CERTAIN_MARKS = frozenset({".mask", "-masklabel"})
"""Marks of no ordinary picture's name: `venetian-mask.jpg` may be a picture of a mask."""

_UTF8_BYTES_A_CHARACTER = 4

Key = tuple[tuple[str, ...], str]
"""Folder and name of a file, in lower case."""


@dataclass(frozen=True)
class MaskName:
    """The name of a mask.

    Attributes:
        target: key of its picture, without the suffix.
        mark: the part of the name that says so; "/" for a folder of masks.
    """

    target: Key
    mark: str

    @property
    def certain(self) -> bool:
        """Whether no ordinary picture has such a name."""
        return self.mark.lower() in _CERTAIN_MARKS


def key_of(entry: Entry) -> Key:
    """Folder and name."""
    *folders, name = (part.lower() for part in entry.parts or (entry.name,))
    return tuple(folders), name


def stem_of(key: Key) -> Key:
    """The same without the name's suffix."""
    folders, name = key
    stem, dot, _ = name.rpartition(".")
    return folders, stem if dot and stem else name


def mask_name(entry: Entry) -> MaskName | None:
    """The mask that a file's name tells of; None for another name."""
    folders, stem = stem_of(key_of(entry))
    if folders and folders[-1] in _MASK_FOLDERS:
        return MaskName((folders[:-1], stem), "/")
    match = _MASK.fullmatch(stem) or _MASK_BEFORE.fullmatch(stem)
    return None if match is None else MaskName((folders, match["name"]), match["mark"])


def caption_of(entry: Entry, limits: Limits) -> str | None:
    """The text of a caption's file; None for an empty one.

    Raises:
        InvalidInputError: it is no text, or too long.
    """
    return _checked(entry, _text(entry, _UTF8_BYTES_A_CHARACTER * limits.prompt_characters + 4), limits)


def caption_in_json(entry: Entry, limits: Limits) -> str | None:
    """The caption in a JSON file beside a picture.

    Raises:
        InvalidInputError: it has none.
    """
    try:
        found = json.loads(_text(entry, _TABLE_LIMIT_BYTES))
    except (ValueError, RecursionError):
        found = None
    text = found.get("caption") if isinstance(found, dict) else None
    if not isinstance(text, str):
        raise InvalidInputError(
            entry.field, f"{entry.name} has no caption that is understood here. Save the caption as text, NAME.txt."
        )
    return _checked(entry, text, limits)


def captions_in_table(entry: Entry, limits: Limits) -> Mapping[Key, str | None]:
    """The captions of a table, by the keys of their pictures.

    Raises:
        InvalidInputError: a line has no file name or no text.
    """
    text = _text(entry, _TABLE_LIMIT_BYTES)
    folders, _ = key_of(entry)
    found: dict[Key, str | None] = {}
    for number, row in enumerate(_rows(entry, text), start=1):
        name, caption = (_first(row, names) for names in (_TABLE_NAMES, _TABLE_TEXTS))
        if not name or caption is None:
            raise InvalidInputError(
                entry.field, f"{entry.name} has no file_name and text in row {number}. Name the columns so."
            )
        *below, last = parts_of(name.lower()) or ("",)
        found[(*folders, *below), last] = _checked(entry, caption, limits)
    return found


def _rows(entry: Entry, text: str) -> list[dict[str, object]]:
    try:
        if entry.name.lower().endswith(".csv"):
            return [dict(row) for row in csv.DictReader(text.splitlines())]
        rows = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, csv.Error, RecursionError) as error:
        raise InvalidInputError(entry.field, f"{entry.name} cannot be read: {error}. Save it again.") from error
    if not all(isinstance(row, dict) for row in rows):
        raise InvalidInputError(entry.field, f"{entry.name} holds other lines than objects. Save it again.")
    return rows


def _first(row: Mapping[str, object], names: tuple[str, ...]) -> str | None:
    return next((value for name in names if isinstance(value := row.get(name), str)), None)


def _text(entry: Entry, limit_bytes: int) -> str:
    data = entry.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise InvalidInputError(entry.field, f"{entry.name} has more than {limit_bytes} bytes. Shorten it.")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidInputError(entry.field, f"{entry.name} is not text in UTF-8. Save it as UTF-8.") from error


def _checked(entry: Entry, text: str, limits: Limits) -> str | None:
    text = text.strip()
    if len(text) > limits.prompt_characters or "\0" in text:
        raise InvalidInputError(
            entry.field, f"{entry.name} is no caption of at most {limits.prompt_characters} characters."
        )
    return text or None
