"""Pictures of 50 megapixels in every kind that is read, and the smallest valid one."""

import io
import struct
from collections.abc import Iterator
from functools import cache

from PIL import Image

_LARGE = (8000, 6250)


@cache
def noise_png(side: int = 64) -> bytes:
    """A small picture that can be learned from."""
    return _encoded(Image.effect_noise((side, side), 90).convert("RGB"), "PNG")


def largest() -> Iterator[tuple[str, bytes]]:
    """The kind and bytes of large pictures, one at a time."""
    small = Image.effect_noise((_LARGE[0] // 8, _LARGE[1] // 8), 90)
    picture = Image.merge("RGB", [small] * 3).resize(_LARGE)
    yield "png", _encoded(picture.quantize(16), "PNG", compress_level=1)
    yield "jpeg", _encoded(picture, "JPEG", quality=75)
    yield "progressive jpeg", _encoded(picture, "JPEG", quality=75, progressive=True)
    yield "gif", _encoded(picture.quantize(16), "GIF")
    yield "webp", _encoded(Image.new("RGBA", _LARGE, (90, 20, 200, 128)), "WEBP", lossless=True, method=0)
    yield "tiff", _encoded(picture.quantize(16), "TIFF", compression="tiff_lzw")
    yield "avif", _encoded(picture, "AVIF", speed=10, quality=30)
    yield "webp of 46 bytes", _claimed_webp(16383, 16383)


def _encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def _claimed_webp(width: int, height: int) -> bytes:
    """A WebP that claims a size and holds nearly nothing."""
    canvas = b"\0" * 4 + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    content = b"WEBPVP8X" + struct.pack("<I", len(canvas)) + canvas
    content += b"VP8L" + struct.pack("<I", 8) + b"\x2f\xff\xff\xff\x0f\0\0\0"
    return b"RIFF" + struct.pack("<I", len(content)) + content
