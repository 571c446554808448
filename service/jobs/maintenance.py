"""What the maintenance do for jobs; two who do it at once do no harm."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import ENDED, Job
from service.jobs.states import move
from service.jobs.transitions import request_cancel
from service.kinds.jobs import LISTED

_BATCH = 100
"""Rows that one transaction works through."""

_RPC_KEPT = timedelta(hours=25)
"""Longer than an Idempotency-Key stands for what an RPC made; its file goes as soon as the request is answered."""


def expire_leases(session: Session, *, max_attempts: int) -> set[str]:
    """Take jobs away from workers that fell expired: back into the queue, or to their end.

    A job ends where `max_attempts` in a row were lost without a new checkpoint.

    Returns:
        The models to ring for.
    """
    expired = (
        select(Job).where(Job.status == "running", Job.lease_expires_at < now(session)).order_by(Job.id).limit(_BATCH)
    )
    jobs = session.scalars(expired.with_for_update(skip_locked=True)).all()
    for job in jobs:
        _requeue_or_end(session, job, max_attempts)
    return {job.model for job in jobs if job.status == "queued"}


def models_with_stale_jobs(session: Session, *, after_s: float) -> set[str]:
    """The models to ring for again, because a job has been queued for longer than `after_s`: a bell may be lost."""
    stale = (
        select(Job.model)
        .where(Job.status == "queued", Job.queued_at < now(session) - timedelta(seconds=after_s))
        .distinct()
    )
    return set(session.scalars(stale))


def take_old_checkpoints(session: Session) -> list[str]:
    """Forget the checkpoints of some jobs that have ended.

    Returns:
        Their keys, to be deleted from the storage once this is committed.
    """
    expired = select(Job).where(Job.status.in_(ENDED), Job.checkpoint_key.is_not(None)).order_by(Job.id).limit(_BATCH)
    jobs = session.scalars(expired.with_for_update(skip_locked=True)).all()
    keys = [job.checkpoint_key for job in jobs if job.checkpoint_key]
    for job in jobs:
        job.checkpoint_key = None
    return keys


def cancel_orphaned_rpcs(session: Session, *, after_s: float) -> int:
    """Call off RPCs that nobody waits for any more, because the API that did was lost; returns how many."""
    old = Job.created_at < now(session) - timedelta(seconds=after_s)
    orphaned = select(Job.id).where(Job.status == "queued", Job.kind.not_in(LISTED), old).order_by(Job.id).limit(_BATCH)
    ids = session.scalars(orphaned.with_for_update(skip_locked=True)).all()
    for job_id in ids:
        request_cancel(session, job_id)
    return len(ids)


def delete_old_rpcs(session: Session) -> list[str]:
    """Forget some RPCs that ended long ago.

    Returns:
        The keys of their files, to be deleted from the storage once this is committed.
    """
    expired = select(Job).where(
        Job.kind.not_in(LISTED), Job.status.in_(ENDED), Job.finished_at < now(session) - _RPC_KEPT
    )
    jobs = session.scalars(expired.order_by(Job.id).limit(_BATCH).with_for_update(skip_locked=True)).all()
    for job in jobs:
        session.delete(job)
    return [job.file_key for job in jobs if job.file_key]


def _requeue_or_end(session: Session, job: Job, max_attempts: int) -> None:
    job.lost_attempts = 0 if job.checkpoint_attempt == job.attempt else job.lost_attempts + 1
    if job.cancel_requested:
        move(session, job, "cancelled")
    elif job.lost_attempts < max_attempts:
        move(session, job, "queued")
    else:
        job.error_code = "worker_lost"
        job.error_message = (
            f"{job.lost_attempts} attempts in a row ended without a word from the worker and without a new checkpoint. "
            "The worker's log says more."
        )
        move(session, job, "failed")
