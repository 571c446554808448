"""The gallery: every generated picture of an owner, searched, marked as a favourite, downloaded and deleted.

Its pictures are those of generations and interpolations; previews, animations and contact sheets stay with their jobs.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, contains_eager, selectinload

from service.database.ids import first_id, is_id
from service.database.paging import Page, keyset, keyset_ascending
from service.database.references import unreferenced
from service.database.search import containing
from service.database.tables import UNFINISHED, Concept, Image, Job, JobConcept
from service.errors import InvalidInputError, JobUnfinishedError, NotFoundError

Sort = Literal["newest", "oldest"]

ARCHIVE_LIMIT = 1000
"""Most pictures of one ZIP."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions on a list of images; None for no condition.

    Args:
        q: words that all occur in the prompt, the names of its concepts, or the seed.
        concept: an id or a name.
        job: an id.
        kind: of the job.
        favourite: whether it is one.
        before: only images that were made before this moment.
        ids: of images; a list of none finds nothing.
    """

    q: str | None = None
    concept: str | None = None
    job: str | None = None
    kind: str | None = None
    favourite: bool | None = None
    before: datetime | None = None
    ids: Sequence[str] | None = None


def page(
    session: Session, owner_id: str, filters: Filters, cursor: str | None, limit: int, *, sort: Sort = "newest"
) -> Page[Image]:
    """An owner's images; the id of any image is a cursor, so that its neighbours can be found.

    Raises:
        InvalidInputError: the cursor is invalid.
    """
    query = _filtered(session, _listed(owner_id), owner_id, filters)
    if sort == "oldest":
        return keyset_ascending(session, query, Image.id, cursor=cursor, limit=limit)
    return keyset(session, query, Image.id, "img", cursor=cursor, limit=limit)


def archive(session: Session, owner_id: str, filters: Filters) -> Sequence[Image]:
    """The images of a ZIP, newest first.

    Raises:
        InvalidInputError: they are more than `ARCHIVE_LIMIT`.
    """
    query = _filtered(session, _listed(owner_id), owner_id, filters)
    rows = session.scalars(query.order_by(Image.id.desc()).limit(ARCHIVE_LIMIT + 1)).all()
    if len(rows) > ARCHIVE_LIMIT:
        raise InvalidInputError(
            "id", f"More than {ARCHIVE_LIMIT} images match. Narrow the search, or name up to {ARCHIVE_LIMIT} ids."
        )
    return rows


def get(session: Session, owner_id: str, image_id: str) -> Image:
    """A generated image of any role.

    Raises:
        NotFoundError: it does not exist, or belongs to another owner.
    """
    query = _with_job(select(Image).where(Image.owner_id == owner_id, Image.id == image_id))
    image = session.scalars(query).one_or_none()
    if image is None:
        raise NotFoundError("image", image_id)
    return image


def set_favourite(session: Session, owner_id: str, image_id: str, *, favourite: bool) -> Image:
    """Mark an image as a favourite, or not any more.

    Raises:
        NotFoundError: it does not exist, or belongs to another owner.
    """
    image = get(session, owner_id, image_id)
    image.favourite = favourite
    return image


def delete(session: Session, owner_id: str, image_id: str) -> list[str]:
    """Delete an image of a job that has ended.

    Returns:
        The keys of objects without a reference, to be deleted after the commit.

    Raises:
        NotFoundError: it does not exist, or belongs to another owner.
        JobUnfinishedError: its job is still adding images.
    """
    image = get(session, owner_id, image_id)
    if image.job.status in UNFINISHED:
        raise JobUnfinishedError(image.job_id)
    session.delete(image)
    session.flush()
    return unreferenced(session, [image.key])


def covers(session: Session, owner_id: str, ids: Collection[str]) -> dict[str, Image]:
    """Those of an owner's images that concepts name as their covers, by id."""
    rows = session.scalars(select(Image).where(Image.owner_id == owner_id, Image.id.in_(ids))) if ids else ()
    return {row.id: row for row in rows}


def _listed(owner_id: str) -> Select[Image]:
    return _with_job(select(Image).where(Image.owner_id == owner_id, Image.role == "image"))


def _with_job(query: Select[Image]) -> Select[Image]:
    return query.join(Image.job).options(contains_eager(Image.job), selectinload(Image.job, Job.concepts))


def _filtered(session: Session, query: Select[Image], owner_id: str, filters: Filters) -> Select[Image]:
    if filters.favourite is not None:
        query = query.where(Image.favourite == filters.favourite)
    if filters.job is not None:
        query = query.where(Image.job_id == filters.job)
    if filters.kind is not None:
        query = query.where(Job.kind == filters.kind)
    if filters.before is not None:
        query = query.where(Image.id < _first_id(filters.before))
    if filters.ids is not None:
        query = query.where(Image.id.in_(filters.ids))
    if filters.concept is not None:
        concept_id = _concept_id(session, owner_id, filters.concept)
        query = query.where(Image.job_id.in_(select(JobConcept.job_id).where(JobConcept.concept_id == concept_id)))
    return query if filters.q is None else containing(query, Image.search_text, filters.q)


def _first_id(moment: datetime) -> str:
    try:
        return first_id("img", moment)
    except OverflowError:
        raise InvalidInputError("before", f"{moment.isoformat()} is out of range: 1970 to 10889.") from None


def _concept_id(session: Session, owner_id: str, reference: str) -> str:
    """The id of a concept; the reference itself where there is none, which no image has."""
    if is_id("con", reference):
        return reference
    query = select(Concept.id).where(Concept.owner_id == owner_id, Concept.name == reference)
    return session.scalars(query).one_or_none() or reference
