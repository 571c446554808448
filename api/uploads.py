"""Uploaded pictures on their way into the object store; they are deleted again where the request is refused."""

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from anyio import CancelScope
from fastapi import Request, UploadFile

from api.deps import RequestContext, in_thread
from service.database.references import unreferenced
from service.errors import InvalidInputError
from service.storage import key_for
from service.uploads.files import Upload
from service.uploads.reading import read_pictures
from service.uploads.records import SanitizedPicture, StoredPicture

_PREFIX = "pictures"
_REPEATABLE = "images"


async def reject_repeated_fields(request: Request) -> None:
    """Refuse a form with a repeated field, of which the parser would keep only the last; `images` may be repeated.

    Raises:
        InvalidInputError: a field is repeated.
    """
    form = await request.form()
    for field in form:
        if field != _REPEATABLE and len(form.getlist(field)) > 1:
            raise InvalidInputError(field, "The field is sent more than once. Send it once.")


def sanitized_pictures(
    context: RequestContext, images: Sequence[UploadFile], archive: UploadFile | None
) -> list[SanitizedPicture]:
    """The sanitized pictures of a request.

    Raises:
        ServiceError: one of them cannot be used; then none is.
    """
    archives = [archive] if archive is not None else []
    return read_pictures(_uploads(images), _uploads(archives), context.service.settings.limits)


@asynccontextmanager
async def stored_pictures(
    context: RequestContext, pictures: Sequence[SanitizedPicture]
) -> AsyncIterator[Sequence[StoredPicture]]:
    """The pictures in the object store; deleted again where the block, which commits references to them, fails.

    Each request has a prefix of its own, so that no other one can refer to its pictures while it is refused.

    Raises:
        StorageUnavailableError: the object store does not answer.
    """
    prefix = f"{_PREFIX}/{secrets.token_hex(16)}"
    stored = [
        picture.stored_at(key_for(context.owner_id, prefix, picture.data, picture.extension)) for picture in pictures
    ]
    try:
        await in_thread(partial(_put, context, pictures, stored))
        yield stored
    except BaseException:
        # Shielded: a request that is cancelled deletes its pictures, too.
        with CancelScope(shield=True):
            await in_thread(partial(_delete_unreferenced, context, stored))
        raise


def _uploads(files: Sequence[UploadFile]) -> list[Upload]:
    return [Upload(file.filename or "", file.file) for file in files]


def _put(context: RequestContext, pictures: Sequence[SanitizedPicture], stored: Sequence[StoredPicture]) -> None:
    for picture, target in zip(pictures, stored, strict=True):
        context.service.storage.put(target.key, picture.data, picture.content_type)


def _delete_unreferenced(context: RequestContext, stored: Sequence[StoredPicture]) -> None:
    with context.service.database.reading() as session:
        keys = unreferenced(session, {picture.key for picture in stored})
    context.service.storage.delete(keys)
