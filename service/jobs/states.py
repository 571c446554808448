"""The moves between a job's states, and the two records of each: the row's status and an event."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import update
from sqlalchemy.orm import Session

from service import counters
from service.database.clock import now
from service.database.engine import after_commit
from service.database.tables import ENDED, Event, EventName, Interruption, Job, Status
from service.kinds.jobs import LISTED
from service.webhooks import outbox

MOVES: Mapping[Status, tuple[Status, ...]] = {
    "queued": ("running", "cancelled"),
    "running": ("queued", *ENDED),
    "succeeded": (),
    "failed": ("queued",),
    "cancelled": (),
}

EVENTS_KEPT = timedelta(hours=1)
"""The time from the end of a job until its progress events are deleted: longer than a client is disconnected."""

_TIMES = ("started_at", "finished_at")

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class JobState:
    """The fields of a job that change during its life, as a `status` or `done` event records them."""

    status: Status
    attempt: int
    cancel_requested: bool
    step: int
    total: int
    loss: float | None
    eta_s: float | None
    error_code: str | None
    error_message: str | None
    interruption: Interruption | None
    started_at: datetime | None
    finished_at: datetime | None
    device_s: float
    request_id: str | None

    @classmethod
    def of(cls, job: Job) -> "JobState":
        """The state of a job's row."""
        return cls(**{field.name: getattr(job, field.name) for field in fields(cls)})

    @classmethod
    def at(cls, event: Event, job: Job) -> "JobState":
        """The state that an event recorded; a field that it lacks is taken from the job's row."""
        times = {name: datetime.fromisoformat(event.data[name]) for name in _TIMES if event.data.get(name)}
        return cls(**{**vars(cls.of(job)), **event.data, **times})

    def to_json(self) -> dict[str, object]:
        """The state as JSON values; times in ISO 8601."""
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(self).items()}


def move(session: Session, job: Job, status: Status) -> None:
    """Move a job, locked by the caller, into another state. It has no worker afterwards."""
    if status not in MOVES[job.status]:
        raise AssertionError(f"{job.id} cannot go from {job.status} to {status}.")
    worker_id, since = job.worker_id, job.started_at or job.queued_at
    job.status = status
    # Without a worker nothing measures the remaining time; the estimate of a queued job is computed when it is read.
    job.worker_id = job.lease_expires_at = job.eta_s = None
    if status == "queued":
        job.queued_at = now(session)
    else:
        job.finished_at = now(session)
        job.thin_events_at = now(session) + EVENTS_KEPT
        counters.increment(session, "jobs_ended", model=job.model, kind=job.kind, code=job.error_code or status)
    record_status(session, job, worker_id=worker_id, since=since)


def reopen(session: Session, job: Job) -> None:
    """Queue a failed job, locked by the caller, once more. Its `done` becomes a `status`, since more events follow."""
    last = (Event.job_id == job.id) & (Event.number == job.last_event_number)
    session.execute(update(Event).where(last, Event.name == "done").values(name="status"))
    move(session, job, "queued")


def record_status(session: Session, job: Job, *, worker_id: str | None = None, since: datetime | None = None) -> None:
    """Record a job's new state for logs, event streams and webhooks; `done` is the last event of one that has ended.

    Args:
        session: writes.
        job: locked by the caller.
        worker_id: the worker that has ended or released it; by default its present one.
        since: the time of the state before, for the duration in the log.
    """
    _log_after_commit(session, job, worker_id or job.worker_id, since)
    if job.kind in LISTED:
        outbox.enqueue(session, job)
    append_status(session, job)
    if job.status in ENDED:
        append(session, job, "done", JobState.of(job).to_json())


def _log_after_commit(session: Session, job: Job, worker_id: str | None, since: datetime | None) -> None:
    """Write the job's line when its new state is committed."""
    fields = {
        "job": job.id,
        "owner": job.owner_id,
        "model": job.model,
        "kind": job.kind,
        "attempt": job.attempt,
        "status": job.status,
        "worker": worker_id,
        "code": job.error_code,
        "request": job.request_id,
        "traceparent": job.traceparent,
        "ms": round((now(session) - since).total_seconds() * 1000) if since else None,
    }
    after_commit(session, partial(log.info, "job", extra=fields))


def append_status(session: Session, job: Job) -> None:
    """Append a `status` event, also where another field than the status has changed."""
    append(session, job, "status", JobState.of(job).to_json())


def append(session: Session, job: Job, name: EventName, data: Mapping[str, object]) -> None:
    """Append an event to a job that is locked by the caller."""
    job.last_event_number += 1
    session.add(Event(job_id=job.id, number=job.last_event_number, name=name, data=dict(data), created_at=now(session)))
