"""The profile of a queue: how many jobs and steps are ahead of a job.

A short queue is read at each call. A long one is kept for a while, since every waiting client polls: reading it takes
at most one part in `_KEPT_TIMES` of a process's time, however long it is.
"""

import threading
import time
from array import array
from bisect import bisect_left
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Row, Select, select
from sqlalchemy.orm import Session

from service.database.engine import kept
from service.database.tables import Job

SHORT = 200
"""Jobs of a queue that is read at each call."""

_KEPT_S = 1.0
_KEPT_TIMES = 20
"""A long queue's profile is kept for so many times the seconds that it took, and at least _KEPT_S."""

_ID_DIGITS = slice(4, 16)
"""The part of a job's id, after its prefix, that stands for it: 60 bits in the order of the ids."""


class Amount(NamedTuple):
    """An amount of queued work."""

    jobs: int
    steps: int


@dataclass(frozen=True)
class QueueProfile:
    """A queue in its order.

    Args:
        ranks: of the jobs.
        ids: the jobs' ids as numbers.
        steps: the steps before each job, and after the last.
        until: the time, by `time.monotonic`, until which it is kept.
    """

    ranks: "array[int]" = field(default_factory=lambda: array("q"))
    ids: "array[int]" = field(default_factory=lambda: array("q"))
    steps: "array[int]" = field(default_factory=lambda: array("q", [0]))
    until: float = 0.0

    @property
    def total(self) -> Amount:
        """All of the queue."""
        return Amount(len(self.ranks), self.steps[-1])

    def before(self, rank: int, job_id: str) -> Amount:
        """The work ahead of a job."""
        place = (rank, _number(job_id))
        jobs = bisect_left(range(len(self.ranks)), place, key=lambda index: (self.ranks[index], self.ids[index]))
        return Amount(jobs, self.steps[jobs])


@dataclass
class Profiles:
    """The kept profiles of long queues."""

    by_queue: dict[Hashable, QueueProfile] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def profile(session: Session, priority_class: int, model: str | None = None) -> QueueProfile:
    """The profile of a priority class's queue, for one model or for all."""
    profiles = kept(session, Profiles)
    with profiles.lock:
        found = profiles.by_queue.get((priority_class, model))
        if found is None or found.until < time.monotonic():
            query = select(Job.rank, Job.id, (Job.total - Job.step).label("steps")).order_by(Job.rank, Job.id)
            query = query.where(Job.status == "queued", Job.priority_class == priority_class)
            found = _read(session, query if model is None else query.where(Job.model == model))
            profiles.by_queue[priority_class, model] = found
        return found


def _read(session: Session, query: Select[int, str, int]) -> QueueProfile:
    started_at = time.monotonic()
    read = QueueProfile()
    for row in session.execute(query):
        _append(read, row)
    now = time.monotonic()
    until = now + max(_KEPT_S, _KEPT_TIMES * (now - started_at)) if len(read.ranks) > SHORT else 0.0
    return QueueProfile(read.ranks, read.ids, read.steps, until)


def _append(read: QueueProfile, row: Row[int, str, int]) -> None:
    rank, job_id, steps = row
    read.ranks.append(rank)
    read.ids.append(_number(job_id))
    read.steps.append(read.steps[-1] + steps)


def _number(job_id: str) -> int:
    """An id's first 60 bits: a number of a few bytes where a text takes eighty."""
    return int(job_id[_ID_DIGITS].translate(_TO_BASE_32), 32)


# The alphabet of ids leaves out i, l, o and u; that of `int` does not. Both are in order.
_TO_BASE_32 = str.maketrans("jkmnpqrstvwxyz", "ijklmnopqrstuv")
