"""A loaded model and its two engines, which take turns on the device.

It knows how many pictures and trainings it has room for, and nothing of jobs.
"""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from dti.families import Family
from dti.render import Renderer
from dti.training.trainer import Run, Trainer, Update
from service.catalogue.models import ModelEntry
from worker.outputs.safety import SafetyFilter
from worker.time_sharing import TimeSharing

PICTURE_ROOM = 16
"""Pictures that are denoised together: one request's most, and beyond it a batch gains little."""

TRAINING_ROOM = 2
"""Trainings that are learned together: two take 1.5 times as long as one (four 2.5)."""


@dataclass
class Throughput:
    """How many steps engines made, counted for every picture or training in them, and the seconds they took."""

    steps: int = 0
    seconds: float = 0.0

    def count(self, steps: int, seconds: float) -> None:
        """Add what was just done."""
        self.steps += steps
        self.seconds += seconds


@dataclass(frozen=True)
class Throughputs:
    """How fast a worker is, from which waiting people are told how long it will take."""

    training: Throughput = field(default_factory=Throughput)
    rendering: Throughput = field(default_factory=Throughput)


def release_memory() -> None:
    """Give memory that nothing uses any more back to the device."""
    gc.collect()
    torch.cuda.empty_cache()


class LoadedModel:
    """A model on the device and what is being made with it; one thread owns it.

    Attributes:
        entry: what the catalogue says of the model.
        family: the frozen model.
        inspector: looks at pictures.
        trainer: the trainings in progress.
        renderer: the pictures in the making.
        picture_room: how many pictures it makes at once.
        training_room: how many trainings it runs at once.
    """

    def __init__(self, entry: ModelEntry, family: Family, paces: Throughputs, inspector: SafetyFilter) -> None:
        self.entry = entry
        self.family = family
        self.inspector = inspector
        self.trainer = Trainer(family)
        self.renderer = Renderer(family)
        self.make_room()
        self._paces = paces
        self._turns = TimeSharing()

    @property
    def busy(self) -> bool:
        """Whether anything is in the engines."""
        return bool(self.trainer.runs or self.renderer.slots)

    def advance(self) -> Mapping[Run, Update]:
        """One denoising step of all pictures, then one update of all trainings where it is their turn.

        Returns:
            What the update did to each training; empty where there was none.
        """
        rendering = bool(self.renderer.slots)
        if rendering:
            self._render()
        if self.trainer.runs and self._turns.training_is_due(rendering=rendering):
            return self._train()
        return {}

    def clear(self) -> None:
        """Throw out all that is in the engines, after something broke in one of them."""
        self.trainer = Trainer(self.family)
        self.renderer = Renderer(self.family)

    def make_smaller(self) -> bool:
        """Halve the rooms, because the device ran out of memory with what is in the engines now.

        Returns:
            Whether that may help: False where there was only one thing in the engines, or room for one.
        """
        release_memory()
        crowd = len(self.renderer.slots) + len(self.trainer.runs)
        if crowd <= 1 or self.picture_room == 1:
            return False
        self.picture_room //= 2
        self.training_room = 1
        return True

    def make_room(self) -> None:
        """Give the rooms their size again: the next crowd may need less memory."""
        self.picture_room = PICTURE_ROOM
        self.training_room = TRAINING_ROOM

    def _render(self) -> None:
        company, start = len(self.renderer.slots), time.monotonic()
        self.renderer.advance()
        elapsed_s = time.monotonic() - start
        self._turns.rendered(elapsed_s)
        self._paces.rendering.count(company, elapsed_s)

    def _train(self) -> Mapping[Run, Update]:
        company, start = len(self.trainer.runs), time.monotonic()
        updates = self.trainer.advance()
        elapsed_s = time.monotonic() - start
        self._turns.trained(elapsed_s)
        self._paces.training.count(company, elapsed_s)
        return {update.run: update for update in updates}
