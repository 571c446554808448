"""One claimed job on the device, whatever its kind: what the shift asks of it, and how its way is told.

It knows no database rule beyond the calls of service.jobs, and not who else is on the device.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime

from dti.training.trainer import Run, Update
from service.jobs import Claim
from worker.loaded_model import LoadedModel
from worker.persistence import Persistence

REPORT_EVERY_S = 0.5
"""Between two reports of progress: often enough for a bar that moves, rare enough to cost nothing."""


class ProgressMeter:
    """How far a job is, when that is to be told again, and how long the rest will take.

    Args:
        step: where it stands now.
        total: where it ends.
    """

    def __init__(self, step: int, total: int) -> None:
        self.step = self._first = step
        self.total = total
        self._start = self._told = time.monotonic()

    def due(self) -> bool:
        """Whether to report now; answering yes counts as having reported."""
        now = time.monotonic()
        if now - self._told < REPORT_EVERY_S:
            return False
        self._told = now
        return True

    def eta_s(self) -> float | None:
        """The seconds that the rest takes at the pace so far; None before the first step."""
        if self.step == self._first:
            return None
        return (time.monotonic() - self._start) / (self.step - self._first) * (self.total - self.step)


class Handler(ABC):
    """A job from its inputs to its last write.

    Every call may raise: LeaseLostError where the job is no longer this worker's, DTIError and ServiceError where it
    cannot be done. The shift then takes it out of the engines.

    Attributes:
        claim: the job, with its newest checkpoint.
        station: the model that it runs on.
        trainings: how many places it takes in the trainer.
    """

    trainings = 0

    def __init__(self, claim: Claim, station: LoadedModel, ledger: Persistence) -> None:
        self.claim = claim
        self.station = station
        self._ledger = ledger

    @property
    def owner_id(self) -> str:
        """Whose job it is."""
        return self.claim.owner_id

    @property
    def rendering(self) -> int:
        """How many pictures of it were in the renderer's last step."""
        return 0

    @property
    @abstractmethod
    def pictures(self) -> int:
        """How many pictures it has in the renderer or waiting for it."""

    @abstractmethod
    def begin(self) -> None:
        """Fetch what the job needs and enter the engines."""

    @abstractmethod
    def settle(self, updates: Mapping[Run, Update]) -> bool:
        """Write down what the engines have done for the job since the last call.

        Args:
            updates: what the last update did to each training; empty where there was none.

        Returns:
            Whether the job has ended.
        """

    @abstractmethod
    def leave(self) -> None:
        """Take everything of the job out of the engines."""

    @abstractmethod
    def keep(self) -> None:
        """Store what another attempt can go on from."""


def now() -> datetime:
    """The moment that a write is dated with."""
    return datetime.now(UTC)
