"""What a queued job has before it, and when it will have ended at the pace that workers have measured.

An expectation and no promise: it takes the paces of all models together, each as fast as in the batches that were made
so far, and knows nothing of who will still come.
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
"""Of the device's time, what training keeps while pictures are being made: enough that it never starves, and so little
that a picture takes a third longer than on a free device."""

_ENGINES: Mapping[int, Engine | None] = {priority.number: priority.engine for priority in PRIORITY_CLASSES.values()}
"""The engine of each priority class, by the class's number."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a queued job has before it.

    Args:
        position: how many jobs of the same model and priority class are claimed before it.
        eta_s: seconds until it has ended; None where nobody is active or has measured anything.
    """

    position: int
    eta_s: float | None


def estimate(session: Session, jobs: Collection[Job]) -> dict[str, Estimate]:
    """What those of some jobs that are queued have before them, by their ids; asked for all of them at once."""
    queued = [job for job in jobs if job.status == "queued"]
    if not queued:
        return {}
    active, unfinished = workers.active(session), _unfinished(session)
    return {
        row.id: Estimate(position=row.position, eta_s=_eta_s(row, unfinished, active))
        for row in session.execute(_positions(queued))
    }


def _eta_s(row: Row[Any], unfinished: Mapping[str, Mapping[int, int]], active: Sequence[Worker]) -> float | None:
    """Pictures and trainings share the device while active are both."""
    engine = _ENGINES[row.priority_class]
    if engine is None:
        return None
    other: Engine = "renderer" if engine == "trainer" else "trainer"
    engine_rates = {"renderer": _picture_rates(active), "trainer": _training_rates(active)}
    rates = engine_rates[engine]
    share = TRAINING_SHARE if engine == "trainer" else 1.0 - TRAINING_SHARE
    ahead_s = _together_s(unfinished["running"].get(row.priority_class, 0) + row.ahead, rates)
    others_steps = sum(
        count for steps in unfinished.values() for number, count in steps.items() if _ENGINES.get(number) == other
    )
    others_s = _together_s(others_steps, engine_rates[other])
    return _beside_s(_sum(ahead_s, _alone_s(row.own, rates)), share, others_s)


def _beside_s(mine_s: float | None, share: float, others_s: float | None) -> float | None:
    """Seconds of one priority class's work: on its share of the device beside the other class, then on all of it.

    Args:
        mine_s: what it takes alone.
        share: of the device's time while both classes have work.
        others_s: what the other class takes; None where nobody knows, so that it may last.
    """
    if mine_s is None:
        return None
    shared_s = mine_s / share
    return shared_s if others_s is None else min(shared_s, mine_s + others_s)


def _positions(queued: Collection[Job]) -> Select[Any]:
    """Per queued job: the jobs of its model and class ahead of it, and the steps of its class ahead."""
    order, own = (Job.rank, Job.id), Job.total - Job.step
    position = func.row_number().over(partition_by=(Job.model, Job.priority_class), order_by=order) - 1
    ahead = func.sum(own).over(partition_by=Job.priority_class, order_by=order) - own
    columns = (Job.id, Job.priority_class, own.label("own"), position.label("position"), ahead.label("ahead"))
    until = max(job.rank for job in queued)
    positions = select(*columns).where(Job.status == "queued", Job.rank <= until).subquery()
    return select(positions).where(positions.c.id.in_([job.id for job in queued]))


def _unfinished(session: Session) -> dict[str, dict[int, int]]:
    """Steps that unfinished jobs have before them, by state and priority_class."""
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
    """Denoising steps a second, for each worker that has made any."""
    return [worker.picture_steps / worker.picture_s for worker in active if worker.picture_steps and worker.picture_s]


def _training_rates(active: Sequence[Worker]) -> list[float]:
    return [
        worker.training_steps / worker.training_s for worker in active if worker.training_steps and worker.training_s
    ]


def _together_s(steps: int, rates: Sequence[float]) -> float | None:
    """How long all workers together take; no work takes no time, also where nothing was measured."""
    if not steps:
        return 0.0
    return steps / sum(rates) if rates else None


def _alone_s(steps: int, rates: Sequence[float]) -> float | None:
    """How long one worker takes, for a job is not divided among them."""
    return steps * len(rates) / sum(rates) if rates else None


def _sum(*durations_s: float | None) -> float | None:
    known = [duration_s for duration_s in durations_s if duration_s is not None]
    return sum(known) if len(known) == len(durations_s) else None
