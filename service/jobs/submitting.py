"""How a job enters the queue, and its position there.

A job's rank is its priority class and its turn: RPCs before pictures before trainings. Within a priority class and a
model, an owner's next job takes the turn after all unfinished jobs of that owner, counted from the turn being served.
An owner with a thousand jobs therefore gets one turn per round, like every other owner (fair queueing).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from service.accounts import owners
from service.broker import Broker
from service.database.engine import after_commit
from service.database.ids import new_id
from service.database.tables import Job, JobConcept, Kind
from service.errors import TooManyJobsError
from service.jobs.states import UNFINISHED, record_status
from service.safety import Policy
from service.webhooks import endpoints

PRIORITY_CLASSES: Mapping[Kind, int] = {"rpc": -1, "generate": 0, "interpolate": 0, "train": 1}

_LANE_WIDTH = 2**40
"""More turns than a priority class will ever serve."""


@dataclass(frozen=True, kw_only=True)
class PinnedConcept:
    """A concept with the embedding that it had when a job was made; without one before its first training."""

    id: str
    name: str
    embedding_key: str | None
    embedding_sha256: str | None

    @classmethod
    def of(cls, row: JobConcept) -> "PinnedConcept":
        """What a job's row says."""
        return cls(
            id=row.concept_id,
            name=row.name,
            embedding_key=row.embedding_key,
            embedding_sha256=row.embedding_sha256,
        )


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """What is to be done, with every default filled in.

    Args:
        total: how many steps the progress counts.
        slots: how many pictures it can use at once; 1 for a training.
        file_key: what an RPC is given beside its input.
        webhook: whom to tell of it, {"url", "events"}; checked.
        safety: what is done about its pictures where they are flagged.
    """

    owner_id: str
    kind: Kind
    model: str
    input: Mapping[str, Any]
    total: int
    slots: int = 1
    concepts: Sequence[PinnedConcept] = field(default=())
    file_key: str | None = None
    webhook: Mapping[str, Any] | None = None
    safety: Policy = "allow"


def submit(session: Session, new: NewJob, *, broker: Broker, unfinished_limit: int, now: datetime) -> Job:
    """Queue a job; workers are rung for once it is committed.

    Raises:
        TooManyJobsError: the owner has `unfinished_limit` unfinished jobs; RPCs are counted by themselves.
    """
    owners.hold(session, new.owner_id)
    alike = (Job.kind == "rpc") == (new.kind == "rpc")
    if _unfinished(session, Job.owner_id == new.owner_id, alike) >= unfinished_limit:
        raise TooManyJobsError(unfinished_limit)
    if new.webhook:
        endpoints.ensure_default(session, new.owner_id, now)
    job = Job(
        id=new_id("job"),
        owner_id=new.owner_id,
        kind=new.kind,
        status="queued",
        model=new.model,
        input=dict(new.input),
        file_key=new.file_key,
        webhook=dict(new.webhook) if new.webhook else None,
        safety=new.safety,
        slots=new.slots,
        priority_class=PRIORITY_CLASSES[new.kind],
        rank=_rank(session, new),
        total=new.total,
        last_event_number=0,
        created_at=now,
        queued_at=now,
        concepts=[_pin(position, concept) for position, concept in enumerate(new.concepts)],
        images=[],
    )
    session.add(job)
    session.flush()  # the row has to be there before what refers to it
    record_status(session, job, now)
    after_commit(session, partial(broker.notify, new.model))
    return job


def _unfinished(session: Session, *conditions: ColumnElement[bool]) -> int:
    counted = select(func.count()).select_from(Job).where(Job.status.in_(UNFINISHED), *conditions)
    return session.scalars(counted).one()


def _rank(session: Session, new: NewJob) -> int:
    priority_class = PRIORITY_CLASSES[new.kind]
    same = (Job.priority_class == priority_class, Job.model == new.model)
    running = session.scalars(select(func.max(Job.rank)).where(Job.status == "running", *same)).one()
    next_one = session.scalars(select(func.min(Job.rank)).where(Job.status == "queued", *same)).one()
    served_now = next((rank for rank in (running, next_one) if rank is not None), priority_class * _LANE_WIDTH)
    return served_now + _unfinished(session, Job.owner_id == new.owner_id, *same)


def _pin(position: int, concept: PinnedConcept) -> JobConcept:
    return JobConcept(
        position=position,
        concept_id=concept.id,
        name=concept.name,
        embedding_key=concept.embedding_key,
        embedding_sha256=concept.embedding_sha256,
    )
