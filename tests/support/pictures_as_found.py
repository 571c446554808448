"""Pictures as people have them, made by hand: chunks, tags and code points that no library writes."""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image, TiffImagePlugin

from tests.support.upload_samples import encoded, quarters

CASES = Path(__file__).parent / "cases"


def case(name):
    return (CASES / name).read_bytes()


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def with_chunks(data, *chunks):
    """A PNG with chunks after its header."""
    return data[:33] + b"".join(chunk(*parts) for parts in chunks) + data[33:]


def with_segments(data, *segments):
    """A JPEG with segments after its start."""
    parts = (struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content for marker, content in segments)
    return data[:2] + b"".join(parts) + data[2:]


def plain(colour, size=(64, 48), kind="PNG", **options):
    """A picture that is of one colour but for one corner."""
    picture = Image.new("RGB", size, colour)
    picture.putpixel((0, 0), (0, 0, 0))
    return encoded(picture, kind, **options)


def cicp(colour, primaries, transfer, *, full=1):
    return with_chunks(plain(colour), (b"cICP", bytes((primaries, transfer, 0, full))))


def chromaticities(*values):
    return (b"cHRM", b"".join(struct.pack(">I", round(value * 100_000)) for value in values))


def gamma(value):
    return (b"gAMA", struct.pack(">I", round(value * 100_000)))


def tiff(picture, **tags):
    """A TIFF with tags by number, as `t254=1`."""
    directory = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        directory[int(name[1:])] = value
    return encoded(picture, "TIFF", tiffinfo=directory)


def grey_tiff(values, *, bits, photometric):
    """An uncompressed grey TIFF of one strip, 64 by 48, of `values(x)`, little-endian."""
    if bits == 16:
        pixels = b"".join(struct.pack("<H", values(x)) for _ in range(48) for x in range(64))
    else:
        pairs = [(values(x), values(x + 1)) for _ in range(48) for x in range(0, 64, 2)]
        pixels = b"".join(bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255)) for a, b in pairs)
    entries = ((256, 3, 64), (257, 3, 48), (258, 3, bits), (259, 3, 1), (262, 3, photometric), (273, 4, 8))
    entries += ((277, 3, 1), (278, 3, 48), (279, 4, len(pixels)))
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", tag, kind, 1, v) for tag, kind, v in entries
    )
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory + bytes(4)


def animation(kind, *frames, **options):
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], duration=100, **options)


def mpo():
    return encoded(quarters(), "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])


def jpeg_of(mode, **options):
    out = io.BytesIO()
    quarters().convert(mode).save(out, "JPEG", quality=95, **options)
    return out.getvalue()
