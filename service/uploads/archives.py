"""Uploaded zip archives as files, within the limits.

Neither paths nor declared sizes of members are trusted; nothing is written to a disk.

Source: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.14 to 4.3.16 (ends of the directory) and appendix D (names).
"""

import io
import struct
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, TypeVar

from service.errors import (
    ImageTooLargeError,
    ImageUnreadableError,
    ImageUnsupportedError,
    ServiceError,
)
from service.uploads.entries import Entry
from service.uploads.files import Upload, display_name
from service.uploads.formats import HEAD_BYTES, archive_of

T = TypeVar("T")

_END_RECORD = b"PK\x05\x06"
_END_RECORD_BYTES = 22
_COMMENT_LIMIT_BYTES = 65535
_DIRECTORY_SIZE_OFFSET = 12
_ZIP64_LOCATOR = b"PK\x06\x07"
_ZIP64_LOCATOR_BYTES = 20
_ZIP64_END_RECORD = b"PK\x06\x06"
_ZIP64_END_RECORD_BYTES = 56
_DIRECTORY_LIMIT_BYTES = 1_000_000
"""The directory is held in memory before the first member can be read; this is some ten thousand names."""

_BOUNDED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Compressions that `zipfile` decompresses only as far as it is asked to. Of bzip2 and LZMA it decompresses all that it
has read: a few kilobytes could fill the memory."""

_ENCRYPTED, _UTF8 = 1, 0x800
"""Bits of a member's flags."""

_UNICODE_PATH = 0x7075
"""The extra field of a member's name in UTF-8."""


def members_of(archive: Upload) -> Iterator[Entry]:
    """The files of an archive, in the order of its directory.

    Raises:
        ImageUnsupportedError: it is not a zip archive.
        ImageUnreadableError: it is damaged.
        ImageTooLargeError: it has too many entries.
    """
    _check_directory(archive.display_name, archive.stream)
    opened = _guarded(archive.display_name, partial(zipfile.ZipFile, archive.stream))
    for member in opened.infolist():
        if not member.filename.endswith(("/", "\\")):
            read = partial(_read, opened, member, archive.display_name)
            yield Entry(_path_of(member), "archive", member.file_size, read, archive.display_name)


def _check_directory(name: str, stream: BinaryIO) -> None:
    """Refuse other files than zip archives, and directories so long that listing them would fill the memory."""
    stream.seek(0)
    kind = archive_of(stream.read(HEAD_BYTES))
    if kind != "ZIP":
        found = "not a zip archive" if kind is None else f"a {kind} archive, which is not read"
        raise ImageUnsupportedError(f"{name} is {found}. Pack the pictures with zip.")
    size = stream.seek(0, io.SEEK_END)
    start = max(0, size - _ZIP64_LOCATOR_BYTES - _END_RECORD_BYTES - _COMMENT_LIMIT_BYTES)
    stream.seek(start)
    tail = stream.read()
    end = tail.rfind(_END_RECORD)
    if end < 0 or len(tail) < end + _END_RECORD_BYTES:
        raise ImageUnreadableError(f"The archive {name} is cut off: it has no directory. Pack it again.")
    (directory_bytes,) = struct.unpack_from("<I", tail, end + _DIRECTORY_SIZE_OFFSET)
    if tail[max(0, end - _ZIP64_LOCATOR_BYTES) : end].startswith(_ZIP64_LOCATOR):
        # Packers that write to a stream, and do not know sizes beforehand, write this form for small archives too.
        directory_bytes = _zip64_directory_bytes(stream, start + end)
    if directory_bytes > _DIRECTORY_LIMIT_BYTES:
        raise ImageTooLargeError(f"The archive {name} lists too many files. Pack only the pictures.")


def _zip64_directory_bytes(stream: BinaryIO, end: int) -> int:
    """The size of the directory by the record before the locator; too large where that is missing."""
    position = end - _ZIP64_LOCATOR_BYTES - _ZIP64_END_RECORD_BYTES
    stream.seek(max(0, position))
    record = stream.read(_ZIP64_END_RECORD_BYTES)
    if position < 0 or not record.startswith(_ZIP64_END_RECORD):
        return _DIRECTORY_LIMIT_BYTES + 1
    (directory_bytes,) = struct.unpack_from("<Q", record, 40)
    return int(directory_bytes)


def _read(opened: zipfile.ZipFile, member: zipfile.ZipInfo, archive: str, count: int) -> bytes:
    """The first bytes of a member."""
    name = display_name(_path_of(member))
    if member.flag_bits & _ENCRYPTED:
        raise ImageUnreadableError(f"{name} is encrypted. Pack it without a password.")
    if member.compress_type not in _BOUNDED:
        raise ImageUnsupportedError(f"{name} is compressed in a way that is not read here. Pack it with ordinary zip.")
    return _guarded(archive, partial(_first_bytes, opened, member, count))


def _first_bytes(opened: zipfile.ZipFile, member: zipfile.ZipInfo, count: int) -> bytes:
    with opened.open(member) as stream:
        return stream.read(count)


def _guarded(archive: str, action: Callable[[], T]) -> T:
    try:
        return action()
    except ServiceError:
        raise
    except Exception as error:  # what zipfile and its decompressors raise on hostile bytes is not a closed set
        raise ImageUnreadableError(f"The archive {archive} is damaged ({error}). Pack it again.") from error


def _path_of(member: zipfile.ZipInfo) -> str:
    """The path of a member; without a flag it is in UTF-8 or in the encoding of the packer's system."""
    if member.flag_bits & _UTF8:
        return member.filename
    if (named := _unicode_path(member.extra)) is not None:
        return named
    try:
        raw = member.filename.encode("cp437")
    except UnicodeEncodeError:
        return member.filename
    for encoding in ("utf-8", "cp932", "gbk"):
        try:
            text = raw.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8" or _is_east_asian(text):
            return text
    return member.filename


def _unicode_path(extra: bytes) -> str | None:
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, position)
        if kind == _UNICODE_PATH:
            # A version and a checksum of the other name come first.
            return extra[position + 9 : position + 4 + size].decode("utf-8", errors="replace") or None
        position += 4 + size
    return None


def _is_east_asian(text: str) -> bool:
    """Whether a name is Chinese or Japanese: bytes of other encodings decode to single such letters by accident."""
    names = [unicodedata.name(character, "") for character in text if not character.isascii()]
    scripts = ("CJK", "HIRAGANA", "KATAKANA")
    if not all(name.startswith((*scripts, "FULLWIDTH")) for name in names):
        return False
    latin = sum(character.isascii() and character.isalpha() for character in text.rpartition(".")[0] or text)
    return sum(name.startswith(scripts) for name in names) > latin
