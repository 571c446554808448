"""Colour of AVIF files: the code points in the `colr` property of their primary picture, which Pillow does not read.

Source: ISO/IEC 23008-12 (HEIF), ISO/IEC 14496-12, boxes `meta`, `pitm`, `iprp`, `ipco`, `ipma` and `colr`.
"""

import struct
from collections.abc import Iterator


def code_points(data: bytes) -> tuple[int, int, bool] | None:
    """Primaries, transfer and whether the range is narrow; None where the file does not say.

    The decoder converts to RGB of full range: the range is told for completeness.
    """
    try:
        meta = next(_boxes(data, b"meta"))[4:]
        properties = next(_boxes(next(_boxes(meta, b"iprp")), b"ipco"))
        every = list(_named_boxes(properties))
        for index in _associated(meta):
            name, content = every[index - 1] if 0 < index <= len(every) else (b"", b"")
            if name == b"colr" and content[:4] == b"nclx":
                primaries, transfer, _, flags = struct.unpack_from(">HHHB", content, 4)
                return primaries, transfer, not flags & 0x80
    except (StopIteration, struct.error, IndexError):
        return None
    return None


def _associated(meta: bytes) -> list[int]:
    """Indices of the primary picture's properties, from 1."""
    pitm = next(_boxes(meta, b"pitm"))
    (primary,) = struct.unpack_from(">I" if pitm[0] else ">H", pitm, 4)
    ipma = next(_boxes(next(_boxes(meta, b"iprp")), b"ipma"))
    wide_ids, wide_indices = ipma[0] >= 1, bool(ipma[3] & 1)
    (count,), position = struct.unpack_from(">I", ipma, 4), 8
    for _ in range(count):
        (item,) = struct.unpack_from(">I" if wide_ids else ">H", ipma, position)
        position += 4 if wide_ids else 2
        amount, position = ipma[position], position + 1
        size = 2 if wide_indices else 1
        indices = [
            int.from_bytes(ipma[position + size * number : position + size * (number + 1)], "big")
            & (0x7FFF if wide_indices else 0x7F)
            for number in range(amount)
        ]
        position += size * amount
        if item == primary:
            return indices
    return []


def _boxes(data: bytes, wanted: bytes) -> Iterator[bytes]:
    return (content for name, content in _named_boxes(data) if name == wanted)


def _named_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 0
    while position + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        header = 8
        if size == 1:
            (size,), header = struct.unpack_from(">Q", data, position + 8), 16
        end = len(data) if size == 0 else position + size
        if end < position + header:
            return
        yield name, data[position + header : end]
        position = end
