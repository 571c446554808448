"""Local files: the ZIP of a folder of training pictures, and the paths of downloads. Opens no connection."""

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from dti_client.errors import SettingsError
from dti_client.models import Image, Job

_PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".heic", ".heif", ".avif", ".tif", ".tiff"})
_CAPTION = ".txt"


def zip_folder(folder: Path) -> bytes:
    """A ZIP of a folder's pictures, with their captions (`NAME.txt`) and masks (`NAME.mask.png`).

    Raises:
        SettingsError: the folder has no pictures.
    """
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in {*_PICTURES, _CAPTION})
    files = [path for path in files if not path.name.startswith(".")]
    pictures = {path.stem for path in files if path.suffix.lower() in _PICTURES}
    if not pictures:
        raise SettingsError(f"{folder} has no pictures. Supported: {', '.join(sorted(_PICTURES))}.")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            # A text without a picture of the same name is not a caption.
            if path.suffix.lower() in _PICTURES or path.stem in pictures:
                archive.write(path, path.name)
    return buffer.getvalue()


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
