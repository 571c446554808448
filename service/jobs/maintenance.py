"""The maintenance of jobs: expired leases, stale jobs, checkpoints, RPCs. Safe to run in several processes at once."""

from datetime import timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import UNFINISHED, Job, Worker
from service.jobs.attempts import Loss, requeue_or_end
from service.jobs.transitions import request_cancel
from service.kinds.jobs import KINDS

_BATCH = 100
"""Rows per transaction."""

_RPCS = tuple(name for name, kind in KINDS.items() if not kind.listed)
_RPC_CLASSES = tuple({KINDS[name].number for name in _RPCS})

_FAILED_KEPT = timedelta(days=1)
"""How long a failed training can be retried from its checkpoint; later it starts again at update 0."""

_RPC_KEPT = timedelta(hours=25)
"""Longer than the retention of an Idempotency-Key, which may refer to an RPC."""


def expire_leases(session: Session, *, max_attempts: int, lease_s: float) -> set[str]:
    """Requeue the jobs with an expired lease, or end them.

    A worker with a recent heartbeat is believed: its jobs' rows may only have been locked when it would have extended
    their leases. A job fails after `max_attempts` lost attempts in a row without progress; see `service.jobs.attempts`.

    Returns:
        The models with requeued jobs: their workers are to be notified.
    """
    silent_since = now(session) - timedelta(seconds=lease_s)
    alive = select(Worker.worker_id).where(Worker.worker_id == Job.worker_id, Worker.last_heartbeat_at >= silent_since)
    expired = (
        select(Job)
        .where(Job.status == "running", Job.lease_expires_at < now(session), ~alive.exists())
        .order_by(Job.id)
        .limit(_BATCH)
    )
    jobs = session.scalars(expired.with_for_update(skip_locked=True, of=Job)).all()
    for job in jobs:
        requeue_or_end(session, job, Loss(code="worker_lost", max_attempts=max_attempts))
    return {job.model for job in jobs if job.status == "queued"}


def models_with_stale_jobs(session: Session, *, after_s: float) -> set[str]:
    """The models with a job queued for longer than `after_s`: a wake-up may have been lost."""
    before, stale = now(session) - timedelta(seconds=after_s), set()
    # Model by model, each by an index: a DISTINCT would read the whole queue.
    queued = select(Job.model).where(Job.status == "queued").order_by(Job.model).limit(1)
    model = session.scalars(queued).first()
    while model is not None:
        oldest = select(func.min(Job.queued_at)).where(Job.status == "queued", Job.model == model)
        if session.scalars(oldest).one() < before:
            stale.add(model)
        model = session.scalars(queued.where(Job.model > model)).first()
    return stale


def take_old_checkpoints(session: Session) -> list[str]:
    """Detach the checkpoints of a batch of ended jobs; those of failed ones are kept for a day, to be retried.

    Returns:
        Their keys, to be deleted from the object store after the commit.
    """
    # NOT IN, which no index serves: the one of jobs with a checkpoint has few rows, those by status have all.
    ended = Job.status.not_in(UNFINISHED) & ((Job.status != "failed") | (Job.finished_at < now(session) - _FAILED_KEPT))
    expired = select(Job).where(ended, Job.checkpoint_key.is_not(None)).order_by(Job.id).limit(_BATCH)
    jobs = session.scalars(expired.with_for_update(skip_locked=True)).all()
    keys = [job.checkpoint_key for job in jobs if job.checkpoint_key]
    for job in jobs:
        job.checkpoint_key, job.checkpoint_step = None, 0
    return keys


def cancel_orphaned_rpcs(session: Session, *, after_s: float) -> int:
    """Cancel queued RPCs older than `after_s`: their API process is gone. Returns their number."""
    old = Job.created_at < now(session) - timedelta(seconds=after_s)
    unclaimed = (Job.status == "queued", Job.priority_class.in_(_RPC_CLASSES), Job.kind.in_(_RPCS))
    orphaned = select(Job.id).where(*unclaimed, old).order_by(Job.id).limit(_BATCH)
    ids = session.scalars(orphaned.with_for_update(skip_locked=True)).all()
    for job_id in ids:
        request_cancel(session, job_id)
    return len(ids)


def delete_old_rpcs(session: Session) -> list[str]:
    """Delete a batch of ended RPCs.

    Returns:
        The keys of their files, to be deleted from the object store after the commit.
    """
    expired = select(Job).where(
        Job.kind.in_(_RPCS), Job.status.not_in(UNFINISHED), Job.finished_at < now(session) - _RPC_KEPT
    )
    jobs = session.scalars(expired.order_by(Job.finished_at).limit(_BATCH).with_for_update(skip_locked=True)).all()
    for job in jobs:
        session.delete(job)
    return [job.file_key for job in jobs if job.file_key]
