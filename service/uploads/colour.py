"""Colour spaces of uploaded pictures, in every way that a format says them, and the conversion to sRGB.

A colour space without an ICC profile (CICP code points, gAMA with cHRM, DCF's Adobe RGB) becomes one here, so that one
library converts all of them.

Source: ITU-T H.273, tables 2 and 3; ICC.1:2010, matrix-based profiles; PNG, third edition, sections 4.3 and 11.3.2;
ITU-R BT.2100 and BT.2408 (reference white of 203 cd/m²); DCF 2.0, option file.
"""

import io
import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageCms

from service.errors import ImageUnsupportedError

XY = tuple[float, float]

_D50 = (0.96422, 1.0, 0.82521)
_D65: XY = (0.3127, 0.3290)
_C: XY = (0.310, 0.316)
_TABLE_POINTS = 4096
_REFERENCE_WHITE_NITS = 203.0
_PQ_PEAK_NITS, _HLG_PEAK_NITS = 10000.0, 1000.0

_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060))
_BT601_525 = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070))
_BT2020 = ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046))
_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
_ADOBE = ((0.640, 0.330), (0.210, 0.710), (0.150, 0.060))

_PRIMARIES: dict[int, tuple[Sequence[XY], XY]] = {
    1: (_BT709, _D65),
    2: (_BT709, _D65),
    4: (((0.67, 0.33), (0.21, 0.71), (0.14, 0.08)), _C),
    5: (((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)), _D65),
    6: (_BT601_525, _D65),
    7: (_BT601_525, _D65),
    8: (((0.681, 0.319), (0.243, 0.692), (0.145, 0.049)), _C),
    9: (_BT2020, _D65),
    11: (_P3, (0.314, 0.351)),
    12: (_P3, _D65),
    22: (((0.630, 0.340), (0.295, 0.605), (0.155, 0.077)), _D65),
}
"""Chromaticities of red, green, blue, and white, by the code points of H.273."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColourSpace:
    """The colour space of a picture.

    Attributes:
        profile: an ICC profile; None for sRGB.
        narrow: whether black and white are 16 and 235.
    """

    profile: bytes | None = None
    narrow: bool = False


SRGB = ColourSpace()


def of_code_points(name: str, primaries: int, transfer: int, *, narrow: bool = False) -> ColourSpace:
    """The colour space of CICP code points.

    Args:
        name: of the file, for messages.
        primaries: of H.273, table 2.
        transfer: of H.273, table 3.
        narrow: whether black and white are 16 and 235.

    Raises:
        ImageUnsupportedError: they have no conversion here.
    """
    if primaries not in _PRIMARIES or transfer not in _TRANSFERS:
        raise ImageUnsupportedError(
            f"{name} has colours of code points {primaries} and {transfer}, which cannot be converted here. "
            "Export it in sRGB."
        )
    if _PRIMARIES[primaries][0] is _BT709 and _TRANSFERS[transfer] is _srgb:
        return ColourSpace(narrow=narrow)
    return ColourSpace(profile=_profile(*_PRIMARIES[primaries], _TRANSFERS[transfer]), narrow=narrow)


def of_gamma(gamma: float | None, chromaticities: Sequence[float] | None) -> ColourSpace:
    """The colour space of PNG's gAMA and cHRM, or of TIFF's white point and chromaticities.

    Args:
        gamma: exponent of the encoding, such as 0.45455; None for sRGB's curve.
        chromaticities: x and y of white, red, green and blue; None for sRGB's.
    """
    usual = gamma is None or abs(gamma - 0.45455) < 0.002  # noqa: PLR2004 - written for sRGB
    points = None if chromaticities is None else list(zip(chromaticities[::2], chromaticities[1::2], strict=True))
    if points is not None and _near(points, (_D65, *_BT709)):
        points = None
    if usual and points is None:
        return SRGB
    if gamma is not None and not 0.01 <= gamma <= 100:  # noqa: PLR2004 - any plausible curve
        return SRGB
    white, *primaries = points or (_D65, *_BT709)
    if not _is_gamut(primaries, white):
        return SRGB
    exponent = 0.0 if gamma is None or usual else 1 / gamma
    return ColourSpace(profile=_profile(tuple(primaries), white, _power(exponent) if exponent else _srgb))


def adobe_rgb() -> ColourSpace:
    """Adobe RGB (1998)."""
    return ColourSpace(profile=_profile(_ADOBE, _D65, _power(563 / 256)))


def to_srgb(picture: Image.Image, space: ColourSpace) -> Image.Image:
    """The picture in sRGB, `RGB` or `RGBA`; a profile that is malformed or of another kind of colours is ignored.

    Args:
        picture: of mode L, LA, RGB, RGBA, CMYK or LAB.
        space: of its values.
    """
    alpha = picture.getchannel("A") if picture.mode in {"LA", "RGBA"} else None
    colours = picture.convert(picture.mode.removesuffix("A")) if alpha is not None else picture
    if space.narrow:
        colours = colours.point(lambda value: (value - 16) * (255 / 219))
    converted = _converted(colours, space.profile)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _converted(colours: Image.Image, profile: bytes | None) -> Image.Image:
    if colours.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return _transformed(colours, lab)
    try:
        source = None if profile is None else ImageCms.ImageCmsProfile(io.BytesIO(profile))
        kind = "" if source is None else source.profile.xcolor_space.strip()
        if source is not None and (kind == colours.mode or (kind, colours.mode) in {("GRAY", "L"), ("RGB", "L")}):
            return _transformed(colours.convert("RGB") if (kind, colours.mode) == ("RGB", "L") else colours, source)
    except (ImageCms.PyCMSError, OSError, ValueError):
        pass  # as browsers do, the values are then taken as sRGB
    return colours.convert("RGB")


def _transformed(colours: Image.Image, source: ImageCms.ImageCmsProfile) -> Image.Image:
    wanted = ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(colours, source, wanted, outputMode="RGB")
    if converted is None:
        raise AssertionError("Pillow returns a picture unless it is told to convert in place.")
    return converted


# --- curves: encoded value, 0 to 1, to light relative to white


def _srgb(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004 - IEC 61966-2-1


@cache
def _power(exponent: float) -> Callable[[float], float]:
    return lambda value: float(value**exponent)


def _smpte240(value: float) -> float:
    return value / 4 if value < 0.0913 else float(((value + 0.1115) / 1.1115) ** (1 / 0.45))  # noqa: PLR2004 - H.273


def _cinema(value: float) -> float:
    return float(value**2.6) * 52.37 / 48


def _pq(value: float) -> float:
    m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
    power = value ** (1 / m2)
    nits = _PQ_PEAK_NITS * float((max(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1))
    return nits / _REFERENCE_WHITE_NITS


def _hlg(value: float) -> float:
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = value * value / 3 if value <= 0.5 else (math.exp((value - c) / a) + b) / 12  # noqa: PLR2004
    return _HLG_PEAK_NITS * float(scene**1.2) / _REFERENCE_WHITE_NITS


_TRANSFERS: dict[int, Callable[[float], float]] = {
    # Like browsers: the camera curves of video are shown as sRGB.
    **dict.fromkeys((1, 2, 6, 11, 12, 13, 14, 15), _srgb),
    4: _power(2.2),
    5: _power(2.8),
    7: _smpte240,
    8: _power(1.0),
    16: _pq,
    17: _cinema,
    18: _hlg,
}
"""By the code points of H.273; brighter light than white is white."""


# --- profiles


@cache
def _profile(primaries: Sequence[XY], white: XY, curve: Callable[[float], float]) -> bytes:
    """An ICC profile of three primaries and one curve for all."""
    columns = _adapted(primaries, white)
    table = [min(max(curve(index / (_TABLE_POINTS - 1)), 0.0), 1.0) for index in range(_TABLE_POINTS)]
    curve_tag = (
        b"curv" + struct.pack(">4xI", _TABLE_POINTS) + b"".join(struct.pack(">H", round(65535 * y)) for y in table)
    )
    description = b"desc" + struct.pack(">4xI", 5) + b"made\0" + bytes(4 + 4 + 2 + 1 + 67)
    tags = {
        b"desc": description,
        b"wtpt": _xyz(_D50),
        b"rXYZ": _xyz(columns[0]),
        b"gXYZ": _xyz(columns[1]),
        b"bXYZ": _xyz(columns[2]),
        b"rTRC": curve_tag,
        b"gTRC": curve_tag,
        b"bTRC": curve_tag,
    }
    start, entries, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        entries += name + struct.pack(">II", start + len(body), len(content))
        body += padded
    header = struct.pack(">I4sI4s4s4s12x4s", start + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    header += bytes(28) + b"".join(struct.pack(">i", round(65536 * value)) for value in _D50)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ " + struct.pack(">4x3i", *(round(65536 * value) for value in values))


def _adapted(primaries: Sequence[XY], white: XY) -> list[tuple[float, float, float]]:
    """XYZ of the primaries such that they add up to white, adapted to D50 by Bradford's transform."""
    rows = [_of_xy(xy) for xy in primaries]
    target = _of_xy(white)
    scales = _solve([[rows[column][row] for column in range(3)] for row in range(3)], target)
    bradford = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
    cone = [[sum(b * x for b, x in zip(line, column, strict=True)) for line in bradford] for column in (target, _D50)]
    gains = [new / old for old, new in zip(*cone, strict=True)]
    adapted = []
    for row, scale in zip(rows, scales, strict=True):
        response = [sum(b * scale * x for b, x in zip(line, row, strict=True)) for line in bradford]
        adapted.append(_solve(bradford, [gain * value for gain, value in zip(gains, response, strict=True)]))
    return adapted


def _of_xy(xy: XY) -> tuple[float, float, float]:
    x, y = xy
    return x / y, 1.0, (1 - x - y) / y


def _solve(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> tuple[float, float, float]:
    """The solution of three linear equations, by Cramer's rule."""
    whole = _determinant(matrix)
    columns = [
        [[right[row] if column == replaced else matrix[row][column] for column in range(3)] for row in range(3)]
        for replaced in range(3)
    ]
    first, second, third = (_determinant(column) / whole for column in columns)
    return first, second, third


def _determinant(m: Sequence[Sequence[float]]) -> float:
    return (
        m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1])
        - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
    )


def _near(points: Sequence[XY], wanted: Sequence[XY]) -> bool:
    pairs = zip(points, wanted, strict=True)
    return all(abs(x - a) < 0.004 and abs(y - b) < 0.004 for (x, y), (a, b) in pairs)  # noqa: PLR2004 - rounding


def _is_gamut(primaries: Sequence[XY], white: XY) -> bool:
    """Whether chromaticities span colours; files hold zeros and other accidents."""
    if any(y <= 0.001 for _, y in (*primaries, white)):  # noqa: PLR2004 - no light
        return False
    return abs(_determinant([_of_xy(xy) for xy in primaries])) > 1e-3  # noqa: PLR2004 - on a line
