"""JPEG files without their end marker: whether all of their scan data is there.

A decoder that is given an end marker in its place fills missing data with grey, and does not say so. Two tests tell:
all coefficients were sent in full precision, and the pixels do not depend on the bytes after the data.
"""

import io

from PIL import Image

_END = b"\xff\xd9"
_COEFFICIENTS = 64
_TAILS = (b"\x55" * 4096 + _END, b"\xa9\x36\x6d" * 1400 + _END)
"""Bits that decode to something else than the grey which stands in for missing data."""


def has_end(data: bytes) -> bool:
    """Whether a JPEG that was cut at its end marker has one."""
    return data.endswith(_END)


def completed(data: bytes, pixels_limit: int) -> bytes | None:
    """The file with an end marker; None where scan data is missing. A picture of too many pixels is not looked at."""
    body = data.removesuffix(b"\xff")
    whole = body + _END
    with Image.open(io.BytesIO(whole), formats=["JPEG"]) as header:
        if header.width * header.height > pixels_limit:
            return whole
    if not _has_every_scan(body):
        return None
    pixels = _pixels(whole)
    return whole if all(_pixels(body + tail) == pixels for tail in _TAILS) else None


def _pixels(data: bytes) -> bytes:
    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return image.tobytes()


def _has_every_scan(data: bytes) -> bool:
    """Whether the scans send every coefficient of every component down to its last bit."""
    components: set[int] = set()
    exact: dict[int, set[int]] = {}
    for marker, content in _segments(data):
        if marker in (0xC0, 0xC1, 0xC2) and len(content) >= 6 + 3 * content[5]:
            components = {content[6 + 3 * number] for number in range(content[5])}
        elif marker == 0xDA and len(content) == 4 + 2 * content[0]:  # noqa: PLR2004 - start of scan
            count = content[0]
            first, last, approximation = content[1 + 2 * count : 4 + 2 * count]
            for number in range(count):
                sent = exact.setdefault(content[1 + 2 * number], set())
                sent.update(range(first, last + 1) if approximation & 0xF == 0 else ())
    return bool(components) and all(len(exact.get(component, ())) == _COEFFICIENTS for component in components)


def _segments(data: bytes) -> list[tuple[int, bytes]]:
    """Markers with their contents; entropy-coded data is skipped."""
    found, position = [], 2
    while (position := data.find(b"\xff", position)) >= 0 and position + 4 <= len(data):
        marker = data[position + 1]
        if marker in (0x00, 0x01, 0xFF) or marker in range(0xD0, 0xDA):
            position += 1 if marker == 0xFF else 2  # noqa: PLR2004 - a fill byte
            continue
        size = int.from_bytes(data[position + 2 : position + 4], "big")
        found.append((marker, data[position + 4 : position + 2 + size]))
        position += 2 + size
    return found
