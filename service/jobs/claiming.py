"""How a worker gets jobs and keeps them.

A claim is one UPDATE over a sub-select that locks: where several workers claim at once each row goes to one of them,
and none waits for another. It raises `attempt`, the fencing token, and starts a lease that `beat` extends.

A job that was lost without a new checkpoint may be what killed its worker. It runs alone from then on, so that it takes
nobody along: an idle worker takes such a job first and nothing beside it, and a busy one takes nothing more once such a
job has waited too long, so that it will be idle.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic

from sqlalchemy import ColumnElement, func, literal, select, update
from sqlalchemy.orm import Session, selectinload

from service.database.clock import now
from service.database.tables import Job, Picture, Utc
from service.jobs.states import move, record_status
from service.jobs.submitting import InputT_co, PinnedConcept
from service.kinds.jobs import PRIORITY_CLASSES, TrainInput, read_input
from service.kinds.versioned import Input
from service.safety import Policy

ISOLATION_WAIT_S = 60.0
"""How long a job that must run alone waits for a worker to fall idle before busy ones make room for it."""

Slots = Mapping[str, int]
"""How many more slots of each priority class a worker has; of a class that is left out none."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TrainingPicture:
    """A picture to learn from."""

    id: str
    filename: str
    key: str
    caption: str | None


@dataclass(frozen=True, kw_only=True)
class Claim(Generic[InputT_co]):
    """A job in a worker's hands: all that it needs to know, without a session.

    Args:
        attempt: the fencing token, which every write is checked against.
        isolated: nothing else may run beside it in this worker.
        checkpoint_key: where to go on from; None at the beginning.
        file_key: what an RPC is given beside its input.
        safety: what is done about its pictures where they are flagged.
        pictures: what a training learns from; empty for other kinds.
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
    pictures: tuple[TrainingPicture, ...] = ()

    def prefix(self, name: str) -> str:
        """The prefix of the object keys that belong to this attempt alone."""
        return f"{name}/{self.job_id}-{self.attempt}"


def has_claimable(session: Session, *, models: Collection[str], slots: Slots) -> bool:
    """Whether a claim could find anything; a read, so that looking often disturbs nobody."""
    classes = [PRIORITY_CLASSES[name].number for name, count in slots.items() if count > 0]
    queued = select(Job.id).where(Job.status == "queued", Job.model.in_(models), Job.priority_class.in_(classes))
    return session.scalars(queued.limit(1)).first() is not None


def claim(
    session: Session,
    *,
    worker_id: str,
    models: Collection[str],
    slots: Slots,
    lease_s: float,
) -> list[Claim]:
    """Take queued jobs for a worker that has room, class by class and in the order of their rank.

    Jobs are taken while slots are left, so that the last one may be larger than the room for it: its pictures wait
    within the worker. A job whose input cannot be read fails.
    """
    query = _ClaimQuery(session, worker_id, frozenset(models), lease_s)
    if query.idle():
        if isolated := query.take(Job.lost_attempts > 0, limit=1):
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
        Jobs that are no longer its own; they are to be dropped without a word.
    """
    attempts = {claim.job_id: claim.attempt for claim in claims}
    rows = session.scalars(select(Job).where(Job.id.in_(attempts)).order_by(Job.id).with_for_update()).all()
    held = [
        job
        for job in rows
        if job.status == "running" and job.worker_id == worker_id and job.attempt == attempts[job.id]
    ]
    for job in held:
        job.lease_expires_at = now(session) + timedelta(seconds=lease_s)
    return set(attempts) - {job.id for job in held}


@dataclass(frozen=True)
class _ClaimQuery:
    """One claim's question to the database."""

    session: Session
    worker_id: str
    models: frozenset[str]
    lease_s: float

    def idle(self) -> bool:
        own = select(Job.id).where(Job.status == "running", Job.worker_id == self.worker_id).limit(1)
        return self.session.scalars(own).first() is None

    def must_yield(self) -> bool:
        """Whether the worker runs a job that must be alone, or one has waited too long for a worker to be idle."""
        own = (Job.status == "running") & (Job.worker_id == self.worker_id)
        overdue = self._queued() & (Job.queued_at < now(self.session) - timedelta(seconds=ISOLATION_WAIT_S))
        waiting = select(Job.id).where(Job.lost_attempts > 0, own | overdue).limit(1)
        return self.session.scalars(waiting).first() is not None

    def take(self, *conditions: ColumnElement[bool], limit: int) -> Sequence[Job]:
        if limit <= 0:
            return []
        candidates = (
            select(Job.id, Job.rank, Job.slots)
            .where(self._queued(), *conditions)
            .order_by(Job.rank, Job.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("candidates")
            .prefix_with("MATERIALIZED", dialect="postgresql")
        )
        in_order = (candidates.c.rank, candidates.c.id)
        before = func.sum(candidates.c.slots).over(order_by=in_order) - candidates.c.slots
        placed = select(candidates.c.id, before.label("before")).subquery("placed")
        taken = update(Job).where(Job.id.in_(select(placed.c.id).where(placed.c.before < limit)))
        ids = self.session.scalars(
            taken.values(
                status="running",
                attempt=Job.attempt + 1,
                worker_id=self.worker_id,
                lease_expires_at=now(self.session) + timedelta(seconds=self.lease_s),
                started_at=func.coalesce(Job.started_at, literal(now(self.session), Utc())),
            )
            .returning(Job.id)
            .execution_options(synchronize_session=False)
        ).all()
        return self._record(ids)

    def _queued(self) -> ColumnElement[bool]:
        return (Job.status == "queued") & Job.model.in_(self.models)

    def _record(self, ids: Sequence[str]) -> Sequence[Job]:
        if not ids:
            return []
        query = select(Job).where(Job.id.in_(ids)).order_by(Job.rank, Job.id).options(selectinload(Job.concepts))
        jobs = self.session.scalars(query.execution_options(populate_existing=True)).all()
        for job in jobs:
            record_status(self.session, job)
        return jobs


def _claims(session: Session, jobs: Sequence[Job]) -> list[Claim]:
    inputs = {job.id: _input(session, job) for job in jobs}
    learned = [job.concepts[0].concept_id for job in jobs if isinstance(inputs[job.id], TrainInput)]
    pictures = _pictures(session, learned) if learned else {}
    return [
        _claim(job, job_input, pictures.get(job.concepts[0].concept_id, ()) if job.concepts else ())
        for job in jobs
        if (job_input := inputs[job.id]) is not None
    ]


def _input(session: Session, job: Job) -> Input | None:
    """The input of a job that was just claimed; None where it cannot be read, which fails the job and no other."""
    try:
        return read_input(job.kind, job.input)
    except ValueError as error:
        log.exception("%s cannot be read", job.id)
        job.error_code = "internal_error"
        job.error_message = f"Another version of the service wrote this job: {error} Submit it again."
        move(session, job, "failed")
        return None


def _pictures(session: Session, concept_ids: Sequence[str]) -> dict[str, tuple[TrainingPicture, ...]]:
    rows = session.scalars(select(Picture).where(Picture.concept_id.in_(concept_ids)).order_by(Picture.position)).all()
    return {
        concept_id: tuple(
            TrainingPicture(id=row.id, filename=row.filename, key=row.key, caption=row.caption)
            for row in rows
            if row.concept_id == concept_id
        )
        for concept_id in concept_ids
    }


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
        pictures=pictures if isinstance(job_input, TrainInput) else (),
    )
