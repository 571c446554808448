"""Encoding of pictures as files, with their provenance in the metadata.

Encoding is deterministic: the same picture and provenance give the same bytes in every run. It knows no engine, no job
and no object store.
"""

import io
from collections.abc import Mapping
from dataclasses import dataclass

from PIL import ExifTags, Image, PngImagePlugin

from dti.pictures import exif_comment
from worker.outputs.provenance import Provenance

CONTENT_TYPES: Mapping[str, str] = {
    "png": "image/png",
    "webp": "image/webp",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "mp4": "video/mp4",
}
"""The media type of each format of pictures and animations."""

_LOSSY_QUALITY = 92


@dataclass(frozen=True, slots=True)
class PictureFile:
    """An encoded picture or animation."""

    data: bytes
    format: str
    width: int
    height: int

    @property
    def content_type(self) -> str:
        """The media type of the format."""
        return CONTENT_TYPES[self.format]


def encode(picture: Image.Image, picture_format: str, provenance: Provenance) -> PictureFile:
    """Encode a picture with its provenance, as JSON and as AUTOMATIC1111's infotext.

    In PNG these are the text chunks `dti` and `parameters`, otherwise EXIF's ImageDescription and UserComment.

    Args:
        picture: the picture.
        picture_format: png, webp or jpeg.
        provenance: of the picture.
    """
    buffer = io.BytesIO()
    if picture_format == "png":
        picture.save(buffer, "PNG", pnginfo=_texts(provenance))
    else:
        picture.save(buffer, picture_format.upper(), quality=_LOSSY_QUALITY, exif=_exif(provenance))
    return PictureFile(buffer.getvalue(), picture_format, picture.width, picture.height)


def _texts(provenance: Provenance) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", provenance.infotext())
    texts.add_text("dti", provenance.to_json())
    return texts


def _exif(provenance: Provenance) -> Image.Exif:
    exif = exif_comment(provenance.infotext())
    exif[ExifTags.Base.ImageDescription] = provenance.to_json()
    return exif
