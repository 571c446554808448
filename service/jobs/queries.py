"""Queries of jobs, for sessions of either kind."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import CompoundSelect, Select, select, union_all
from sqlalchemy.orm import Session, selectinload

from service.database.paging import Page, keyset
from service.database.tables import Concept, Event, Job, JobConcept, MetricChunk, Status
from service.errors import NotFoundError
from service.kinds.jobs import LISTED


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Conditions on a list of jobs; None for no condition. A concept is an id or a name."""

    kind: str | None = None
    status: Status | None = None
    concept: str | None = None


@dataclass(frozen=True)
class TrainingMetrics:
    """The metrics of a training, one value of each per step."""

    step: list[int]
    loss: list[float | None]
    angle_rad: list[float | None]


def get(session: Session, owner_id: str, job_id: str) -> Job:
    """A job with its concepts and images.

    Raises:
        NotFoundError: it does not exist, belongs to another owner, or is an RPC.
    """
    job = session.scalars(_with_children(_listed(owner_id).where(Job.id == job_id))).one_or_none()
    if job is None:
        raise NotFoundError("job", job_id)
    return job


def page(session: Session, owner_id: str, filters: Filters, cursor: str | None, limit: int) -> Page[Job]:
    """An owner's jobs, newest first.

    Raises:
        InvalidInputError: the cursor is invalid.
    """
    query = _with_children(_filtered(owner_id, filters))
    return keyset(session, query, Job.id, "job", cursor=cursor, limit=limit)


def events_after(session: Session, job_id: str, number: int) -> Sequence[Event]:
    """A job's events after a number, in order; all of them after 0."""
    return session.scalars(
        select(Event).where(Event.job_id == job_id, Event.number > number).order_by(Event.number)
    ).all()


def last_events(session: Session, job_ids: Collection[str]) -> dict[str, int]:
    """The number of each job's newest event: one query for all subscriptions."""
    rows = session.execute(select(Job.id, Job.last_event_number).where(Job.id.in_(job_ids)))
    return {row.id: row.last_event_number for row in rows}


def training_metrics(session: Session, job_id: str) -> TrainingMetrics:
    """The metrics of a training; where attempts overlap, the later one counts."""
    chunks = session.scalars(
        select(MetricChunk).where(MetricChunk.job_id == job_id).order_by(MetricChunk.attempt, MetricChunk.first_step)
    )
    points = {
        step: (loss, angle_rad)
        for chunk in chunks
        for step, loss, angle_rad in zip(chunk.steps, chunk.losses, chunk.angles_rad, strict=True)
    }
    steps = sorted(points)
    return TrainingMetrics(steps, [points[step][0] for step in steps], [points[step][1] for step in steps])


def _listed(owner_id: str) -> Select[Job]:
    return select(Job).where(Job.owner_id == owner_id, Job.kind.in_(LISTED))


def _with_children(query: Select[Job]) -> Select[Job]:
    return query.options(selectinload(Job.concepts), selectinload(Job.images))


def _filtered(owner_id: str, filters: Filters) -> Select[Job]:
    """Each condition is an equality where it can be: an index of the owner's jobs then has the rows in order."""
    kinds = LISTED if filters.kind is None else {filters.kind} & set(LISTED)
    kind = Job.kind == filters.kind if filters.kind in kinds else Job.kind.in_(kinds)
    query = select(Job).where(Job.owner_id == owner_id, kind)
    if filters.status is not None:
        query = query.where(Job.status == filters.status)
    return query if filters.concept is None else query.where(Job.id.in_(_jobs_of(owner_id, filters.concept)))


def _jobs_of(owner_id: str, concept: str) -> CompoundSelect[str]:
    """The jobs of a concept, given by its id or by a name that it has now or had at the submission."""
    now_named = select(Concept.id).where(Concept.owner_id == owner_id, Concept.name == concept)
    return union_all(
        select(JobConcept.job_id).where(JobConcept.concept_id == concept),
        select(JobConcept.job_id).where(JobConcept.name == concept),
        select(JobConcept.job_id).where(JobConcept.concept_id.in_(now_named)),
    )
