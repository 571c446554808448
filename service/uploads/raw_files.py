"""Camera raw files in TIFF, by the tags of their first picture: it is a thumbnail, or data of the sensor.

Source: Adobe, DNG 1.6; TIFF/EP (ISO 12234-2).
"""

from PIL import TiffImagePlugin

_NEW_SUBFILE_TYPE, _COMPRESSION, _PHOTOMETRIC, _SUB_IFDS = 254, 259, 262, 330
_DNG_VERSION, _CFA_REPEAT, _CFA_PATTERN, _LEAF = 50706, 33421, 33422, 34310
_REDUCED = 1
_SENSOR_DATA = {32803, 34892}
"""Photometric interpretations: colour filter array, linear raw."""

_RAW_COMPRESSIONS = {32767, 32769, 32770, 34713, 65000, 65535}
"""Of Sony, Epson, Samsung, Nikon, Kodak and Pentax."""


def is_raw_tiff(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether a TIFF is raw data of a camera."""
    tags = image.tag_v2
    if any(tag in tags for tag in (_DNG_VERSION, _CFA_REPEAT, _CFA_PATTERN, _LEAF)):
        return True
    if tags.get(_PHOTOMETRIC) in _SENSOR_DATA or tags.get(_COMPRESSION) in _RAW_COMPRESSIONS:
        return True
    return is_reduced(image) and _SUB_IFDS in tags


def is_reduced(image: TiffImagePlugin.TiffImageFile) -> bool:
    """Whether the present picture of a TIFF is a thumbnail of another one, or its mask."""
    return bool(int(image.tag_v2.get(_NEW_SUBFILE_TYPE, 0)) & (_REDUCED | 4))
