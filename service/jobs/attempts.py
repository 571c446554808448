"""Attempts that end without an end of their job: lost with their worker, or handed back by it.

A lost attempt without progress counts against its job. The first one tells nothing, since any of the jobs of a lost
worker may be the culprit, or none; from then on the job runs alone, after a growing delay, and `max_attempts` of them
in a row end it. Progress is a later checkpoint or another finished picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import Interruption, Job
from service.jobs.fencing import Attempt, fenced
from service.jobs.states import move

MAX_DELAY_S = 60.0
"""The longest delay before a job is claimed again."""

LossCode = Literal["worker_lost", "device_lost", "step_timeout"]

_REASONS: Mapping[Interruption, str] = {
    "worker_lost": "the worker vanished (killed, out of memory, or cut off)",
    "device_lost": "the device failed",
    "step_timeout": "a step did not return within DTI_STEP_LIMIT_S",
    "interrupted": "the worker stopped, or a store was down",
}


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The loss of an attempt.

    Args:
        code: its reason; the error code of the job if it was the last attempt.
        max_attempts: lost attempts in a row without progress that end a job.
    """

    code: LossCode
    max_attempts: int


def lose(session: Session, claim: Attempt, loss: Loss) -> None:
    """Requeue or end a job whose attempt is lost, as its worker reports itself.

    Raises:
        LeaseLostError: the attempt is over.
    """
    requeue_or_end(session, fenced(session, claim), loss)


def requeue_or_end(session: Session, job: Job, loss: Loss) -> None:
    """Requeue or end a job, locked by the caller, whose attempt is lost."""
    job.lost_attempts = 0 if job.progress_attempt == job.attempt else job.lost_attempts + 1
    if job.cancel_requested:
        move(session, job, "cancelled")
    elif job.lost_attempts < loss.max_attempts:
        requeue(session, job, loss.code)
        delay = timedelta(seconds=delay_s(job.lost_attempts))
        job.not_before = now(session) + delay if delay else None
    else:
        job.error_code = loss.code
        job.error_message = (
            f"{job.lost_attempts} attempts in a row were lost without progress; at the last one "
            f"{_REASONS[loss.code]}. See the worker's log. POST /v1/jobs/{job.id}/retry tries again."
        )
        move(session, job, "failed")


def requeue(session: Session, job: Job, reason: Interruption) -> None:
    """Return a running job, locked by the caller, to the queue at its old rank; a requested cancel ends it."""
    job.interruption = reason
    move(session, job, "cancelled" if job.cancel_requested else "queued")


def interruption_message(reason: Interruption) -> str:
    """The sentence of an interruption for the job's owner."""
    return (
        f"An attempt ended early: {_REASONS[reason]}. The job was queued again; its checkpoint and pictures were kept."
    )


def delay_s(lost_attempts: int) -> float:
    """Seconds until a job may be claimed again: none after the first lost attempt, then 2, 4, 8 and so on."""
    return 0.0 if lost_attempts <= 1 else min(MAX_DELAY_S, 2.0 ** (lost_attempts - 1))


def release(session: Session, claim: Attempt) -> None:
    """Requeue a job, because the worker stops or a store is down; this is no lost attempt.

    Raises:
        LeaseLostError: the attempt is over.
    """
    requeue(session, fenced(session, claim), "interrupted")


def claimed_by(session: Session, worker_id: str) -> Sequence[str]:
    """The running jobs of a worker."""
    return session.scalars(select(Job.id).where(Job.status == "running", Job.worker_id == worker_id)).all()


def release_all(session: Session, worker_id: str) -> None:
    """Requeue all running jobs of a worker, which no longer works at them."""
    running = select(Job).where(Job.status == "running", Job.worker_id == worker_id).order_by(Job.id)
    for job in session.scalars(running.with_for_update()).all():
        requeue(session, job, "interrupted")
