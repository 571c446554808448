"""Which moves there are, and the two writes that each of them consists of: the status and its event."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import ENDED, Event, EventName, Job, Status
from service.webhooks import outbox

MOVES: Mapping[Status, tuple[Status, ...]] = {
    "queued": ("running", "cancelled"),
    "running": ("queued", *ENDED),
    "succeeded": (),
    "failed": (),
    "cancelled": (),
}


def move(session: Session, job: Job, status: Status) -> None:
    """Bring a job, whose row the caller has locked, into another state. It belongs to no worker afterwards."""
    if status not in MOVES[job.status]:
        raise AssertionError(f"{job.id} cannot go from {job.status} to {status}.")
    job.status = status
    job.worker_id = job.lease_expires_at = job.eta_s = None
    if status == "queued":
        job.queued_at = now(session)
    else:
        job.finished_at = now(session)
    record_status(session, job)


def record_status(session: Session, job: Job) -> None:
    """Tell listeners and webhooks of a job's new state, and that nothing more will come where it has ended."""
    outbox.tell(session, job)
    append(session, job, "status", {"status": job.status})
    if job.status in ENDED:
        append(session, job, "done", {"status": job.status})


def append(session: Session, job: Job, name: EventName, data: Mapping[str, Any]) -> None:
    """Add the next event of a job whose row the caller has locked."""
    job.last_event_number += 1
    session.add(Event(job_id=job.id, number=job.last_event_number, name=name, data=dict(data), created_at=now(session)))
