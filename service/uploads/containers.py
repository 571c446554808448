"""Containers of pictures without the parts that no picture needs: text, previews, bytes after the end.

Decoders read, and limit, all that a file holds; a workflow of two megabytes in a PNG would refuse it. Kept are pixels,
colour, transparency, orientation and animation. Files that are not understood are returned as they are: the decoder
says then what is wrong with them.
"""

import struct
import zlib
from collections.abc import Iterator

_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    {
        b"IHDR",
        b"PLTE",
        b"IDAT",
        b"tRNS",
        b"gAMA",
        b"cHRM",
        b"sRGB",
        b"iCCP",
        b"cICP",
        b"eXIf",
        b"acTL",
        b"fcTL",
        b"fdAT",
    }
)
_PNG_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"fdAT"})
_PNG_END = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
_METADATA_LIMIT_BYTES = 1 << 20
"""Larger EXIF and colour profiles are left out: real ones have some hundred kilobytes at most."""

_PROFILE_LIMIT_BYTES = 1 << 20
"""Most unpacked bytes of a colour profile in a PNG; the decoder refuses more."""

_JPEG_END = b"\xff\xd9"
_JPEG_START_OF_SCAN = 0xDA
_JPEG_APPLICATION = range(0xE0, 0xF0)
_JPEG_COMMENT = 0xFE
_JPEG_STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_JPEG_KEPT = ((0xE0, b"JFIF\0"), (0xE1, b"Exif\0\0"), (0xE2, b"ICC_PROFILE\0"), (0xEE, b"Adobe"))


def without_metadata(data: bytes, kind: str) -> bytes:
    """The file without text, comments, previews and bytes after its end."""
    if kind == "PNG":
        return _PNG_START + b"".join(_png_chunks(data)) + _PNG_END
    if kind == "JPEG":
        return b"".join(_jpeg_segments(data))
    return b"".join(_gif_blocks(data)) if kind == "GIF" else data


def _png_chunks(data: bytes) -> Iterator[bytes]:
    start = len(_PNG_START)
    while start + 8 <= len(data):
        (size,) = struct.unpack_from(">I", data, start)
        name, end = data[start + 4 : start + 8], start + 12 + size
        if name == b"IEND":
            return
        if name in _PNG_KEPT:
            content = data[start + 8 : start + 8 + size]
            if end > len(data) and name in _PNG_PIXELS:
                # The last chunk breaks off: the decoder refuses it where it needs the missing pixels.
                yield struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
            elif name in _PNG_PIXELS or _is_usable(name, content, data[end - 4 : end]):
                yield data[start:end]
        start = end


def _is_usable(name: bytes, content: bytes, checksum: bytes) -> bool:
    """Whether a chunk that no pixel needs is whole and of a usual size."""
    if len(content) > _METADATA_LIMIT_BYTES or checksum != struct.pack(">I", zlib.crc32(name + content)):
        return False
    return name != b"iCCP" or _is_profile(content)


def _is_profile(content: bytes) -> bool:
    packed = content.partition(b"\0")[2][1:]
    unpacking = zlib.decompressobj()
    try:
        unpacking.decompress(packed, _PROFILE_LIMIT_BYTES)
    except zlib.error:
        return False
    return unpacking.eof


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    yield data[:2]
    start, profile_bytes = 2, 0
    while start + 4 <= len(data):
        if data[start] != 0xFF:  # noqa: PLR2004 - begins every marker
            start += 1  # stray bytes between segments, as decoders skip them
            continue
        marker = data[start + 1]
        if marker in _JPEG_STANDALONE or marker == 0xFF:  # noqa: PLR2004 - a fill byte
            start += 1 if marker == 0xFF else 2  # noqa: PLR2004 - see above
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if marker == _JPEG_START_OF_SCAN:
            yield from _jpeg_scans(data, start)
            return
        content = data[start + 4 : end]
        profile_bytes += len(content) if marker == 0xE2 else 0  # noqa: PLR2004 - profiles are in APP2
        if _is_kept(marker, content) and profile_bytes <= _METADATA_LIMIT_BYTES:
            yield data[start:end]
        start = end
    yield data[start:]


def _is_kept(marker: int, content: bytes) -> bool:
    if marker not in _JPEG_APPLICATION and marker != _JPEG_COMMENT:
        return True
    return any(marker == kept and content.startswith(sign) for kept, sign in _JPEG_KEPT)


def _jpeg_scans(data: bytes, start: int) -> Iterator[bytes]:
    """The scans from the first one to the end marker; all the rest where there is none."""
    first, position = start, start
    while (position := data.find(b"\xff", position)) >= 0 and position + 1 < len(data):
        marker = data[position + 1]
        if marker == _JPEG_END[1]:
            yield data[first : position + 2]
            return
        in_scan = marker in (0x00, 0xFF) or marker in _JPEG_STANDALONE
        size = 0 if in_scan else int.from_bytes(data[position + 2 : position + 4], "big")
        position += (1 if marker == 0xFF else 2) + size  # noqa: PLR2004 - a fill byte
    yield data[first:]


def _gif_blocks(data: bytes) -> Iterator[bytes]:
    """The header, graphic controls and images; comments, texts and application data are left out."""
    flags = data[10] if len(data) > 10 else 0  # noqa: PLR2004 - the flags of the logical screen
    start = 13 + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)
    yield data[:start]
    while start < len(data):
        block = data[start]
        if block == 0x2C:  # noqa: PLR2004 - an image
            local = data[start + 9] if start + 9 < len(data) else 0
            end = _after_sub_blocks(data, start + 11 + (3 << ((local & 7) + 1) if local & 0x80 else 0))
            yield data[start:end]
        elif block == 0x21:  # noqa: PLR2004 - an extension
            end = _after_sub_blocks(data, start + 2)
            if data[start + 1 : start + 2] == b"\xf9":
                yield data[start:end]
        else:
            break
        start = end
    yield b";"


def _after_sub_blocks(data: bytes, start: int) -> int:
    while start < len(data) and data[start]:
        start += 1 + data[start]
    return start + 1
