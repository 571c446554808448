"""Pictures as files: bytes in a chosen format that say how they were made.

The same picture and facts give the same bytes, in every run. It knows no engine, no job and no store.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import Image, PngImagePlugin

CONTENT_TYPES: Mapping[str, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "mp4": "video/mp4",
}
"""What HTTP calls each format that pictures and animations are written in."""

_EXIF_IMAGE_DESCRIPTION = 0x010E
_LOSSY_QUALITY = 92


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture or animation as it is stored."""

    data: bytes
    format: str
    width: int
    height: int

    @property
    def content_type(self) -> str:
        """What HTTP calls the format."""
        return CONTENT_TYPES[self.format]


def encode(picture: Image.Image, picture_format: str, facts: Mapping[str, str]) -> PictureFile:
    """A picture with its facts inside: as text chunks in PNG, as a JSON description in EXIF elsewhere.

    Args:
        picture: what to write.
        picture_format: png, webp or jpeg.
        facts: what made the picture (prompt, seed, model, concepts); nothing that changes from run to run.
    """
    buffer = io.BytesIO()
    if picture_format == "png":
        picture.save(buffer, "PNG", pnginfo=_text_chunks(facts))
    else:
        picture.save(buffer, picture_format.upper(), quality=_LOSSY_QUALITY, exif=_exif(facts))
    return PictureFile(buffer.getvalue(), picture_format, picture.width, picture.height)


def _text_chunks(facts: Mapping[str, str]) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for name, value in facts.items():
        chunks.add_itxt(name, value)
    return chunks


def _exif(facts: Mapping[str, str]) -> Image.Exif:
    exif = Image.Exif()
    # EXIF descriptions are ASCII: JSON escapes whatever is not.
    exif[_EXIF_IMAGE_DESCRIPTION] = json.dumps(dict(facts))
    return exif
