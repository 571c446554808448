"""The gallery: list, search, read, mark, download and delete generated images."""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime, BeforeValidator

from api import serializers
from api.deps import CancelAccess, Cursor, ImageId, Limit, ReadAccess
from api.schema_fields import Text
from api.schemas import responses
from api.schemas.requests import ImageChangeRequest
from service import audit, gallery
from service.database.tables import Image
from service.errors import ObjectMissingError
from service.storage import ObjectStore

router = APIRouter(tags=["images"])

_ZIP = {
    "description": "A ZIP of the images, with their prompts, seeds and jobs in `images.json`.",
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}


def _dated(text: object) -> object:
    """The text of a time; a bare number, which pydantic would take for seconds, is refused."""
    if not isinstance(text, str) or not re.match(r"\d{4}-\d\d-\d\d[Tt ]", text):
        raise ValueError("Send a time with its zone, such as 2026-01-31T12:00:00Z.")
    return text


Moment = Annotated[AwareDatetime, BeforeValidator(_dated)]


def _filters(
    *,
    q: Annotated[
        Text | None,
        Query(max_length=500, description="Words that all occur in the prompt, its concepts' names, or the seed."),
    ] = None,
    concept: Annotated[Text | None, Query(description="A concept's id or name.")] = None,
    job: Annotated[Text | None, Query(description="A job's id.")] = None,
    kind: Annotated[responses.ListedKind | None, Query(description="The kind of the images' job.")] = None,
    favourite: Annotated[bool | None, Query(description="Only favourites, or only others.")] = None,
    before: Annotated[Moment | None, Query(description="Only images made before this time (RFC 3339).")] = None,
) -> gallery.Filters:
    return gallery.Filters(q=q, concept=concept, job=job, kind=kind, favourite=favourite, before=before)


Filters = Annotated[gallery.Filters, Depends(_filters)]


@router.get("/images")
def list_images(
    context: ReadAccess,
    filters: Filters,
    *,
    sort: Annotated[gallery.Sort, Query(description="The order of the list; any image's id is a cursor.")] = "newest",
    cursor: Cursor = None,
    limit: Limit = 20,
) -> responses.ImagePage:
    """List and search generated images, newest first, with signed URLs, which expire."""
    with context.service.database.reading() as session:
        page = gallery.page(session, context.owner_id, filters, cursor, limit, sort=sort)
        items = [serializers.gallery_image(context.service, row) for row in page.items]
        return responses.ImagePage(items=items, next=page.next)


@router.get("/images/archive", response_class=StreamingResponse, responses={200: _ZIP})
def download_images(
    context: ReadAccess,
    filters: Filters,
    ids: Annotated[
        list[Text] | None,
        Query(alias="id", max_length=gallery.ARCHIVE_LIMIT, description="Ids of images; repeated for several."),
    ] = None,
) -> StreamingResponse:
    """Download up to 1,000 images as a ZIP: those of a search, or of ids."""
    named = filters if ids is None else gallery.Filters(**{**vars(filters), "ids": ids})
    with context.service.database.reading() as session:
        rows = gallery.archive(session, context.owner_id, named)
    headers = {"Content-Disposition": 'attachment; filename="images.zip"'}
    return StreamingResponse(_zip(context.service.storage, rows), media_type="application/zip", headers=headers)


@router.get("/images/{image_id}")
def read_image(context: ReadAccess, image_id: ImageId) -> responses.GalleryImage:
    """Read a generated image, with a signed URL, which expires."""
    with context.service.database.reading() as session:
        return serializers.gallery_image(context.service, gallery.get(session, context.owner_id, image_id))


@router.patch("/images/{image_id}")
def change_image(context: CancelAccess, image_id: ImageId, request: ImageChangeRequest) -> responses.GalleryImage:
    """Mark a generated image as a favourite, or not any more."""
    with context.service.database.writing() as session:
        row = gallery.set_favourite(session, context.owner_id, image_id, favourite=request.favourite)
        return serializers.gallery_image(context.service, row)


@router.delete("/images/{image_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_image(context: CancelAccess, image_id: ImageId) -> None:
    """Delete a generated image of a job that has ended."""
    # Checked first, so that nothing is deleted while the object store is down.
    context.service.storage.check()
    with context.service.database.writing() as session:
        keys = gallery.delete(session, context.owner_id, image_id)
        audit.record(session, context.actor, "image.deleted", image_id)
    context.service.storage.delete(keys)


def _zip(storage: ObjectStore, rows: Sequence[Image]) -> Iterator[bytes]:
    """The bytes of a ZIP, one image in memory at a time; images are compressed already, and are stored."""
    buffer = _Buffer()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        described = []
        for row in rows:
            name = f"{row.id}.{row.key.rpartition('.')[2]}"
            try:
                data = storage.get(row.key)
            except ObjectMissingError:
                # Deleted since the query.
                continue
            archive.writestr(name, data)
            described.append(_described(name, row))
            yield buffer.take()
        archive.writestr("images.json", json.dumps(described, ensure_ascii=False, indent=1))
    yield buffer.take()


def _described(name: str, row: Image) -> dict[str, object]:
    return {
        "file": name,
        "id": row.id,
        "job": row.job_id,
        "model": row.job.model,
        "concepts": [concept.name for concept in row.job.concepts],
        "seed": row.seed,
        "prompt": row.prompt,
        "created_at": row.created_at.isoformat(),
    }


class _Buffer(io.RawIOBase):
    """A file that cannot be sought, and whose bytes are taken as they are written."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        view = memoryview(data)  # type: ignore[arg-type]
        self._bytes += view
        return view.nbytes

    def take(self) -> bytes:
        """The bytes since the last call."""
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken
