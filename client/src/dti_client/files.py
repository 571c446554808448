"""Local files: the ZIP of a folder of training pictures, and the paths of downloads. Opens no connection."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from dti_client.errors import SettingsError
from dti_client.models import Image, Job

_WHOLE_BYTES = 32_000_000
"""Larger files are no pictures that the service takes: their first bytes are enough for it to name them."""

_FIRST_BYTES = 4096
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*")
_PICTURE_BOXES = (b"ftypavi", b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1")


def zip_folder(folder: Path) -> bytes:
    """A ZIP of a folder's files and of those in its subfolders: the service finds the pictures, captions and masks.

    Raises:
        SettingsError: the folder has no files, or a picture that is too large for the service.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if not files:
        raise SettingsError(f"{folder} has no pictures.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            size = path.stat().st_size
            with path.open("rb") as file:
                content = file.read(size if size <= _WHOLE_BYTES else _FIRST_BYTES)
            if size > _WHOLE_BYTES and _is_picture(content):
                raise SettingsError(f"{path} has {size} bytes: at most {_WHOLE_BYTES} are possible. Save it smaller.")
            # Without the file's date: some lie before 1980, which the format cannot store.
            archive.writestr(zipfile.ZipInfo(path.relative_to(folder).as_posix()), content)
    return buffer.getvalue()


def _is_picture(head: bytes) -> bool:
    """Whether a file begins as pictures do that the service reads."""
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return webp or head.startswith(_PICTURES) or head[4:].startswith(_PICTURE_BOXES)


def download_paths(job: Job, folder: Path) -> Iterator[tuple[Image, Path]]:
    """The images of a job that have a URL, and the path of each download."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [(f"{number:02}", image) for number, image in enumerate(job.output.images)]
    extras = {"animation": job.output.animation, "contact-sheet": job.output.contact_sheet}
    for name, image in [*images, *extras.items()]:
        if image is not None and image.url is not None:
            yield image, folder / f"{name}{_extension(image)}"


def _extension(image: Image) -> str:
    return Path(urlsplit(image.url or "").path).suffix or f".{image.content_type.partition('/')[2]}"
