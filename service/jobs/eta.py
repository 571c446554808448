"""Estimates for queued jobs: the position in the queue, and the time to the end at the measured rates of the workers.

Rates are averages over all models, at the batch sizes of the past. Later submissions are not predicted.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from service import workers
from service.database.tables import UNFINISHED, Job, Worker
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
    """

    position: int
    eta_s: float | None


def estimate(session: Session, jobs: Collection[Job]) -> dict[str, Estimate]:
    """The estimates of the queued jobs among the given ones, by id, from one set of queries."""
    queued = [job for job in jobs if job.status == "queued"]
    if not queued:
        return {}
    active, unfinished = workers.active(session), _unfinished(session)
    return {
        row.id: Estimate(position=row.position, eta_s=_eta_s(row, unfinished, active))
        for row in session.execute(_positions(queued))
    }


def _eta_s(row: Row[Any], unfinished: Mapping[str, Mapping[int, int]], active: Sequence[Worker]) -> float | None:
    """Seconds to the end of a queued job."""
    engine = _ENGINES[row.priority_class]
    if engine is None:
        return None
    other: Engine = "renderer" if engine == "trainer" else "trainer"
    engine_rates = {"renderer": _picture_rates(active), "trainer": _training_rates(active)}
    rates = engine_rates[engine]
    share = TRAINING_SHARE if engine == "trainer" else 1.0 - TRAINING_SHARE
    # The running jobs of the class and the queued ones ahead are shared by all workers; then one worker does this job.
    ahead_s = _together_s(unfinished["running"].get(row.priority_class, 0) + row.ahead, rates)
    others_steps = sum(
        count for steps in unfinished.values() for number, count in steps.items() if _ENGINES.get(number) == other
    )
    others_s = _together_s(others_steps, engine_rates[other])
    return _beside_s(_sum(ahead_s, _alone_s(row.own, rates)), share, others_s)


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


def _positions(queued: Collection[Job]) -> Select[Any]:
    """Per queued job: the number of jobs of its model and class ahead of it, and its class's steps ahead."""
    order, own = (Job.rank, Job.id), Job.total - Job.step
    position = func.row_number().over(partition_by=(Job.model, Job.priority_class), order_by=order) - 1
    ahead = func.sum(own).over(partition_by=Job.priority_class, order_by=order) - own
    columns = (Job.id, Job.priority_class, own.label("own"), position.label("position"), ahead.label("ahead"))
    until = max(job.rank for job in queued)
    positions = select(*columns).where(Job.status == "queued", Job.rank <= until).subquery()
    return select(positions).where(positions.c.id.in_([job.id for job in queued]))


def _unfinished(session: Session) -> dict[str, dict[int, int]]:
    """Remaining steps of unfinished jobs, by status and priority class."""
    steps = func.sum(Job.total - Job.step)
    query = (
        select(Job.status, Job.priority_class, steps)
        .where(Job.status.in_(UNFINISHED))
        .group_by(Job.status, Job.priority_class)
    )
    found: dict[str, dict[int, int]] = {status: {} for status in UNFINISHED}
    for status, priority_class, left in session.execute(query):
        found[status][priority_class] = int(left)
    return found


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
