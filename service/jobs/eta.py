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

_ENGINES: Mapping[int, Engine | None] = {one.number: one.engine for one in PRIORITY_CLASSES.values()}
"""The engine of each priority class, by the class's number."""


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What a queued job has before it.

    Args:
        position: how many jobs of the same model and priority class are claimed before it.
        eta_s: seconds until it has ended; None where nobody is there or has measured anything.
    """

    position: int
    eta_s: float | None


def estimate(session: Session, jobs: Collection[Job]) -> dict[str, Expectation]:
    """What those of some jobs that are queued have before them, by their ids; asked for all of them at once."""
    queued = [job for job in jobs if job.status == "queued"]
    if not queued:
        return {}
    there, unfinished = workers.present(session), _unfinished(session)
    return {
        place.id: Expectation(position=place.position, eta_s=_eta_s(place, unfinished, there))
        for place in session.execute(_places(queued))
    }


def _eta_s(place: Row[Any], unfinished: Mapping[str, Mapping[int, int]], there: Sequence[Worker]) -> float | None:
    """Pictures and trainings share the device while there are both."""
    engine = _ENGINES[place.priority_class]
    if engine is None:
        return None
    other: Engine = "renderer" if engine == "trainer" else "trainer"
    engine_rates = {"renderer": _picture_rates(there), "trainer": _training_rates(there)}
    rates = engine_rates[engine]
    share = TRAINING_SHARE if engine == "trainer" else 1.0 - TRAINING_SHARE
    ahead_s = _together_s(unfinished["running"].get(place.priority_class, 0) + place.ahead, rates)
    others_steps = sum(
        count for steps in unfinished.values() for number, count in steps.items() if _ENGINES.get(number) == other
    )
    others_s = _together_s(others_steps, engine_rates[other])
    return _beside_s(_sum(ahead_s, _alone_s(place.own, rates)), share, others_s)


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


def _places(queued: Collection[Job]) -> Select[Any]:
    """Per queued job: the jobs of its model and class ahead of it, and the steps of its class ahead."""
    order, own = (Job.rank, Job.id), Job.total - Job.step
    position = func.row_number().over(partition_by=(Job.model, Job.priority_class), order_by=order) - 1
    ahead = func.sum(own).over(partition_by=Job.priority_class, order_by=order) - own
    columns = (Job.id, Job.priority_class, own.label("own"), position.label("position"), ahead.label("ahead"))
    until = max(job.rank for job in queued)
    places = select(*columns).where(Job.status == "queued", Job.rank <= until).subquery()
    return select(places).where(places.c.id.in_([job.id for job in queued]))


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


def _picture_rates(there: Sequence[Worker]) -> list[float]:
    """Denoising steps a second, for each worker that has made any."""
    return [desk.picture_steps / desk.picture_s for desk in there if desk.picture_steps and desk.picture_s]


def _training_rates(there: Sequence[Worker]) -> list[float]:
    return [desk.training_steps / desk.training_s for desk in there if desk.training_steps and desk.training_s]


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
