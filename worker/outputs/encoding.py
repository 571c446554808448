"""Pictures as files: bytes in a chosen format that say how they were made.

The same picture, made alike, gives the same bytes, in every run. It knows no engine, no job and no store.
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
"""What HTTP calls each format that pictures and animations are written in."""

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


def encode(picture: Image.Image, picture_format: str, provenance: Provenance) -> PictureFile:
    """A picture with how it was made inside, exactly and for AUTOMATIC1111's readers.

    In PNG these are the texts `dti` and `parameters`, elsewhere EXIF's ImageDescription and UserComment.

    Args:
        picture: what to write.
        picture_format: png, webp or jpeg.
        provenance: what made the picture.
    """
    buffer = io.BytesIO()
    if picture_format == "png":
        picture.save(buffer, "PNG", pnginfo=_texts(provenance))
    else:
        picture.save(buffer, picture_format.upper(), quality=_LOSSY_QUALITY, exif=_exif(provenance))
    return PictureFile(buffer.getvalue(), picture_format, picture.width, picture.height)


def _texts(provenance: Provenance) -> PngImagePlugin.PngInfo:
    texts = PngImagePlugin.PngInfo()
    texts.add_text("parameters", provenance.parameters())
    texts.add_text("dti", provenance.exact())
    return texts


def _exif(provenance: Provenance) -> Image.Exif:
    exif = exif_comment(provenance.parameters())
    exif[ExifTags.Base.ImageDescription] = provenance.exact()
    return exif
