"""Submission: how a job enters the queue, and its rank there.

A rank is a priority class and a turn: RPCs before pictures before trainings. Within a priority class and a model, an
owner's next job takes the turn after all unfinished jobs of that owner, counted from the turn being served. An owner
with a thousand jobs therefore gets one turn per round, like every other owner (fair queueing).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Generic

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from typing_extensions import TypeVar

from service import correlation
from service.accounts import owners, usage
from service.context import Service
from service.database.clock import now
from service.database.engine import after_commit
from service.database.ids import new_id
from service.database.tables import UNFINISHED, Concept, Job, JobConcept
from service.errors import ConceptDeletedError, JobNotFailedError, NotFoundError, TooManyJobsError
from service.jobs.states import record_status, reopen
from service.kinds.jobs import KINDS, LISTED, TrainInput, kind_of
from service.kinds.versioned import Input
from service.kinds.warnings import JobWarning
from service.settings import Settings
from service.webhooks import endpoints
from service.webhooks.endpoints import WebhookParams

InputT_co = TypeVar("InputT_co", bound=Input, covariant=True, default=Input)

_CLASS_WIDTH = 2**40
"""More turns than a priority class will ever serve."""


@dataclass(frozen=True, kw_only=True)
class PinnedConcept:
    """A concept with the embedding that it had at the submission; without one before its first training."""

    id: str
    name: str
    embedding_key: str | None
    embedding_sha256: str | None

    @classmethod
    def of(cls, row: JobConcept) -> "PinnedConcept":
        """The pin in a job's row."""
        return cls(
            id=row.concept_id,
            name=row.name,
            embedding_key=row.embedding_key,
            embedding_sha256=row.embedding_sha256,
        )


@dataclass(frozen=True, kw_only=True)
class NewJob(Generic[InputT_co]):
    """A job to submit; its kind is that of its input.

    Args:
        file_key: the input file of an RPC.
        webhook: a checked webhook for this job alone.
        warnings: parts of the request that have no effect.
        adding_bytes: stored together with the job, such as a new concept's pictures.
    """

    owner_id: str
    model: str
    input: InputT_co
    concepts: Sequence[PinnedConcept] = field(default=())
    file_key: str | None = None
    webhook: WebhookParams | None = None
    warnings: Sequence[JobWarning] = ()
    adding_bytes: int = 0


def submit(service: Service, session: Session, new: NewJob) -> Job:
    """Queue a job, within the quotas and limits of its owner; workers are notified after the commit.

    Args:
        service: with the settings of the caller.
        session: writes.
        new: with every default filled in.

    Raises:
        DeviceQuotaExceededError: the owner's device time of today is used up.
        StorageQuotaExceededError: the owner's storage is full, or would be with the bytes that the job adds.
        TooManyJobsError: the owner has too many unfinished jobs; RPCs are counted apart.
    """
    kind = kind_of(new.input)
    owners.lock(session, new.owner_id)
    listed = KINDS[kind].listed
    _check_limits(service.settings, session, new.owner_id, listed=listed, adding_bytes=new.adding_bytes)
    if new.webhook:
        endpoints.ensure_default(session, new.owner_id)
    job = _queued(service, session, new, kind)
    session.add(job)
    session.flush()  # the row must exist before rows that refer to it
    record_status(session, job)
    # Not before the commit: a worker that wakes up earlier does not see the job.
    after_commit(session, partial(service.broker.notify, new.model))
    return job


def _queued(service: Service, session: Session, new: NewJob, kind: str) -> Job:
    """The row of a new job, at the end of its owner's queue."""
    return Job(
        id=new_id("job"),
        owner_id=new.owner_id,
        kind=kind,
        status="queued",
        model=new.model,
        input=new.input.to_json(),
        file_key=new.file_key,
        webhook=new.webhook.to_json() if new.webhook else None,
        warnings=[warning.to_json() for warning in new.warnings],
        safety=service.settings.safety.policy if KINDS[kind].listed else "allow",
        slots=new.input.slots,
        priority_class=KINDS[kind].number,
        rank=_rank(session, new.owner_id, new.model, KINDS[kind].number),
        total=new.input.total,
        last_event_number=0,
        request_id=correlation.request_id(),
        traceparent=correlation.traceparent(),
        created_at=now(session),
        queued_at=now(session),
        concepts=[_pin(position, concept) for position, concept in enumerate(new.concepts)],
        images=[],
    )


def retry(service: Service, session: Session, owner_id: str, job_id: str) -> Job:
    """Queue a failed job again, behind the owner's other jobs; workers are notified after the commit.

    A training goes on from its last checkpoint, a generation after its finished pictures. A job that was queued again
    already is returned as it is.

    Raises:
        NotFoundError: it does not exist, belongs to another owner, or is an RPC.
        JobNotFailedError: it has succeeded or was cancelled.
        ConceptDeletedError: a concept in it was deleted.
        DeviceQuotaExceededError, StorageQuotaExceededError, TooManyJobsError: as for `submit`.
    """
    owners.lock(session, owner_id)
    query = select(Job).where(Job.id == job_id, Job.owner_id == owner_id, Job.kind.in_(LISTED))
    job = session.scalars(query.with_for_update()).one_or_none()
    if job is None:
        raise NotFoundError("job", job_id)
    if job.status in UNFINISHED:
        return job
    if job.status != "failed":
        raise JobNotFailedError(job.id, job.status)
    _check_concepts(session, job)
    _check_limits(service.settings, session, owner_id, listed=True)
    job.rank = _rank(session, owner_id, job.model, job.priority_class)
    job.lost_attempts, job.not_before, job.started_at, job.finished_at = 0, None, None, None
    job.error_code = job.error_message = job.interruption = None
    reopen(session, job)
    after_commit(session, partial(service.broker.notify, job.model))
    return job


def _check_concepts(session: Session, job: Job) -> None:
    """Check that the concepts of a job still exist; a deleted one has taken its pictures and embeddings with it."""
    ids = {concept.concept_id for concept in job.concepts}
    present = session.scalars(select(Concept).where(Concept.id.in_(ids)).order_by(Concept.id)).all()
    if len(present) < len(ids):
        raise ConceptDeletedError
    if job.kind == kind_of(TrainInput):
        present[0].job_id = job.id


def _check_limits(settings: Settings, session: Session, owner_id: str, *, listed: bool, adding_bytes: int = 0) -> None:
    """Check quotas and limits. RPCs have no quotas: those that create a concept check them before they store a file."""
    if listed:
        usage.check_quotas(session, settings.quotas, owner_id, adding_bytes=adding_bytes)
    limit = settings.limits.unfinished_jobs
    if _unfinished(session, Job.owner_id == owner_id, Job.kind.in_(LISTED) == listed) >= limit:
        raise TooManyJobsError(limit)


def _unfinished(session: Session, *conditions: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(Job).where(Job.status.in_(UNFINISHED), *conditions)
    return session.scalars(counted).one()


def _rank(session: Session, owner_id: str, model: str, priority_class: int) -> int:
    # The turn being served is that of the newest running job, or else of the first queued one. An owner's next job goes
    # behind as many turns as the owner has unfinished jobs: ranks of different owners interleave (fair queueing).
    queue = (Job.priority_class == priority_class, Job.model == model)
    running = session.scalars(select(func.max(Job.rank)).where(Job.status == "running", *queue)).one()
    next_rank = session.scalars(select(func.min(Job.rank)).where(Job.status == "queued", *queue)).one()
    current = next((rank for rank in (running, next_rank) if rank is not None), priority_class * _CLASS_WIDTH)
    return current + _unfinished(session, Job.owner_id == owner_id, *queue)


def _pin(position: int, concept: PinnedConcept) -> JobConcept:
    return JobConcept(
        position=position,
        concept_id=concept.id,
        name=concept.name,
        embedding_key=concept.embedding_key,
        embedding_sha256=concept.embedding_sha256,
    )
