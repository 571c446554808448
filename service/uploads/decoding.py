"""Decoding of one picture's bytes: header check, the first frame that shows something, sRGB, upright, scaled down."""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import pi_heif
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from service.errors import (
    ImageTooLargeError,
    ImageTooSmallError,
    ImageUnreadableError,
    ImageUnsupportedError,
    ServiceError,
)
from service.settings import Limits
from service.uploads import colour, emptiness, isobmff, jpeg_end, raw_files
from service.uploads.budget import PixelBudget
from service.uploads.colour import ColourSpace
from service.uploads.containers import without_metadata
from service.uploads.files import File
from service.uploads.formats import PICTURES, is_raw, kind_of

pi_heif.register_heif_opener()

_SIXTEEN_BIT_GREY = {"I;16", "I;16B", "I;16L", "I;16N"}
_MEASUREMENTS = {"I", "F"}
"""Greys of 32 bits, of unknown range."""

_SCALABLE = {"RGB", "RGBA", "L", "LA", "CMYK", "LAB"}

_FRAMES_LIMIT = 64
"""Most frames of an animation that are looked at."""

_TRAINED_SIDE = 2
"""The shorter side is kept at the longer side's limit divided by this, which is what the largest models train on."""

_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_POINT, _CHROMATICITIES = 258, 262, 318, 319
_MIN_IS_WHITE = 0

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

_ADOBE_RGB = 2
"""Of EXIF's ColorSpace, not in the standard but written."""

_UNCALIBRATED = 65535


@dataclass(frozen=True, slots=True)
class Decoded:
    """A decoded picture.

    Attributes:
        picture: `RGB` or `RGBA` in sRGB, upright, scaled down to the kept size.
        kind: its format, in Pillow's names.
        original_size: width and height before scaling, upright.
    """

    picture: Image.Image
    kind: str
    original_size: tuple[int, int]


def decode(file: File, limits: Limits, budget: PixelBudget) -> Decoded:
    """Decode a file.

    Raises:
        ImageUnsupportedError: its format or its colours are not supported.
        ImageUnreadableError: it is damaged.
        ImageTooLargeError: it has too many pixels.
        ImageTooSmallError: its shorter side is too small.
    """
    kind = kind_of(file.data)
    if kind is None:
        raise raw_file(file.name) if is_raw(file.data) else not_a_picture(file.name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of broken metadata, which no picture needs
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


def raw_file(name: str) -> ImageUnsupportedError:
    """The refusal of a camera's raw file."""
    return ImageUnsupportedError(f"{name} is a camera's raw file. Export it as JPEG.")


def not_a_picture(name: str) -> ImageUnsupportedError:
    """The refusal of a file of another format."""
    return ImageUnsupportedError(f"{name} is not a picture that is read here. Send {PICTURES}.")


def kept_size(size: tuple[int, int], limits: Limits) -> tuple[int, int]:
    """The size at which a picture is kept: the longer side within its limit, the shorter one never below half of that.

    A panorama keeps the shorter side that a training needs, so that it is not enlarged again.
    """
    short, long = sorted(size)
    scale = min(1.0, max(limits.kept_side_px / long, limits.kept_side_px / _TRAINED_SIDE / short))
    width, height = (max(1, round(side * scale)) for side in size)
    return width, height


def _decoded(file: File, kind: str, limits: Limits, budget: PixelBudget) -> Decoded:
    with Image.open(io.BytesIO(_readable(file, kind, limits)), formats=[kind]) as image:
        _check_header(file.name, image, limits)
        original = image.size
        budget.spend(file.name, image.width * image.height)
        kept = kept_size(image.size, limits)
        # A JPEG can leave detail out while it is decoded: a quarter of the memory and the time, or less.
        image.draft(None, kept)
        picture, space = _first_that_shows(image, kind, limits), _colour_space(file, kind, image)
        turn = _UPRIGHT.get(_orientation(image))  # after loading: a TIFF is turned by that
        picture.thumbnail(kept, Image.Resampling.LANCZOS, reducing_gap=2.0)
    picture = colour.to_srgb(picture, space)
    if turn is None:
        return Decoded(picture, kind, original)
    picture = picture.transpose(turn)
    turned = turn in {_UPRIGHT[5], _UPRIGHT[6], _UPRIGHT[7], _UPRIGHT[8]}
    return Decoded(picture, kind, original[::-1] if turned else original)


def _readable(file: File, kind: str, limits: Limits) -> bytes:
    """The bytes for the decoder: without metadata, a JPEG with its end."""
    data = without_metadata(file.data, kind)
    if kind != "JPEG" or jpeg_end.has_end(data):
        return data
    whole = jpeg_end.completed(data, limits.picture_pixels)
    if whole is None:
        raise ImageUnreadableError(f"{file.name} is damaged: it breaks off before its end. Export it again.")
    return whole


def _check_header(name: str, image: Image.Image, limits: Limits) -> None:
    short, long = sorted(image.size)
    if short * long > limits.picture_pixels:
        raise _too_many_pixels(name, limits)
    if short * min(1.0, limits.kept_side_px / max(long, 1)) < limits.picture_side_px:
        raise ImageTooSmallError(
            f"{name} has {image.width} by {image.height} pixels; resized to {limits.kept_side_px} at most, its shorter "
            f"side has to have {limits.picture_side_px}. Send a larger or less narrow picture."
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile) and raw_files.is_raw_tiff(image):
        raise raw_file(name)
    if image.mode in _MEASUREMENTS:
        raise ImageUnsupportedError(f"{name} holds values of 32 bits and no colours. Export it with 8 or 16 bits.")


def _too_many_pixels(name: str, limits: Limits) -> ImageTooLargeError:
    return ImageTooLargeError(f"{name} has more than {limits.picture_pixels} pixels. Send it smaller.")


def _first_that_shows(image: Image.Image, kind: str, limits: Limits) -> Image.Image:
    """The first frame with more than one colour, as animations fade in from nothing; else the first frame."""
    first = None
    for picture in _frames(image, kind, limits):
        first = picture if first is None else first
        shown = picture.convert("RGBA") if "A" in picture.mode else picture
        if not emptiness.is_uniform(shown):
            return picture
    if first is None:
        raise ImageUnreadableError("it has no picture of full size")
    return first


def _frames(image: Image.Image, kind: str, limits: Limits) -> Iterator[Image.Image]:
    image.load()
    single = kind in {"JPEG", "HEIF"} or getattr(image, "n_frames", 1) == 1
    if single:
        yield _plain(image)
        return
    affordable = limits.picture_pixels // (image.width * image.height)
    for number in range(min(image.n_frames, _FRAMES_LIMIT, max(1, affordable))):  # type: ignore[attr-defined]
        try:
            image.seek(number)
            image.load()
        except Exception:
            if number == 0:
                raise
            return  # a later frame is damaged; the first one was read
        if not (isinstance(image, TiffImagePlugin.TiffImageFile) and raw_files.is_reduced(image)):
            yield _plain(image)


def _plain(image: Image.Image) -> Image.Image:
    """A copy of the picture in a mode that can be scaled, with eight bits per channel."""
    if image.mode in _SIXTEEN_BIT_GREY:
        return _eight_bit_grey(image)
    if image.mode in _SCALABLE and "transparency" not in image.info:
        return image.copy()
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _eight_bit_grey(image: Image.Image) -> Image.Image:
    bits, inverted = 16, False
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits = int(image.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0])
        inverted = image.tag_v2.get(_PHOTOMETRIC) == _MIN_IS_WHITE
    white = (1 << bits) - 1
    # Scaled they are of sixteen bits still, and such cannot be reduced.
    grey = image.point(lambda value: value * (255 / white)).convert("L")
    return grey.point(lambda value: 255 - value) if inverted else grey


def _colour_space(file: File, kind: str, image: Image.Image) -> ColourSpace:
    """The colour space that the file says, by the most specific of its statements."""
    if points := _code_points(file.data, kind, image):
        primaries, transfer, narrow = points
        return colour.of_code_points(file.name, primaries, transfer, narrow=narrow)
    if profile := image.info.get("icc_profile"):
        return ColourSpace(profile=profile)
    if kind == "PNG":
        gamma = image.info.get("gamma") or None
        return colour.SRGB if "srgb" in image.info else colour.of_gamma(gamma, image.info.get("chromaticity"))
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _of_tiff(image)
    return colour.adobe_rgb() if _is_adobe_rgb(image) else colour.SRGB


def _code_points(data: bytes, kind: str, image: Image.Image) -> tuple[int, int, bool] | None:
    """Primaries, transfer and whether the range is narrow; a profile goes before them, except in a PNG."""
    if kind == "PNG":
        return _png_code_points(data)
    if image.info.get("icc_profile"):
        return None
    if kind == "HEIF" and (nclx := image.info.get("nclx_profile")):
        return int(nclx["color_primaries"]), int(nclx["transfer_characteristics"]), False
    # The decoder of AVIF has made the range full.
    return (*points[:2], False) if kind == "AVIF" and (points := isobmff.code_points(data)) else None


def _png_code_points(data: bytes) -> tuple[int, int, bool] | None:
    """Those of the cICP chunk, which stands before the pixels."""
    position = 8
    while position + 12 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        if name == b"IDAT":
            return None
        if name == b"cICP" and size == 4:  # noqa: PLR2004 - four bytes
            primaries, transfer, _, full_range = data[position + 8 : position + 12]
            return primaries, transfer, not full_range
        position += 12 + size
    return None


def _of_tiff(image: TiffImagePlugin.TiffImageFile) -> ColourSpace:
    white, primaries = image.tag_v2.get(_WHITE_POINT), image.tag_v2.get(_CHROMATICITIES)
    if not white or not primaries or len(white) != 2 or len(primaries) != 6:  # noqa: PLR2004 - pairs of coordinates
        return colour.SRGB
    return colour.of_gamma(None, [float(value) for value in (*white, *primaries)])


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether a camera says Adobe RGB in its EXIF, as the DCF option file does, without a profile."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.ColorSpace)
        index = exif.get_ifd(ExifTags.IFD.Interop).get(ExifTags.Interop.InteropIndex)
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return False
    return space == _ADOBE_RGB or (space == _UNCALIBRATED and str(index).startswith("R03"))


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1 (upright) if the metadata is broken."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except (SyntaxError, ValueError, TypeError, KeyError, OSError, struct.error):
        return 1
