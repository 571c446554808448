"""Device time by owner and by job: the seconds that the engines measured, divided among the jobs in each batch.

Only the engines' own time counts: waiting for the object store or the database uses no device. Writes nothing to the
database.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from worker.loaded_model import Throughputs


class DeviceUser(Protocol):
    """A job's share of the last step."""

    @property
    def owner_id(self) -> str:
        """The owner to charge."""

    @property
    def active_pictures(self) -> int:
        """Pictures of the job in the renderer."""

    @property
    def trainings(self) -> int:
        """Trainings of the job in the trainer."""

    def use_device(self, seconds: float) -> None:
        """Add to the job's own device time."""


class DeviceTimeMeter:
    """Charges the engines' time to the owners of the jobs.

    Args:
        throughputs: of all engines of this worker, counted since its start.
    """

    def __init__(self, throughputs: Throughputs) -> None:
        self._throughputs = throughputs
        self._rendering_s = throughputs.rendering.seconds
        self._training_s = throughputs.training.seconds
        self._seconds: dict[str, float] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by owner since the last `clear`."""
        return dict(self._seconds)

    def charge(self, users: Collection[DeviceUser]) -> None:
        """Divide the engines' time since the last call among the users, by pictures and trainings."""
        rendering_s, training_s = self._elapsed()
        # `or 1`: without users of an engine its numerators are zero, too.
        pictures = sum(user.active_pictures for user in users) or 1
        trainings = sum(user.trainings for user in users) or 1
        for user in users:
            share_s = rendering_s * user.active_pictures / pictures + training_s * user.trainings / trainings
            if share_s:
                user.use_device(share_s)
                self._seconds[user.owner_id] = self._seconds.get(user.owner_id, 0.0) + share_s

    def clear(self) -> None:
        """Start again at zero for every owner."""
        self._seconds.clear()

    def _elapsed(self) -> tuple[float, float]:
        """Seconds of rendering and of training since the last call."""
        rendering_s, training_s = self._throughputs.rendering.seconds, self._throughputs.training.seconds
        elapsed = rendering_s - self._rendering_s, training_s - self._training_s
        self._rendering_s, self._training_s = rendering_s, training_s
        return elapsed
