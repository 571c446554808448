"""Which moves there are, and the two writes that each of them consists of: the status and its event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from service.database.tables import Event, EventName, Job, Status
from service.webhooks import outbox

UNFINISHED: tuple[Status, ...] = ("queued", "running")
ENDED: tuple[Status, ...] = ("succeeded", "failed", "cancelled")

MOVES: Mapping[Status, tuple[Status, ...]] = {
    "queued": ("running", "cancelled"),
    "running": ("queued", *ENDED),
    "succeeded": (),
    "failed": (),
    "cancelled": (),
}


def move(session: Session, job: Job, status: Status, now: datetime) -> None:
    """Bring a job, whose row the caller has locked, into another state. It belongs to no worker afterwards."""
    if status not in MOVES[job.status]:
        raise AssertionError(f"{job.id} cannot go from {job.status} to {status}.")
    job.status = status
    job.worker_id = job.lease_expires_at = job.eta_s = None
    if status == "queued":
        job.queued_at = now
    else:
        job.finished_at = now
    record_status(session, job, now)


def record_status(session: Session, job: Job, now: datetime) -> None:
    """Tell listeners and webhooks of a job's new state, and that nothing more will come where it has ended."""
    outbox.tell(session, job, now)
    append(session, job, "status", {"status": job.status}, now)
    if job.status in ENDED:
        append(session, job, "done", {"status": job.status}, now)


def append(session: Session, job: Job, name: EventName, data: Mapping[str, Any], now: datetime) -> None:
    """Add the next event of a job whose row the caller has locked."""
    job.last_event_number += 1
    session.add(Event(job_id=job.id, number=job.last_event_number, name=name, data=dict(data), created_at=now))
