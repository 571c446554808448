"""Uploaded pictures on their way into the object store; they are deleted again where the request is refused."""

import secrets
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from anyio import CancelScope
from fastapi import Request, UploadFile

from api.deps import RequestContext, in_thread
from service.database.references import unreferenced
from service.errors import InvalidInputError
from service.kinds.warnings import JobWarning
from service.storage import key_for
from service.uploads.budget import PixelBudget
from service.uploads.files import Upload
from service.uploads.reading import iter_pictures, select_uploads
from service.uploads.records import SanitizedPicture, StoredPicture
from service.uploads.training_files import TrainingFiles

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


def selected_files(context: RequestContext, images: Sequence[UploadFile], archive: UploadFile | None) -> TrainingFiles:
    """The pictures among the files of a request, undecoded, with captions and masks.

    Raises:
        ServiceError: a file cannot be used, or there are no pictures.
    """
    archives = [archive] if archive is not None else []
    return select_uploads(_uploads(images), _uploads(archives), context.service.settings.limits)


@dataclass(frozen=True)
class StoredUpload:
    """The pictures of a request in the object store, and the warnings of its files."""

    pictures: list[StoredPicture]
    warnings: list[JobWarning]


@asynccontextmanager
async def stored_pictures(context: RequestContext, files: TrainingFiles) -> AsyncIterator[StoredUpload]:
    """The pictures of a request, sanitized and in the object store; deleted again where one of them or the block fails.

    Only one picture of a request is in memory. Each request has a prefix of its own, so that no other one can refer to
    its pictures while it is refused.

    Raises:
        ServiceError: a picture cannot be used; then none is.
        StorageUnavailableError: the object store does not answer.
    """
    prefix = f"{_PREFIX}/{secrets.token_hex(16)}"
    upload = StoredUpload([], list(files.warnings))
    limits = context.service.settings.limits
    pictures = iter_pictures(files.pictures, limits, context.decoders.sanitize, PixelBudget(limits.request_pixels))
    start = time.perf_counter()
    try:
        while await _store_next(context, pictures, prefix, upload):
            pass
        context.metrics.observe_upload(time.perf_counter() - start)
        yield upload
    except BaseException:
        # Shielded: a request that is cancelled deletes its pictures, too.
        with CancelScope(shield=True):
            await in_thread(partial(_delete_unreferenced, context, upload.pictures))
        raise


async def _store_next(
    context: RequestContext, pictures: Iterator[SanitizedPicture], prefix: str, upload: StoredUpload
) -> bool:
    """Sanitize and store the next picture; False at their end."""
    async with context.upload_queue.place(context.owner_id):
        return await in_thread(partial(_put_next, context, pictures, prefix, upload))


def _put_next(context: RequestContext, pictures: Iterator[SanitizedPicture], prefix: str, upload: StoredUpload) -> bool:
    picture = next(pictures, None)
    if picture is None:
        return False
    target = picture.stored_at(key_for(context.owner_id, prefix, picture.data, picture.extension))
    # Listed first: an object that is stored without a response is deleted, too.
    upload.pictures.append(target)
    if picture.uniform:
        message = f"{picture.filename} has one colour only: there is little to learn from it."
        upload.warnings.append(JobWarning(code="picture_uniform", message=message, subjects=(picture.filename,)))
    context.service.storage.put(target.key, picture.data, picture.content_type)
    return True


def _uploads(files: Sequence[UploadFile]) -> list[Upload]:
    return [Upload(file.filename or "", file.file) for file in files]


def _delete_unreferenced(context: RequestContext, stored: Sequence[StoredPicture]) -> None:
    with context.service.database.reading() as session:
        keys = unreferenced(session, {picture.key for picture in stored})
    context.service.storage.delete(keys)
