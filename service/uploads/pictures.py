"""Sanitization of one uploaded picture: decoding, its mask, removal of metadata, re-encoding.

The service runs it in child processes: `service.uploads.decoders`.
"""

import hashlib
import io

from PIL import Image, ImageChops

from service.errors import ImageUnreadableError, InvalidInputError
from service.settings import Limits
from service.uploads import emptiness
from service.uploads.budget import PixelBudget
from service.uploads.decoding import decode
from service.uploads.files import File
from service.uploads.records import SanitizedPicture

_LOSSY = {"JPEG", "HEIF", "AVIF"}
"""Formats that become a JPEG of high quality; all others become a lossless PNG."""

_SHAPE_TOLERANCE = 0.02
"""Relative difference allowed between the proportions of mask and picture: scaling rounds sides."""


def sanitize(file: File, limits: Limits, budget: PixelBudget) -> SanitizedPicture:
    """Decode, normalise and re-encode an uploaded picture.

    Args:
        file: the picture, and its mask.
        limits: of the service.
        budget: of the request; the picture's pixels are taken from it.

    Raises:
        ImageUnsupportedError: its format is not supported.
        ImageUnreadableError: it is damaged, or shows nothing.
        ImageTooLargeError: it has too many pixels, or needs too much memory.
        ImageTooSmallError: its shorter side is too small.
        InvalidInputError: its mask has another shape, or leaves nothing.
    """
    decoded = decode(file, limits, budget)
    picture = decoded.picture
    if emptiness.is_invisible(picture):
        raise ImageUnreadableError(
            f"{file.name} shows nothing: it is transparent or white everywhere. Send a picture with something to learn."
        )
    if file.mask is not None:
        picture = _masked(picture, File(f"the mask of {file.name}", file.mask, caption=None), limits, budget)
    data, content_type = _encoded(picture, decoded.kind)
    return SanitizedPicture(
        filename=file.name,
        content_type=content_type,
        width=picture.width,
        height=picture.height,
        original_width=decoded.original_size[0],
        original_height=decoded.original_size[1],
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        caption=file.caption,
        uniform=emptiness.is_uniform(picture),
        data=data,
    )


def _masked(picture: Image.Image, file: File, limits: Limits, budget: PixelBudget) -> Image.Image:
    """The picture, transparent where its mask is black; transparency of its own remains."""
    mask = _weights(decode(file, limits, budget).picture)
    if abs(mask.width * picture.height - mask.height * picture.width) > _SHAPE_TOLERANCE * mask.height * picture.width:
        raise InvalidInputError("archive", f"{file.name} has another shape than the picture. Draw it over the picture.")
    alpha = mask.resize(picture.size)
    if picture.mode == "RGBA":
        alpha = ImageChops.multiply(alpha, picture.getchannel("A"))
    masked = picture.convert("RGBA")
    masked.putalpha(alpha)
    if emptiness.is_invisible(masked):
        raise InvalidInputError("archive", f"{file.name} leaves nothing of the picture. Draw the subject in white.")
    return masked


def _weights(mask: Image.Image) -> Image.Image:
    """A mask as opacity: its brightness, or its alpha channel where that varies, as painting programs write it."""
    brightness = mask.convert("L")
    if mask.mode != "RGBA":
        return brightness
    alpha = mask.getchannel("A")
    low, high = alpha.getextrema()
    if low == high:
        return ImageChops.multiply(brightness, alpha)
    return ImageChops.multiply(brightness, alpha) if _has_both(brightness, alpha) else alpha


def _has_both(brightness: Image.Image, alpha: Image.Image) -> bool:
    """Whether a mask is white on black where it is opaque, with a transparent border."""
    histogram = brightness.histogram(mask=alpha.point(lambda value: 255 if value > 127 else 0))  # noqa: PLR2004 - half
    return sum(histogram[:64]) > 0 and sum(histogram[192:]) > 0


def _encoded(picture: Image.Image, kind: str) -> tuple[bytes, str]:
    picture.info.clear()  # or the encoders would copy the upload's metadata
    out = io.BytesIO()
    if kind in _LOSSY and picture.mode == "RGB":
        picture.save(out, "JPEG", quality=95, subsampling="4:4:4")
        return out.getvalue(), "image/jpeg"
    picture.save(out, "PNG", compress_level=3)
    return out.getvalue(), "image/png"
