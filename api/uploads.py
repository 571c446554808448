"""The way of an uploaded picture into the storage, and out of it again when the request is refused after all."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fastapi import Request, UploadFile

from api.deps import Call
from service.concepts.concepts import StoredPicture
from service.database.references import unreferenced
from service.errors import InvalidInputError
from service.storage import name_for
from service.uploads import SanitizedPicture, Upload, read_pictures

_ROOM = "pictures"
_REPEATED = "images"


async def said_once(request: Request) -> None:
    """Refuse a form that says a field twice, of which only the last would be heard; pictures are many.

    Raises:
        InvalidInputError: it does.
    """
    form = await request.form()
    for field in form:
        if field != _REPEATED and len(form.getlist(field)) > 1:
            raise InvalidInputError(field, "It is said more than once. Send it once.")


def cleaned(call: Call, images: Sequence[UploadFile], archive: UploadFile | None) -> list[SanitizedPicture]:
    """The pictures of a request.

    Raises:
        ServiceError: one of them cannot be used; then none is.
    """
    archives = [archive] if archive is not None else []
    return read_pictures(_uploads(images), _uploads(archives), call.service.settings.limits)


@contextmanager
def stored(call: Call, pictures: Sequence[SanitizedPicture]) -> Iterator[list[StoredPicture]]:
    """The pictures in the storage, for as long as it takes to commit what refers to them.

    They lie in a room of this request's own, so that nobody else begins to refer to them while it is refused.

    Raises:
        StorageUnavailableError: the store does not answer.
    """
    room = f"{_ROOM}/{secrets.token_hex(16)}"
    placed = [_placed(call.owner_id, room, picture) for picture in pictures]
    try:
        for picture, place in zip(pictures, placed, strict=True):
            call.service.storage.put(place.key, picture.data, picture.content_type)
        yield placed
    except BaseException:
        _forget(call, placed)
        raise


def _uploads(files: Sequence[UploadFile]) -> list[Upload]:
    return [Upload(file.filename or "", file.file) for file in files]


def _placed(owner_id: str, room: str, picture: SanitizedPicture) -> StoredPicture:
    return StoredPicture(
        key=name_for(owner_id, room, picture.data, picture.extension),
        sha256=picture.sha256,
        filename=picture.filename,
        content_type=picture.content_type,
        width=picture.width,
        height=picture.height,
        bytes=len(picture.data),
        caption=picture.caption,
    )


def _forget(call: Call, placed: Sequence[StoredPicture]) -> None:
    with call.service.database.reading() as session:
        keys = unreferenced(session, {picture.key for picture in placed})
    call.service.storage.delete(keys)
