"""Pictures as PNG bytes and as data addresses for self-contained pages."""

import base64
import io

from PIL import Image


def to_png(picture: Image.Image) -> bytes:
    """PNG bytes of a picture."""
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    return buffer.getvalue()


def data_address(picture: Image.Image, side_px: int | None = None) -> str:
    """A picture as a WebP data address.

    Args:
        picture: the picture.
        side_px: longest side; larger pictures are made smaller, None keeps the size.
    """
    shown = picture.convert("RGB")
    if side_px is not None:
        shown.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    shown.save(buffer, "webp", quality=88)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
