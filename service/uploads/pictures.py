"""Sanitization of one uploaded picture: header check, decoding, rotation, removal of metadata, re-encoding.

The service runs it in child processes: `service.uploads.decoders`.
"""

import hashlib
import io
import struct

import pi_heif
from PIL import Image, ImageChops, ImageCms, UnidentifiedImageError

from service.errors import (
    ImageTooLargeError,
    ImageTooSmallError,
    ImageUnreadableError,
    ImageUnsupportedError,
    InvalidInputError,
    ServiceError,
)
from service.settings import Limits
from service.uploads.budget import PixelBudget
from service.uploads.files import File
from service.uploads.records import SanitizedPicture

pi_heif.register_heif_opener()

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"}
_BRANDS_END = 128
"""End of the search for brands in a file with a long first box."""

_LOSSY = {"JPEG", "HEIF", "AVIF"}
"""Formats that become a JPEG of high quality; all others become a lossless PNG."""

_SIXTEEN_BIT_GREY = {"I;16", "I;16B", "I;16L", "I;16N"}
_MEASUREMENTS = {"I", "F"}
"""Greys of 32 bits, of unknown range."""

_SHAPE_TOLERANCE = 0.02
"""Relative difference allowed between the proportions of mask and picture: scaling rounds sides."""

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the operation that turns the picture upright."""


def sanitize(file: File, limits: Limits, budget: PixelBudget) -> SanitizedPicture:
    """Decode, normalise and re-encode an uploaded picture.

    Args:
        file: the picture, and its mask.
        limits: of the service.
        budget: of the request; the picture's pixels are taken from it.

    Raises:
        ImageUnsupportedError: its format is not supported.
        ImageUnreadableError: it is damaged.
        ImageTooLargeError: it has too many pixels, or needs too much memory.
        ImageTooSmallError: its shorter side is too small.
    """
    kind = _kind_of(file.data)
    if kind is None:
        raise ImageUnsupportedError(
            f"{file.name} is not a picture that is read here. Send JPEG, PNG, WebP, GIF, HEIC, AVIF or TIFF."
        )
    picture, data, content_type = _recoded(file, kind, limits, budget)
    return SanitizedPicture(
        filename=file.name,
        content_type=content_type,
        width=picture.width,
        height=picture.height,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        caption=file.caption,
        data=data,
    )


def _kind_of(data: bytes) -> str | None:
    """The format of a file by its first bytes, in Pillow's names; the extension is ignored."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        end = min(int.from_bytes(data[:4], "big"), _BRANDS_END)
        # AVIF files may name the general brand mif1 first: all brands count.
        brands = {data[start : start + 4] for start in range(8, end, 4)}
        return "AVIF" if brands & _AVIF_BRANDS else "HEIF" if brands & _HEIF_BRANDS else None
    return next((kind for signature, kind in _SIGNATURES if data.startswith(signature)), None)


def _recoded(file: File, kind: str, limits: Limits, budget: PixelBudget) -> tuple[Image.Image, bytes, str]:
    picture = _read(file, kind, limits, budget)
    if file.mask is not None:
        picture = _masked(picture, File(f"the mask of {file.name}", file.mask, caption=None), limits, budget)
    return picture, *_encoded(picture, kind)


def _read(file: File, kind: str, limits: Limits, budget: PixelBudget) -> Image.Image:
    try:
        return _decoded(file, kind, limits, budget)
    except ServiceError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(file.name, limits) from error
    except MemoryError as error:
        raise ImageTooLargeError(f"{file.name} needs too much memory to decode. Send it smaller.") from error
    except UnidentifiedImageError as error:  # it says where the bytes lie in memory
        raise ImageUnreadableError(f"{file.name} is damaged: it breaks off in its header. Export it again.") from error
    except Exception as error:  # what decoders raise on hostile bytes is not a closed set
        raise ImageUnreadableError(f"{file.name} is damaged ({error}). Export it again.") from error


def _decoded(file: File, kind: str, limits: Limits, budget: PixelBudget) -> Image.Image:
    with Image.open(io.BytesIO(file.data), formats=[kind]) as image:
        _check_header(file.name, image, limits)
        budget.spend(file.name, image.width * image.height)
        kept = (limits.kept_side_px, limits.kept_side_px)
        # A JPEG can leave detail out while it is decoded: a quarter of the memory and the time, or less.
        image.draft(None, kept)
        image.load()
        profile, turn = image.info.get("icc_profile"), _UPRIGHT.get(_orientation(image))
        picture = _plain(image)
        picture.thumbnail(kept, Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture = _in_srgb(picture, profile)
    return picture if turn is None else picture.transpose(turn)


def _masked(picture: Image.Image, file: File, limits: Limits, budget: PixelBudget) -> Image.Image:
    """The picture, transparent where its mask is black; transparency of its own remains."""
    kind = _kind_of(file.data)
    if kind is None:
        raise ImageUnsupportedError(f"{file.name} is not a picture that is read here. Send a PNG.")
    mask = _read(file, kind, limits, budget).convert("L")
    if abs(mask.width * picture.height - mask.height * picture.width) > _SHAPE_TOLERANCE * mask.height * picture.width:
        raise InvalidInputError("archive", f"{file.name} has another shape than the picture. Draw it over the picture.")
    alpha = mask.resize(picture.size)
    if picture.mode == "RGBA":
        alpha = ImageChops.multiply(alpha, picture.getchannel("A"))
    masked = picture.convert("RGBA")
    masked.putalpha(alpha)
    return masked


def _check_header(name: str, image: Image.Image, limits: Limits) -> None:
    short, long = sorted(image.size)
    if short * long > limits.picture_pixels:
        raise _too_many_pixels(name, limits)
    if short * min(1.0, limits.kept_side_px / max(long, 1)) < limits.picture_side_px:
        raise ImageTooSmallError(
            f"{name} has {image.width} by {image.height} pixels; resized to {limits.kept_side_px} at most, its shorter "
            f"side has to have {limits.picture_side_px}. Send a larger or less narrow picture."
        )
    if image.mode in _MEASUREMENTS:
        raise ImageUnsupportedError(f"{name} holds values of 32 bits and no colours. Export it with 8 or 16 bits.")


def _too_many_pixels(name: str, limits: Limits) -> ImageTooLargeError:
    return ImageTooLargeError(f"{name} has more than {limits.picture_pixels} pixels. Send it smaller.")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 (upright) if the metadata is broken."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1


def _plain(image: Image.Image) -> Image.Image:
    """The picture in a mode that can be scaled, with eight bits per channel."""
    if image.mode in _SIXTEEN_BIT_GREY:
        # Scaled they are of sixteen bits still, and such cannot be reduced.
        return image.point(lambda value: value * (1 / 257)).convert("L")
    if image.mode in {"RGB", "RGBA", "L", "CMYK"} and "transparency" not in image.info:
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture in sRGB; without a valid profile the values are taken as sRGB, as browsers do."""
    wanted = "RGBA" if picture.mode == "RGBA" else "RGB"
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(picture, source, ImageCms.createProfile("sRGB"), outputMode=wanted)
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None
        if converted is not None:
            return converted
    return picture.convert(wanted)


def _encoded(picture: Image.Image, kind: str) -> tuple[bytes, str]:
    picture.info.clear()  # or the encoders would copy the upload's metadata
    out = io.BytesIO()
    if kind in _LOSSY and picture.mode == "RGB":
        picture.save(out, "JPEG", quality=95, subsampling="4:4:4")
        return out.getvalue(), "image/jpeg"
    picture.save(out, "PNG", compress_level=3)
    return out.getvalue(), "image/png"
