"""The pictures of one request, from its files and archives. It knows no web framework, table or object store."""

from collections.abc import Iterator, Sequence

from service.errors import InvalidInputError
from service.settings import Limits
from service.uploads.archives import unpacked
from service.uploads.files import File, Upload, contents
from service.uploads.pictures import sanitize
from service.uploads.records import SanitizedPicture


def read_pictures(images: Sequence[Upload], archives: Sequence[Upload], limits: Limits) -> list[SanitizedPicture]:
    """The sanitized pictures of a request, those of archives last.

    Raises:
        ImageUnsupportedError: a file is not a kind of picture or archive that is read.
        ImageUnreadableError: a file is damaged.
        ImageTooLargeError: a picture has too many bytes or pixels, or an archive too many entries.
        ImageTooSmallError: a picture's shorter side is too small.
        InvalidInputError: there are no pictures or too many, or a caption cannot be used.
    """
    _check_count(len(images), limits)
    pictures: list[SanitizedPicture] = []
    for file in _files(images, archives, limits):
        _check_count(len(pictures) + 1, limits)
        pictures.append(sanitize(file, limits))
    if not pictures:
        raise InvalidInputError("images", "There are no pictures. Send at least one in `images` or in `archive`.")
    return pictures


def _check_count(count: int, limits: Limits) -> None:
    if count > limits.pictures:
        raise InvalidInputError("images", f"There are more than {limits.pictures} pictures. Send fewer.")


def _files(images: Sequence[Upload], archives: Sequence[Upload], limits: Limits) -> Iterator[File]:
    for image in images:
        yield File(image.display_name, contents(image, limits), caption=None)
    for archive in archives:
        yield from unpacked(archive, limits)
