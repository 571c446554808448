"""The pictures of one request, from its files and archives. It knows no web framework, table or object store."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from service.errors import InvalidInputError
from service.settings import Limits
from service.uploads.archives import unpacked
from service.uploads.budget import PixelBudget
from service.uploads.files import File, Upload, contents
from service.uploads.pictures import sanitize
from service.uploads.records import SanitizedPicture

Sanitize: TypeAlias = Callable[[File, Limits, PixelBudget], SanitizedPicture]


def read_pictures(images: Sequence[Upload], archives: Sequence[Upload], limits: Limits) -> list[SanitizedPicture]:
    """The sanitized pictures of trusted files, decoded in this process, those of archives last.

    Raises:
        ServiceError: as by `iter_pictures`.
    """
    return list(iter_pictures(images, archives, limits, sanitize, PixelBudget(sys.maxsize)))


def iter_pictures(
    images: Sequence[Upload], archives: Sequence[Upload], limits: Limits, sanitize: Sanitize, budget: PixelBudget
) -> Iterator[SanitizedPicture]:
    """The sanitized pictures of a request one by one, so that only one has to be in memory; those of archives last.

    Raises:
        ImageUnsupportedError: a file is not a kind of picture or archive that is read.
        ImageUnreadableError: a file is damaged.
        ImageTooLargeError: a picture has too many bytes or pixels, an archive too many entries, or the request too many
            pixels in all.
        ImageTooSmallError: a picture's shorter side is too small.
        InvalidInputError: there are no pictures or too many, or a caption cannot be used.
    """
    _check_count(len(images), limits)
    count = 0
    for file in _files(images, archives, limits):
        count += 1
        _check_count(count, limits)
        yield sanitize(file, limits, budget)
    if not count:
        raise InvalidInputError("images", "There are no pictures. Send at least one in `images` or in `archive`.")


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.pictures:
        raise InvalidInputError("images", f"There are more than {limits.pictures} pictures. Send fewer.")


def _files(images: Sequence[Upload], archives: Sequence[Upload], limits: Limits) -> Iterator[File]:
    for image in images:
        yield File(image.display_name, contents(image, limits), caption=None)
    for archive in archives:
        yield from unpacked(archive, limits)
