"""Untrusted uploads, valid and malformed, generated in memory."""

import io
import struct
import zipfile
import zlib

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(size=(64, 48), mode="RGB"):
    """A picture whose orientation can be read: red, green over blue, white."""
    picture = Image.new("RGB", (2, 2))
    for place, colour in {(0, 0): RED, (1, 0): GREEN, (0, 1): BLUE, (1, 1): WHITE}.items():
        picture.putpixel(place, colour)
    return picture.resize(size, Image.Resampling.NEAREST).convert(mode)


def encoded(picture, kind, **options):
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def png(size=(64, 48), mode="RGB", **options):
    return encoded(quarters(size, mode), "PNG", **options)


def jpeg(size=(64, 48), **options):
    return encoded(quarters(size), "JPEG", quality=95, subsampling="4:4:4", **options)


def turned(orientation, kind="JPEG"):
    """A picture stored rotated, with the orientation in its EXIF."""
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(quarters().transpose(undo[orientation]), kind, exif=exif.tobytes())


def header_of_png(width, height):
    """A PNG whose header claims a size and whose data is nearly empty."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


def header_of_webp(width, height):
    """A WebP whose canvas claims a size and whose data is nearly empty."""
    canvas = b"\0" * 4 + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = (
        b"WEBPVP8X"
        + struct.pack("<I", len(canvas))
        + canvas
        + b"VP8L"
        + struct.pack("<I", 8)
        + b"\x2f\xff\xff\xff\x0f\0\0\0"
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def archive(members, compression=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return out.getvalue()


def lying_archive(compression=zipfile.ZIP_DEFLATED):
    """A zip whose only member unpacks to far more bytes than its header declares."""
    data = bytearray(archive({"bomb.png": b"\0" * 50_000_000}, compression))
    claimed = struct.pack("<I", 1000)
    real = struct.pack("<I", 50_000_000)
    return bytes(data.replace(real, claimed))


def crowded_archive():
    """A zip whose central directory declares a length of two megabytes."""
    data = bytearray(archive({"a.png": png()}))
    end = data.rfind(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", 2_000_000)
    return bytes(data)
