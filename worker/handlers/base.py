"""One claimed job on the device: the interface that the loop drives, whatever the job's kind, and its progress.

Handlers know the calls of service.jobs and the model that they run on. They know neither database rules nor the other
jobs on the device.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Generic

from typing_extensions import TypeVar

from dti.training.trainer import Run, Update
from service.jobs import Claim
from service.kinds.versioned import Input
from worker.loaded_model import LoadedModel
from worker.persistence import Persistence

REPORT_EVERY_S = 0.5
"""Between two progress reports: often enough for a moving progress bar, rare enough to cost nothing."""


InputT = TypeVar("InputT", bound=Input, default=Input)


class ProgressMeter:
    """The progress of a job: its step, the estimated remaining time, and when the next report is due.

    Args:
        step: the current step.
        total: the last step.
    """

    def __init__(self, step: int, total: int) -> None:
        self.step = self._first_step = step
        self.total = total
        self._started_at = self._reported_at = time.monotonic()

    def due(self) -> bool:
        """Whether to report now; True counts as a report."""
        now = time.monotonic()
        if now - self._reported_at < REPORT_EVERY_S:
            return False
        self._reported_at = now
        return True

    def eta_s(self) -> float | None:
        """Remaining seconds at the average pace of this attempt; None before its first step."""
        if self.step == self._first_step:
            return None
        return (time.monotonic() - self._started_at) / (self.step - self._first_step) * (self.total - self.step)


class Handler(ABC, Generic[InputT]):
    """A job from its inputs to its last write.

    Every method may raise LeaseLostError when the job no longer belongs to this worker, and DTIError or ServiceError
    when the job cannot be done. The loop then removes the job from the engines.

    Attributes:
        claim: the job, with its newest checkpoint.
        loaded_model: the model that the job runs on.
        trainings: trainings of the job in the trainer.
    """

    trainings = 0

    def __init__(self, claim: Claim[InputT], loaded_model: LoadedModel, persistence: Persistence) -> None:
        self.claim = claim
        self.loaded_model = loaded_model
        self._persistence = persistence

    @property
    def owner_id(self) -> str:
        """The job's owner, charged for the device time."""
        return self.claim.owner_id

    def use_device(self, seconds: float) -> None:
        """Add to the job's device time, which its next write records."""
        self.claim = replace(self.claim, device_s=self.claim.device_s + seconds)

    @property
    def active(self) -> bool:
        """Whether the job has work for the engines; otherwise only its last writes are under way."""
        return True

    @property
    def active_pictures(self) -> int:
        """Pictures of the job in the renderer's last step."""
        return 0

    @property
    @abstractmethod
    def slots(self) -> int:
        """Slots of its priority class that the job uses."""

    @abstractmethod
    def start(self) -> None:
        """Fetch the inputs and enter the engines."""

    @abstractmethod
    def collect(self, updates: Mapping[Run, Update]) -> bool:
        """Write down the engines' results for this job since the last call.

        Args:
            updates: the last update of each training; empty when no training was updated.

        Returns:
            Whether the job has ended.
        """

    @abstractmethod
    def abort(self) -> None:
        """Remove the job's pictures and trainings from the engines."""

    @abstractmethod
    def checkpoint(self) -> None:
        """Store the state from which another attempt can continue."""
