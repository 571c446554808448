"""Claims: how a worker takes jobs from the queue and renews its leases.

A claim is one UPDATE over a locking sub-select with SKIP LOCKED: of several workers that claim at once, each gets other
rows, and none waits. It raises `attempt`, the fencing token, and starts a lease that `extend_leases` renews.

A job that lost an attempt without a new checkpoint may have crashed its worker. It is isolated from then on: an idle
worker takes such a job first and nothing beside it; a busy worker takes nothing more once such a job has waited too
long, so that it becomes idle.
"""

import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Generic

from sqlalchemy import ColumnElement, exists, func, literal, literal_column, select, union_all, update
from sqlalchemy.orm import Session, selectinload

from service import counters
from service.database.clock import now
from service.database.tables import ENDED, Image, Job, Picture, Utc
from service.jobs.states import move, record_status
from service.jobs.submitting import InputT_co, PinnedConcept
from service.kinds.jobs import PRIORITY_CLASSES, TrainInput, read_input
from service.kinds.versioned import Input
from service.safety import Policy

LATENCY_BOUNDS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0)
"""Upper bounds of the buckets in which the times from the queue to the claim are counted."""

ISOLATION_WAIT_S = 60.0
"""Seconds after which busy workers stop claiming, so that one becomes idle for a waiting isolated job."""

_ISOLATED = Job.lost_attempts > literal_column("0")
"""Jobs that run alone. A literal and no parameter: SQLite then knows that the index of these few rows serves."""

Slots = Mapping[str, int]
"""Free slots of a worker per priority class; a missing class has none."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingPicture:
    """A picture of a training; `original_size` is its width and height before it was scaled down."""

    id: str
    filename: str
    key: str
    caption: str | None
    original_size: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class FinishedPicture:
    """A picture that an earlier attempt has finished."""

    position: int
    key: str


@dataclass(frozen=True, kw_only=True)
class Claim(Generic[InputT_co]):
    """A claimed job, with all that the worker needs, independent of a session.

    Args:
        attempt: the fencing token, checked by every write.
        isolated: whether the job must run alone in its worker.
        checkpoint_key: the checkpoint to continue from; None to start at step 0.
        file_key: the input file of an RPC.
        request_id: the request that submitted it.
        traceparent: the span that submitted it.
        device_s: seconds of the device used so far; the worker adds its own.
        safety: the policy for flagged pictures.
        pictures: the training pictures; empty for other kinds.
        finished: pictures of earlier attempts, which are not made again.
    """

    job_id: str
    attempt: int
    isolated: bool
    kind: str
    model: str
    owner_id: str
    input: InputT_co
    total: int
    concepts: tuple[PinnedConcept, ...]
    checkpoint_key: str | None
    checkpoint_step: int
    file_key: str | None
    safety: Policy
    request_id: str | None
    traceparent: str | None
    device_s: float
    pictures: tuple[TrainingPicture, ...] = ()
    finished: tuple[FinishedPicture, ...] = ()

    def prefix(self, name: str) -> str:
        """The prefix of the object keys that belong to this attempt alone."""
        return f"{name}/{self.job_id}-{self.attempt}"


def has_claimable(session: Session, *, models: Collection[str], slots: Slots) -> bool:
    """Whether a claim could find a job; a read, cheap enough to be polled."""
    classes = [PRIORITY_CLASSES[name].number for name, count in slots.items() if count > 0]
    fitting = Job.model.in_(models) & Job.priority_class.in_(classes)
    at_once = exists().where(Job.status == "queued", fitting, Job.not_before.is_(None))
    # Jobs that back off are few; the time is asked for only if there are any. NOT IN keeps SQLite from the index of the
    # whole queue.
    queued = Job.status.not_in(("running", *ENDED))
    first = select(func.min(Job.not_before)).where(queued, fitting, Job.not_before.is_not(None)).scalar_subquery()
    found, not_before = session.execute(select(at_once, first)).one()
    return bool(found) or (not_before is not None and not_before <= now(session))


def claim(
    session: Session,
    *,
    worker_id: str,
    models: Collection[str],
    slots: Slots,
    lease_s: float,
) -> list[Claim]:
    """Claim queued jobs within a worker's free slots, class by class and in the order of their rank.

    The last job may have more pictures than slots are left; its other pictures wait within the worker. A job with an
    unreadable input fails.
    """
    query = _ClaimQuery(session, worker_id, frozenset(models), lease_s)
    if query.idle():
        if isolated := query.take(_ISOLATED, limit=1):
            return _claims(session, isolated)
    elif query.must_yield():
        return []
    fresh = [
        job
        for name, priority_class in PRIORITY_CLASSES.items()
        for job in query.take(
            Job.lost_attempts == 0, Job.priority_class == priority_class.number, limit=slots.get(name, 0)
        )
    ]
    return _claims(session, fresh)


def extend_leases(session: Session, *, worker_id: str, claims: Iterable[Claim], lease_s: float) -> set[str]:
    """Extend the leases of a worker's jobs.

    Returns:
        The ids of jobs that are no longer its own, which it drops.
    """
    attempts = {claim.job_id: claim.attempt for claim in claims}
    # Rows are locked in the order of their ids, as everywhere: transactions that lock several jobs cannot deadlock.
    rows = session.scalars(select(Job).where(Job.id.in_(attempts)).order_by(Job.id).with_for_update()).all()
    owned = [
        job
        for job in rows
        if job.status == "running" and job.worker_id == worker_id and job.attempt == attempts[job.id]
    ]
    for job in owned:
        job.lease_expires_at = now(session) + timedelta(seconds=lease_s)
    return set(attempts) - {job.id for job in owned}


@dataclass(frozen=True)
class _ClaimQuery:
    """The queries of one claim."""

    session: Session
    worker_id: str
    models: frozenset[str]
    lease_s: float

    def idle(self) -> bool:
        own = select(Job.id).where(Job.status == "running", Job.worker_id == self.worker_id).limit(1)
        return self.session.scalars(own).first() is None

    def must_yield(self) -> bool:
        """Whether the worker runs an isolated job, or must become idle for one that has waited too long."""
        own = (Job.status == "running") & (Job.worker_id == self.worker_id)
        overdue = self._queued() & (Job.queued_at < now(self.session) - timedelta(seconds=ISOLATION_WAIT_S))
        waiting = select(Job.id).where(_ISOLATED, own | overdue).limit(1)
        return self.session.scalars(waiting).first() is not None

    def take(self, *conditions: ColumnElement[bool], limit: int) -> Sequence[Job]:
        if limit <= 0 or not self.models:
            return []
        # Per model, since an index has the rows of each in order; all of them together would be sorted. They are locked
        # in CTEs of their own, since PostgreSQL allows no FOR UPDATE beside a window function. MATERIALIZED: evaluated
        # once. A sub-select that is evaluated again would lock rows beyond the LIMIT.
        queues = [
            select(Job.id, Job.rank, Job.slots)
            .where(self._queued(), Job.model == model, *conditions)
            .order_by(Job.rank, Job.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte(f"queue_{number}")
            .prefix_with("MATERIALIZED", dialect="postgresql")
            for number, model in enumerate(sorted(self.models))
        ]
        waiting = union_all(*map(select, queues)).subquery()
        candidates = select(waiting).order_by(waiting.c.rank, waiting.c.id).limit(limit).subquery("candidates")
        # Each candidate has at least one slot, so `limit` of them are enough. `before` is the sum of the slots ahead:
        # a job is taken while that is below the limit, so the last one may exceed it, and a wide job never starves.
        in_order = (candidates.c.rank, candidates.c.id)
        before = func.sum(candidates.c.slots).over(order_by=in_order) - candidates.c.slots
        ranked = select(candidates.c.id, before.label("before")).subquery("ranked")
        taken = update(Job).where(Job.id.in_(select(ranked.c.id).where(ranked.c.before < limit)))
        ids = self.session.scalars(
            taken.values(
                status="running",
                attempt=Job.attempt + 1,
                worker_id=self.worker_id,
                not_before=None,
                lease_expires_at=now(self.session) + timedelta(seconds=self.lease_s),
                started_at=func.coalesce(Job.started_at, literal(now(self.session), Utc())),
            )
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        ).all()
        return self._record(ids)

    def _queued(self) -> ColumnElement[bool]:
        due = Job.not_before.is_(None) | (Job.not_before <= now(self.session))
        return (Job.status == "queued") & Job.model.in_(self.models) & due

    def _record(self, ids: Sequence[str]) -> Sequence[Job]:
        if not ids:
            return []
        query = select(Job).where(Job.id.in_(ids)).order_by(Job.rank, Job.id).options(selectinload(Job.concepts))
        jobs = self.session.scalars(query.execution_options(populate_existing=True)).all()
        for job in jobs:
            record_status(self.session, job, since=job.queued_at)
            self._count(job)
        return jobs

    def _count(self, job: Job) -> None:
        """Count the claim in the bucket of its latency."""
        waited_s = (now(self.session) - job.queued_at).total_seconds()
        bound = next((bound for bound in LATENCY_BOUNDS_S if waited_s <= bound), math.inf)
        counters.increment(self.session, "claims", model=job.model, kind=job.kind, code=f"{bound:g}", value=waited_s)


def _claims(session: Session, jobs: Sequence[Job]) -> list[Claim]:
    inputs = {job.id: _input(session, job) for job in jobs}
    trained = [job.concepts[0].concept_id for job in jobs if isinstance(inputs[job.id], TrainInput)]
    pictures = _pictures(session, trained) if trained else {}
    finished = _finished(session, [job.id for job in jobs if job.attempt > 1])
    return [
        replace(
            _claim(job, job_input, pictures.get(job.concepts[0].concept_id, ()) if job.concepts else ()),
            finished=finished.get(job.id, ()),
        )
        for job in jobs
        if (job_input := inputs[job.id]) is not None
    ]


def _input(session: Session, job: Job) -> Input | None:
    """The input of a claimed job; one that cannot be read fails alone, and is None here."""
    try:
        return read_input(job.kind, job.input)
    except ValueError as error:
        log.exception("%s cannot be read", job.id)
        job.error_code = "internal_error"
        job.error_message = f"The job was written by another version of the service: {error} Submit it again."
        move(session, job, "failed")
        return None


def _pictures(session: Session, concept_ids: Sequence[str]) -> dict[str, tuple[TrainingPicture, ...]]:
    rows = session.scalars(select(Picture).where(Picture.concept_id.in_(concept_ids)).order_by(Picture.position)).all()
    return {
        concept_id: tuple(
            TrainingPicture(
                id=row.id,
                filename=row.filename,
                key=row.key,
                caption=row.caption,
                original_size=(row.original_width or row.width, row.original_height or row.height),
            )
            for row in rows
            if row.concept_id == concept_id
        )
        for concept_id in concept_ids
    }


def _finished(session: Session, job_ids: Sequence[str]) -> dict[str, tuple[FinishedPicture, ...]]:
    if not job_ids:
        return {}
    query = select(Image).where(Image.job_id.in_(job_ids), Image.role == "image").order_by(Image.position)
    found: dict[str, tuple[FinishedPicture, ...]] = {}
    for row in session.scalars(query):
        found[row.job_id] = (*found.get(row.job_id, ()), FinishedPicture(position=row.position, key=row.key))
    return found


def _claim(job: Job, job_input: Input, pictures: tuple[TrainingPicture, ...]) -> Claim:
    return Claim(
        job_id=job.id,
        attempt=job.attempt,
        isolated=job.lost_attempts > 0,
        kind=job.kind,
        model=job.model,
        owner_id=job.owner_id,
        input=job_input,
        total=job.total,
        concepts=tuple(PinnedConcept.of(concept) for concept in job.concepts),
        checkpoint_key=job.checkpoint_key,
        checkpoint_step=job.checkpoint_step,
        file_key=job.file_key,
        safety=job.safety,
        request_id=job.request_id,
        traceparent=job.traceparent,
        device_s=job.device_s,
        pictures=pictures if isinstance(job_input, TrainInput) else (),
    )
