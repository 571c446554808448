"""The pictures of one request, from its files and archives. It knows no web framework, table or object store."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeAlias

from service.settings import Limits
from service.uploads.archives import members_of
from service.uploads.budget import PixelBudget
from service.uploads.entries import Entry, of_upload
from service.uploads.files import File, Upload
from service.uploads.pictures import sanitize
from service.uploads.records import SanitizedPicture
from service.uploads.training_files import PictureFile, TrainingFiles, select

Sanitize: TypeAlias = Callable[[File, Limits, PixelBudget], SanitizedPicture]


def read_pictures(images: Sequence[Upload], archives: Sequence[Upload], limits: Limits) -> list[SanitizedPicture]:
    """The sanitized pictures of trusted files, decoded in this process, those of archives last.

    Raises:
        ServiceError: as by `select_uploads` and `decode`.
    """
    files = select_uploads(images, archives, limits)
    return list(iter_pictures(files.pictures, limits, sanitize, PixelBudget(sys.maxsize)))


def select_uploads(images: Sequence[Upload], archives: Sequence[Upload], limits: Limits) -> TrainingFiles:
    """The pictures among uploaded files, with captions and masks; nothing is decoded. See `training_files.select`.

    The uploads stay open: pictures are read from them one by one.
    """
    return select(_entries(images, archives), limits)


def iter_pictures(
    pictures: Iterable[PictureFile], limits: Limits, sanitize: Sanitize, budget: PixelBudget
) -> Iterator[SanitizedPicture]:
    """Sanitized pictures one by one, so that only one has to be in memory.

    Raises:
        ImageUnsupportedError: a picture's format or colours are not read.
        ImageUnreadableError: it is damaged, or shows nothing.
        ImageTooLargeError: it has too many bytes or pixels, or the request too many pixels in all.
        ImageTooSmallError: its shorter side is too small.
        InvalidInputError: its mask cannot be used.
    """
    for picture in pictures:
        yield sanitize(picture.file(limits), limits, budget)


def _entries(images: Sequence[Upload], archives: Sequence[Upload]) -> Iterator[Entry]:
    for image in images:
        yield of_upload(image)
    for archive in archives:
        yield from members_of(archive)
