"""Uploaded zip archives: their pictures, captions and masks, within the limits.

Neither paths nor declared sizes of members are trusted; nothing is written to a disk. Pictures are decoded in
`pictures`.
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
"""The directory is held in memory before the first member can be read; this is some ten thousand names."""

_BOUNDED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Compressions that `zipfile` decompresses only as far as it is asked to. Of bzip2 and LZMA it decompresses all that it
has read: a few kilobytes could fill the memory."""

_ENCRYPTED = 1
"""The bit of a member's flags for encryption."""

_UTF8_BYTES_A_CHARACTER = 4


def unpacked(archive: Upload, limits: Limits) -> Iterator[File]:
    """The pictures of an archive; `NAME.txt` beside one is its caption, `NAME.mask.png` (or another format) its mask.

    Raises:
        ImageUnsupportedError: it is not a zip archive, or a member is not stored or deflated.
        ImageUnreadableError: it, or a member, is damaged or encrypted.
        ImageTooLargeError: a member has too many bytes, or the archive too many entries.
        InvalidInputError: it has too many pictures, or an unusable caption.
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
    """Refuse other files than zip archives, and directories so long that listing them would fill the memory."""
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
    """Whether a member is a folder, or a file of an operating system."""
    path = _path(member)
    of_the_system = "__MACOSX" in path.parts or path.name.startswith(".") or path.name.lower() == "thumbs.db"
    return member.filename.endswith(("/", "\\")) or of_the_system


def _path(member: zipfile.ZipInfo) -> PurePosixPath:
    """The path of a member; old packers on Windows wrote backslashes."""
    return PurePosixPath(member.filename.replace("\\", "/"))


def _is_caption(member: zipfile.ZipInfo) -> bool:
    return _path(member).suffix.lower() == ".txt"


def _is_mask(member: zipfile.ZipInfo) -> bool:
    return _stem(member).suffix.lower() == ".mask"


def _stem(member: zipfile.ZipInfo) -> PurePosixPath:
    return _path(member).with_suffix("")


def _check_matched(
    kind: str, companions: dict[PurePosixPath, zipfile.ZipInfo], pictures: list[zipfile.ZipInfo]
) -> None:
    """Refuse a caption or mask without a picture: a typing error would otherwise be found only after the training."""
    unmatched = sorted(companions.keys() - {_stem(picture) for picture in pictures})
    if unmatched:
        name = display_name(companions[unmatched[0]].filename)
        raise InvalidInputError("archive", f"{name} is a {kind}, but the archive holds no picture of that name.")


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
    """The bytes of a member, at most one more than the limit."""
    if member.flag_bits & _ENCRYPTED:
        raise ImageUnreadableError(f"{display_name(member.filename)} is encrypted. Pack it without a password.")
    if member.compress_type not in _BOUNDED:
        raise ImageUnsupportedError(
            f"{display_name(member.filename)} is compressed in a way that is not read here. Pack it with ordinary zip."
        )
    with opened.open(member) as stream:
        return stream.read(limit_bytes + 1)
