"""A training picture from its upload to its row in the database; its fields are listed once."""

from dataclasses import dataclass, field, fields

from service.safety import SafetyVerdict


@dataclass(frozen=True, kw_only=True)
class PictureInfo:
    """The description of a training picture.

    Args:
        filename: as uploaded, without folders.
        bytes: size of the encoded file.
        sha256: of the encoded file.
        original_width: before scaling, as size conditioning is told it; likewise `original_height`. None where unknown.
    """

    filename: str
    content_type: str
    width: int
    height: int
    bytes: int
    sha256: str
    caption: str | None
    original_width: int | None = None
    original_height: int | None = None


@dataclass(frozen=True, kw_only=True)
class StoredPicture(PictureInfo):
    """A sanitized picture in the object store.

    Args:
        key: of the object.
        safety: the assessment of the safety checker; None where none was asked for.
    """

    key: str
    safety: SafetyVerdict | None = None


@dataclass(frozen=True, kw_only=True)
class SanitizedPicture(PictureInfo):
    """An uploaded picture, re-encoded: upright, sRGB, without metadata, no larger than needed.

    Args:
        uniform: whether it has one colour only.
    """

    uniform: bool = False
    data: bytes = field(repr=False)

    @property
    def extension(self) -> str:
        """The file extension for the content type."""
        return "jpg" if self.content_type == "image/jpeg" else "png"

    def stored_at(self, key: str) -> StoredPicture:
        """The same picture in the object store, without its bytes."""
        return StoredPicture(key=key, **{info.name: getattr(self, info.name) for info in fields(PictureInfo)})
