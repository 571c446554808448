"""Estimates for queued jobs: the position in the queue, and the time to the end at the measured rates of the workers.

Rates are averages over all models, at the batch sizes of the past. Later submissions are not predicted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import workers
from service.database.tables import Job, Worker
from service.jobs.queue_profile import QueueProfile, profile
from service.kinds.jobs import PRIORITY_CLASSES, Engine

TRAINING_SHARE = 0.25
"""Training's share of the device's time while there are pictures to render: enough not to starve; a picture takes a
third longer than on a free device."""

_ENGINES: Mapping[int, Engine | None] = {priority.number: priority.engine for priority in PRIORITY_CLASSES.values()}
"""The engine of each priority class, by number."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The estimate for a queued job.

    Args:
        position: jobs of the same model and priority class that are claimed before it.
        eta_s: seconds to its end; None without an active worker that has measured its rate.
        workers: active workers that serve its model; without any, it waits for one.
    """

    position: int
    eta_s: float | None
    workers: int


def estimate(session: Session, jobs: Collection[Job]) -> dict[str, Estimate]:
    """The estimates of the queued jobs among the given ones, by id, from one set of queries."""
    queued = [job for job in jobs if job.status == "queued"]
    if not queued:
        return {}
    classes = {number: profile(session, number) for number, engine in _ENGINES.items() if engine}
    lines = {(job.model, job.priority_class) for job in queued}
    models = {(model, number): profile(session, number, model) for model, number in lines}
    work = _Work(classes, _running(session), workers.active(session))
    serving = {model: sum(workers.serves(worker, model) for worker in work.active) for model, _ in lines}
    return {
        job.id: Estimate(
            position=models[job.model, job.priority_class].before(job.rank, job.id).jobs,
            eta_s=_eta_s(job, work) if serving[job.model] else None,
            workers=serving[job.model],
        )
        for job in queued
    }


@dataclass(frozen=True)
class _Work:
    """The work of all jobs: the queues of the classes with an engine, the running steps by class, and the workers."""

    queues: Mapping[int, QueueProfile]
    running: Mapping[int, int]
    active: Sequence[Worker]


def _eta_s(job: Job, work: _Work) -> float | None:
    """Seconds to the end of a queued job."""
    engine = _ENGINES[job.priority_class]
    if engine is None:
        return None
    other: Engine = "renderer" if engine == "trainer" else "trainer"
    engine_rates = {"renderer": _picture_rates(work.active), "trainer": _training_rates(work.active)}
    rates = engine_rates[engine]
    share = TRAINING_SHARE if engine == "trainer" else 1.0 - TRAINING_SHARE
    # The running jobs of the class and the queued ones ahead are shared by all workers; then one worker does this job.
    ahead = work.queues[job.priority_class].before(job.rank, job.id).steps
    ahead_s = _together_s(work.running.get(job.priority_class, 0) + ahead, rates)
    others_steps = sum(
        work.running.get(number, 0) + queue.total.steps
        for number, queue in work.queues.items()
        if _ENGINES[number] == other
    )
    others_s = _together_s(others_steps, engine_rates[other])
    return _beside_s(_sum(ahead_s, _alone_s(job.total - job.step, rates)), share, others_s)


def _beside_s(own_s: float | None, share: float, others_s: float | None) -> float | None:
    """Seconds for one engine's work while the other engine may have work, too.

    The work takes `own_s` alone. While both engines are busy it gets `share` of the device; when the other one has
    finished its `others_s`, it gets all of it. Either it ends while both are busy, after own_s / share; or the other
    work ends first, and both have then taken own_s + others_s of the device together. The true time is the smaller one.

    Args:
        own_s: alone on the device.
        share: of the device's time while both engines have work, 0..1.
        others_s: the other engine's work, alone; None if its rate is unknown, so that it may never end.
    """
    if own_s is None:
        return None
    shared_s = own_s / share
    return shared_s if others_s is None else min(shared_s, own_s + others_s)


def _running(session: Session) -> dict[int, int]:
    """Remaining steps of running jobs, by priority class."""
    steps = func.sum(Job.total - Job.step)
    query = select(Job.priority_class, steps).where(Job.status == "running").group_by(Job.priority_class)
    return {priority_class: int(left) for priority_class, left in session.execute(query)}


def _picture_rates(active: Sequence[Worker]) -> list[float]:
    """Denoising steps per second of each worker that has measured any."""
    return [worker.picture_steps / worker.picture_s for worker in active if worker.picture_steps and worker.picture_s]


def _training_rates(active: Sequence[Worker]) -> list[float]:
    return [
        worker.training_steps / worker.training_s for worker in active if worker.training_steps and worker.training_s
    ]


def _together_s(steps: int, rates: Sequence[float]) -> float | None:
    """Seconds that all workers together take for some steps; 0 for none, also without a measured rate."""
    if not steps:
        return 0.0
    return steps / sum(rates) if rates else None


def _alone_s(steps: int, rates: Sequence[float]) -> float | None:
    """Seconds that one worker takes on average: a job runs on one worker."""
    return steps * len(rates) / sum(rates) if rates else None


def _sum(*durations_s: float | None) -> float | None:
    known = [duration_s for duration_s in durations_s if duration_s is not None]
    return sum(known) if len(known) == len(durations_s) else None
