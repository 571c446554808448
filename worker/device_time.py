"""Seconds of the device by owner: what the engines took, shared by those whose work was in them.

Only the engines' own time counts: who waits for a store or a database uses no device. It writes nothing down.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from worker.loaded_model import Throughputs


class DeviceUser(Protocol):
    """A job's part in the last step."""

    @property
    def owner_id(self) -> str:
        """Whose it is."""

    @property
    def rendering(self) -> int:
        """How many pictures of it were in the renderer."""

    @property
    def trainings(self) -> int:
        """How many places it had in the trainer."""


class DeviceTimeMeter:
    """Reads what the engines say of their time.

    Args:
        paces: what all engines of this worker took so far.
    """

    def __init__(self, paces: Throughputs) -> None:
        self._paces = paces
        self._rendering_s = paces.rendering.seconds
        self._training_s = paces.training.seconds
        self._seconds: dict[str, float] = {}

    @property
    def seconds(self) -> Mapping[str, float]:
        """What owners took since the last `clear`."""
        return dict(self._seconds)

    def read(self, pieces: Collection[DeviceUser]) -> None:
        """Charge what the engines took since the last reading to whose work was in them."""
        rendering_s, self._rendering_s = (
            self._paces.rendering.seconds - self._rendering_s,
            self._paces.rendering.seconds,
        )
        training_s, self._training_s = self._paces.training.seconds - self._training_s, self._paces.training.seconds
        pictures = sum(piece.rendering for piece in pieces) or 1
        trainings = sum(piece.trainings for piece in pieces) or 1
        for piece in pieces:
            taken_s = rendering_s * piece.rendering / pictures + training_s * piece.trainings / trainings
            if taken_s:
                self._seconds[piece.owner_id] = self._seconds.get(piece.owner_id, 0.0) + taken_s

    def clear(self) -> None:
        """Forget what was written down."""
        self._seconds.clear()
