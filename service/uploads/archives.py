"""Zip archives from strangers: which members are pictures, captions and masks, and their bytes within the limits.

Neither a member's place nor the size that it claims is trusted, and nothing is written to a disk. What a picture is
stands in `pictures`.
"""

import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from service.errors import (
    ImageTooLargeError,
    ImageUnreadableError,
    ImageUnsupportedError,
    InvalidInputError,
    ServiceError,
)
from service.settings import Limits
from service.uploads.files import File, Upload, check_size, display_name

_FIRST_BYTES = (b"PK\x03\x04", b"PK\x05\x06")
_END_RECORD = b"PK\x05\x06"
_END_RECORD_BYTES = 22
_COMMENT_LIMIT_BYTES = 65535
_DIRECTORY_SIZE_OFFSET = 12
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
_DIRECTORY_LIMIT_BYTES = 1_000_000
"""A directory is held in memory as a whole before the first member can be read; this is some ten thousand names."""

_BOUNDED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Compressions that `zipfile` unpacks only as far as it is asked to. Of bzip2 and LZMA it unpacks all that it has read,
so that a few kilobytes could fill the memory."""

_ENCRYPTED = 1
"""The bit of a member's flags that says so."""

_UTF8_BYTES_A_CHARACTER = 4


def unpacked(archive: Upload, limits: Limits) -> Iterator[File]:
    """An archive's pictures; `NAME.txt` beside one is its caption, `NAME.mask.png` (or another kind) its mask.

    Raises:
        ImageUnsupportedError: it is no zip archive, or a member is compressed otherwise than by deflate.
        ImageUnreadableError: it, or a member, is damaged or encrypted.
        ImageTooLargeError: a member has too many bytes, or the archive too many entries.
        InvalidInputError: it holds too many pictures, or a caption that cannot be used.
    """
    _check_directory(archive.display_name, archive.stream)
    try:
        with zipfile.ZipFile(archive.stream) as opened:
            yield from _files(opened, archive.display_name, limits)
    except ServiceError:
        raise
    except Exception as error:  # what zipfile and its decompressors raise on hostile bytes is not a closed set
        raise ImageUnreadableError(
            f"The archive {archive.display_name} is damaged ({error}). Pack it again."
        ) from error


def _check_directory(name: str, stream: BinaryIO) -> None:
    """Refuse what is no zip archive, and a directory so long that merely listing it would fill the memory."""
    if not stream.read(4).startswith(_FIRST_BYTES):
        raise ImageUnsupportedError(f"{name} is not a zip archive. Pack the pictures with zip.")
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - _ZIP64_LOCATOR_BYTES - _END_RECORD_BYTES - _COMMENT_LIMIT_BYTES))
    tail = stream.read()
    end = tail.rfind(_END_RECORD)
    if end < 0 or len(tail) < end + _END_RECORD_BYTES:
        raise ImageUnreadableError(f"The archive {name} is cut off: it has no directory. Pack it again.")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + _DIRECTORY_SIZE_OFFSET)
    zip64 = tail[max(0, end - _ZIP64_LOCATOR_BYTES) : end].startswith(_ZIP64_LOCATOR)
    if zip64 or directory_bytes > _DIRECTORY_LIMIT_BYTES:
        raise ImageTooLargeError(f"The archive {name} lists too many files. Pack only the pictures.")


def _files(opened: zipfile.ZipFile, archive: str, limits: Limits) -> Iterator[File]:
    members = [member for member in opened.infolist() if not _ignored(member)]
    captions = {_stem(member): member for member in members if _is_caption(member)}
    masks = {_stem(member).with_suffix(""): member for member in members if _is_mask(member)}
    pictures = [member for member in members if not _is_caption(member) and not _is_mask(member)]
    if len(pictures) > limits.pictures:
        raise InvalidInputError("archive", f"{archive} holds more than {limits.pictures} files. Pack fewer pictures.")
    _check_matched("caption", captions, pictures)
    _check_matched("mask", masks, pictures)
    for picture in pictures:
        caption, mask = captions.get(_stem(picture)), masks.get(_stem(picture))
        yield File(
            display_name(picture.filename),
            _extracted(opened, picture, limits),
            _caption(opened, caption, limits) if caption else None,
            _extracted(opened, mask, limits) if mask else None,
        )


def _ignored(member: zipfile.ZipInfo) -> bool:
    """Whether it is a folder, or what an operating system put beside the files that somebody packed."""
    path = _path(member)
    of_the_system = "__MACOSX" in path.parts or path.name.startswith(".") or path.name.lower() == "thumbs.db"
    return member.filename.endswith(("/", "\\")) or of_the_system


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    """Where a member stands in its archive; old packers on Windows wrote their own separators."""
    return PurePosixPath(member.filename.replace("\\", "/"))


def _is_caption(member: zipfile.ZipInfo) -> bool:
    return _path(member).suffix.lower() == ".txt"


def _is_mask(member: zipfile.ZipInfo) -> bool:
    return _stem(member).suffix.lower() == ".mask"


def _stem(member: zipfile.ZipInfo) -> PurePosixPath:
    return _path(member).with_suffix("")


def _check_matched(
    what: str, companions: dict[PurePosixPath, zipfile.ZipInfo], pictures: list[zipfile.ZipInfo]
) -> None:
    """A misspelt companion that is passed over in silence would be found out after the training, if ever."""
    unmatched = sorted(companions.keys() - {_stem(picture) for picture in pictures})
    if unmatched:
        name = display_name(companions[unmatched[0]].filename)
        raise InvalidInputError("archive", f"{name} is a {what}, but the archive holds no picture of that name.")


def _extracted(opened: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> bytes:
    name = display_name(member.filename)
    check_size(name, member.file_size, limits)
    data = _read(opened, member, limits.picture_bytes)
    check_size(name, len(data), limits)
    return data


def _caption(opened: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> str | None:
    name = display_name(member.filename)
    try:
        text = _read(opened, member, _UTF8_BYTES_A_CHARACTER * limits.prompt_characters).decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise InvalidInputError("archive", f"{name} is not text in UTF-8. Save it as UTF-8.") from error
    if len(text) > limits.prompt_characters or "\0" in text:
        raise InvalidInputError("archive", f"{name} is no caption of at most {limits.prompt_characters} characters.")
    return text or None


def _read(opened: zipfile.ZipFile, member: zipfile.ZipInfo, limit_bytes: int) -> bytes:
    """A member's bytes, one more than the limit at most."""
    if member.flag_bits & _ENCRYPTED:
        raise ImageUnreadableError(f"{display_name(member.filename)} is encrypted. Pack it without a password.")
    if member.compress_type not in _BOUNDED:
        raise ImageUnsupportedError(
            f"{display_name(member.filename)} is compressed in a way that is not read here. Pack it with ordinary zip."
        )
    with opened.open(member) as stream:
        return stream.read(limit_bytes + 1)
