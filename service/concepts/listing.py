"""Lists of concepts: searched, filtered and sorted, page by page at the same cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from service.concepts.concepts import with_children
from service.database.paging import Page, keyset, keyset_ascending
from service.database.search import containing, tag_words
from service.database.tables import Concept, Image, Job
from service.kinds.jobs import TrainInput

Sort = Literal["newest", "oldest", "name"]


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions on a list of concepts; None for no condition.

    Args:
        q: words that all occur in the name, the class word, the model or the tags.
        tag: a whole tag.
        model: of the catalogue.
        ready: whether it has an embedding.
    """

    q: str | None = None
    tag: str | None = None
    model: str | None = None
    ready: bool | None = None


def page(
    session: Session, owner_id: str, filters: Filters, cursor: str | None, limit: int, *, sort: Sort = "newest"
) -> Page[Concept]:
    """An owner's concepts.

    Raises:
        InvalidInputError: the cursor is invalid.
    """
    query = _filtered(with_children(select(Concept).where(Concept.owner_id == owner_id)), filters)
    if sort == "name":
        return keyset_ascending(session, query, Concept.name, cursor=cursor, limit=limit)
    if sort == "oldest":
        return keyset_ascending(session, query, Concept.id, cursor=cursor, limit=limit)
    return keyset(session, query, Concept.id, "con", cursor=cursor, limit=limit)


def covers(session: Session, concepts: Sequence[Concept]) -> dict[str, Image]:
    """The generated images among the covers of some concepts, by their ids: one query for all."""
    own = {picture.id for concept in concepts for picture in concept.pictures}
    ids = {concept.cover for concept in concepts if concept.cover} - own
    rows = session.scalars(select(Image).where(Image.id.in_(ids))) if ids else ()
    return {row.id: row for row in rows}


def trainings(session: Session, concept: Concept) -> dict[str, TrainInput]:
    """The inputs of the trainings that made a concept's versions, by job; those of deleted jobs are gone."""
    ids = [version.job_id for version in concept.embeddings if version.job_id]
    rows = session.execute(select(Job.id, Job.input).where(Job.id.in_(ids))) if ids else ()
    return {row.id: TrainInput.from_json(row.input) for row in rows}


def _filtered(query: Select[Concept], filters: Filters) -> Select[Concept]:
    if filters.model is not None:
        query = query.where(Concept.model == filters.model)
    if filters.ready is not None:
        query = query.where(Concept.version.is_not(None) if filters.ready else Concept.version.is_(None))
    if filters.tag is not None:
        query = query.where(Concept.search_text.contains(f" {tag_words([filters.tag])} ", autoescape=True))
    return query if filters.q is None else containing(query, Concept.search_text, filters.q)
