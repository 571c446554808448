"""The training pictures among the files of a request, with their captions and masks: one rule for every way in.

First bytes tell what is a picture, names what is its caption or mask. All other files are passed over and named.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dti.spec.clutter import is_clutter
from service.catalogue.token_limits import Caption
from service.errors import ImageUnsupportedError, InvalidInputError
from service.kinds.warnings import JobWarning
from service.settings import Limits
from service.uploads.companions import (
    CAPTION_SUFFIXES,
    TABLES,
    Key,
    MaskName,
    caption_in_json,
    caption_of,
    captions_in_table,
    key_of,
    mask_name,
    stem_of,
)
from service.uploads.decoding import not_a_picture, raw_file
from service.uploads.entries import Entry
from service.uploads.files import File
from service.uploads.formats import archive_of, is_raw, kind_of, unreadable_picture

_ARCHIVE_SUFFIXES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst")
_PICTURE_SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".heic", ".heif", ".avif", ".tif", ".tiff",
)  # fmt: skip
_NOTES = re.compile(r"(readme|licen[cs]e|notice|about|credits|changelog|notes?|todo|sources?|attribution)\b.*")
_KOHYA_FOLDER = re.compile(r"(?P<repeats>\d+)_.+")
_NAMES_LIMIT = 100
_NAMES_IN_MESSAGE = 5


@dataclass(frozen=True)
class PictureFile:
    """A picture with its caption and mask, undecoded.

    Attributes:
        entry: the picture.
        caption: its text.
        caption_name: the name of the caption's file, for messages.
        mask: its mask.
    """

    entry: Entry
    caption: str | None = None
    caption_name: str | None = None
    mask: Entry | None = None

    def file(self, limits: Limits) -> File:
        """Its bytes."""
        mask = None if self.mask is None else self.mask.content(limits)
        return File(self.entry.name, self.entry.content(limits), self.caption, mask)


@dataclass(frozen=True)
class TrainingFiles:
    """The files of a request.

    Attributes:
        pictures: in the order of their arrival.
        warnings: files that were passed over.
    """

    pictures: Sequence[PictureFile]
    warnings: Sequence[JobWarning]

    @property
    def captions(self) -> list[Caption]:
        """The captions with the names of their files."""
        return [
            Caption(picture.caption, picture.caption_name or picture.entry.name)
            for picture in self.pictures
            if picture.caption
        ]


@dataclass
class _Sorted:
    """Entries by their roles."""

    pictures: list[Entry] = field(default_factory=list)
    texts: list[Entry] = field(default_factory=list)
    tables: list[Entry] = field(default_factory=list)
    clutter: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)
    others: list[Entry] = field(default_factory=list)


def select(entries: Iterable[Entry], limits: Limits) -> TrainingFiles:
    """Find the pictures with their captions and masks.

    Raises:
        ImageUnsupportedError: there is a camera's raw file or an archive, or there are files but no pictures.
        ImageTooLargeError: a file that is called a picture has too many bytes.
        ImageUnreadableError: a file that is called a picture is empty.
        InvalidInputError: there are no pictures or too many; a caption or mask has no picture, or two; a caption cannot
            be used.
    """
    found = _sort(entries, limits)
    masks = _masks(found.pictures)
    pictures = [entry for entry in found.pictures if entry not in masks]
    _check_count(found, pictures, limits)
    by_mask = _by_target(masks, pictures)
    texts = _captions(found, pictures, masks, limits)
    chosen = [
        PictureFile(entry, *texts.get(id(entry), (None, None)), mask=by_mask.get(id(entry))) for entry in pictures
    ]
    return TrainingFiles(chosen, tuple(_warnings(found, pictures)))


def _sort(entries: Iterable[Entry], limits: Limits) -> _Sorted:
    found = _Sorted()
    for entry in entries:
        name = entry.name.lower()
        if is_clutter(entry.path):
            found.clutter.append(entry)
        elif kind_of(entry.head) is not None:
            found.pictures.append(entry)
        elif name in TABLES:
            found.tables.append(entry)
        elif name.endswith((*CAPTION_SUFFIXES, ".json")):
            found.texts.append(entry)
        else:
            _refuse_what_is_meant(entry, name, limits)
            (found.unreadable if unreadable_picture(entry.head) else found.others).append(entry)
    return found


def _refuse_what_is_meant(entry: Entry, name: str, limits: Limits) -> None:
    """Refuse files that are meant as pictures and would be lost: raw ones, archives, and those that are called so."""
    if is_raw(entry.head):
        raise raw_file(entry.name)
    archive = archive_of(entry.head)
    if archive is not None and name.endswith(_ARCHIVE_SUFFIXES):
        remedy = "Send it as `archive`." if entry.field == "images" and archive == "ZIP" else "Unpack it."
        raise ImageUnsupportedError(f"{entry.name} is a {archive} archive, not a picture. {remedy}")
    if name.endswith(_PICTURE_SUFFIXES):
        entry.content(limits)
        mask = mask_name(entry)
        if mask is not None and mask.certain:
            raise not_a_picture(f"the mask of {mask.target[1]}{name[name.rfind('.') :]}")
        raise not_a_picture(entry.name)


def _masks(pictures: Sequence[Entry]) -> list[Entry]:
    """The pictures that are masks of others.

    Raises:
        InvalidInputError: a mask has no picture.
    """
    names = {id(entry): named for entry in pictures if (named := mask_name(entry))}
    stems = {stem_of(key_of(entry)) for entry in pictures}
    matched = {number: named for number, named in names.items() if _has_picture(named, stems)}
    marks = {named.mark.lower() for named in matched.values()}
    masks = []
    for entry in pictures:
        named = names.get(id(entry))
        if named is None:
            continue
        if id(entry) in matched:
            masks.append(entry)
        elif named.certain or named.mark.lower() in marks:
            raise InvalidInputError(entry.field, f"{entry.name} is a mask, but there is no picture of that name.")
    return masks


def _has_picture(named: MaskName, stems: set[Key]) -> bool:
    if named.mark != "/":
        return named.target in stems
    return any(stem == named.target or _is_beside(named, stem) for stem in stems)


def _is_beside(named: MaskName, stem: Key) -> bool:
    """Whether a mask's folder lies beside the folder of a picture: masks/1.png and images/1.jpg."""
    (folders, name), (above, wanted) = stem, named.target
    return name == wanted and folders[:-1] == above and bool(folders) and not _is_masks(folders[-1])


def _is_masks(folder: str) -> bool:
    return folder.strip("_") in {"mask", "masks"}


def _by_target(masks: Sequence[Entry], pictures: Sequence[Entry]) -> dict[int, Entry]:
    """Masks by the identities of their pictures."""
    found: dict[int, Entry] = {}
    for mask in masks:
        named = mask_name(mask)
        for picture in pictures:
            stem = stem_of(key_of(picture))
            if named and (stem == named.target or (named.mark == "/" and _is_beside(named, stem))):
                if id(picture) in found:
                    names = f"{found[id(picture)].name} and {mask.name}"
                    raise InvalidInputError(mask.field, f"{names} are two masks of {picture.name}. Keep one.")
                found[id(picture)] = mask
    return found


def _captions(
    found: _Sorted, pictures: Sequence[Entry], masks: Sequence[Entry], limits: Limits
) -> Mapping[int, tuple[str | None, str | None]]:
    """Captions and the names of their files, by the identities of the pictures; files without use are moved."""
    captions: dict[int, tuple[str | None, str | None]] = {}
    for table in found.tables:
        rows = captions_in_table(table, limits)
        for picture in pictures:
            if key_of(picture) in rows:
                captions[id(picture)] = (rows[key_of(picture)], table.name)
    stems_of_masks = {stem_of(key_of(mask)) for mask in masks}
    for text in sorted(found.texts, key=lambda entry: entry.name.lower().endswith(".json")):
        described = _described(text, pictures)
        is_json = text.name.lower().endswith(".json")
        if not described:
            _check_meant(text, is_json=is_json, of_a_mask=stem_of(key_of(text)) in stems_of_masks)
            found.others.append(text)
        elif is_json and all(id(picture) in captions for picture in described):
            found.others.append(text)
        else:
            caption = (caption_in_json if is_json else caption_of)(text, limits)
            for picture in described:
                _add_caption(captions, picture, text, caption)
    return captions


def _described(text: Entry, pictures: Sequence[Entry]) -> list[Entry]:
    """The pictures that a text describes: 1.png.txt is of 1.png, 1.txt of 1.png and 1.jpg."""
    stem = stem_of(key_of(text))
    return [picture for picture in pictures if key_of(picture) == stem] or [
        picture for picture in pictures if stem_of(key_of(picture)) == stem
    ]


def _check_meant(text: Entry, *, is_json: bool, of_a_mask: bool) -> None:
    """Refuse a caption without a picture: a typing error would otherwise be found only after the training."""
    if not is_json and not of_a_mask and not _NOTES.fullmatch(text.name.lower()):
        raise InvalidInputError(text.field, f"{text.name} is a caption, but there is no picture of that name.")


def _add_caption(
    captions: dict[int, tuple[str | None, str | None]], picture: Entry, text: Entry, caption: str | None
) -> None:
    before, name = captions.get(id(picture), (caption, None))
    if before != caption:
        raise InvalidInputError(
            text.field, f"{name} and {text.name} are two captions of {picture.name}, and differ. Keep one."
        )
    captions[id(picture)] = (caption, text.name)


def _check_count(found: _Sorted, pictures: Sequence[Entry], limits: Limits) -> None:
    if len(pictures) > limits.pictures:
        last = pictures[-1]
        place = f" with {last.archive}" if last.archive else ""
        raise InvalidInputError(last.field, f"There are more than {limits.pictures} pictures{place}. Send fewer.")
    if not pictures:
        first = next(iter([*found.unreadable, *found.others]), None)
        if first is not None:
            raise not_a_picture(first.name)
        raise InvalidInputError("images", "There are no pictures. Send at least one in `images` or in `archive`.")


def _warnings(found: _Sorted, pictures: Sequence[Entry]) -> Iterator[JobWarning]:
    for entries, reason in (
        (found.clutter, "hidden, or files of an operating system"),
        (found.unreadable, "pictures in a format that is not read here; export them as PNG"),
        (found.others, "neither pictures nor their captions"),
    ):
        if entries:
            names = [entry.shown_path for entry in entries]
            shown = ", ".join(names[:_NAMES_IN_MESSAGE]) + (", …" if len(names) > _NAMES_IN_MESSAGE else "")
            count = "1 file is" if len(names) == 1 else f"{len(names)} files are"
            message = f"{count} not used ({reason}): {shown}."
            yield JobWarning(code="files_skipped", message=message, subjects=tuple(names[:_NAMES_LIMIT]))
    yield from _kohya_warnings(pictures)


def _kohya_warnings(pictures: Sequence[Entry]) -> Iterator[JobWarning]:
    folders = Counter(entry.parts[-2] for entry in pictures if len(entry.parts) > 1)
    for folder, count in folders.items():
        match = _KOHYA_FOLDER.fullmatch(folder)
        if match:
            yield JobWarning(
                code="setting_unused",
                message=f"The {match['repeats']} repeats of the folder {folder} are kohya's and not used: each of its "
                f"{count} pictures counts once.",
                subjects=(folder,),
            )
