"""The files of a request before anything is known of them, whichever way they arrive: each a path and its bytes."""

import functools
import io
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dti.spec.clutter import parts_of
from service.errors import ImageTooLargeError, ImageUnreadableError
from service.settings import Limits
from service.uploads.files import Upload, display_name
from service.uploads.formats import HEAD_BYTES


@dataclass(frozen=True)
class Entry:
    """A file of a request.

    Attributes:
        path: with folders, as the client or the packer wrote it.
        field: of the form, for messages: `images` or `archive`.
        size: in bytes, as declared.
        read: its first bytes, at most so many.
        archive: the archive's name; None outside of one.
    """

    path: str
    field: str
    size: int
    read: Callable[[int], bytes]
    archive: str | None = None

    @functools.cached_property
    def head(self) -> bytes:
        """Enough bytes to tell its format."""
        return self.read(HEAD_BYTES)

    @property
    def name(self) -> str:
        """Its name without folders, safe to show and to store."""
        return display_name(self.path)

    @property
    def shown_path(self) -> str:
        """Its path, safe to show."""
        return "/".join(map(display_name, self.parts)) or self.name

    @functools.cached_property
    def parts(self) -> tuple[str, ...]:
        """The names in its path; composed, since macOS writes ü as u and two dots."""
        return parts_of(unicodedata.normalize("NFC", self.path))

    def content(self, limits: Limits) -> bytes:
        """Its bytes, within the limit of a picture.

        Raises:
            ImageTooLargeError: there are more.
            ImageUnreadableError: there are none.
        """
        if self.size <= limits.picture_bytes:
            data = self.read(limits.picture_bytes + 1)
            if data and len(data) <= limits.picture_bytes:
                return data
            if not data:
                raise ImageUnreadableError(f"{self.name} is empty. Send it again.")
        raise ImageTooLargeError(f"{self.name} has more than {limits.picture_bytes} bytes. Send it smaller.")


def of_upload(upload: Upload) -> Entry:
    """A part of a form."""

    def read(count: int) -> bytes:
        upload.stream.seek(0)
        return upload.stream.read(count)

    return Entry(upload.filename, "images", upload.stream.seek(0, io.SEEK_END), read)


def of_folder(folder: Path) -> Iterator[Entry]:
    """The files of a folder and of those in it, sorted by their paths."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield Entry(
                path.relative_to(folder).as_posix(), "images", path.stat().st_size, functools.partial(_read, path)
            )


def _read(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)
