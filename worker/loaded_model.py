"""A model on the device with its two engines, the trainer and the renderer, which share the device's time.

It knows its limits on concurrent pictures and trainings, and nothing of jobs.
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

MAX_PICTURES = 16
"""Pictures denoised in one batch: the most of one request; a larger batch gains little."""

MAX_TRAININGS = 2
"""Trainings updated in one batch: two take 1.5 times as long as one, four 2.5 times."""


@dataclass
class Throughput:
    """Steps of an engine, counted once for each picture or training in the batch, and the seconds they took."""

    steps: int = 0
    batches: int = 0
    seconds: float = 0.0

    def add(self, steps: int, seconds: float) -> None:
        """Count the steps of one batch."""
        self.steps += steps
        self.batches += 1
        self.seconds += seconds


@dataclass(frozen=True)
class Throughputs:
    """The measured speed of a worker's engines, from which waiting times are estimated."""

    training: Throughput = field(default_factory=Throughput)
    rendering: Throughput = field(default_factory=Throughput)

    def rendered(self, batch_size: int, seconds: float) -> None:
        """Count one denoising step of a batch."""
        self.rendering.add(batch_size, seconds)

    def trained(self, batch_size: int, seconds: float) -> None:
        """Count one update of a batch."""
        self.training.add(batch_size, seconds)


@dataclass(frozen=True)
class ModelThroughputs(Throughputs):
    """The measured speed of one model's engines, which counts for the whole worker as well.

    Args:
        worker: the speed of all models of the worker.
    """

    worker: Throughputs = field(default_factory=Throughputs)

    def rendered(self, batch_size: int, seconds: float) -> None:
        """Count one denoising step of a batch."""
        super().rendered(batch_size, seconds)
        self.worker.rendered(batch_size, seconds)

    def trained(self, batch_size: int, seconds: float) -> None:
        """Count one update of a batch."""
        super().trained(batch_size, seconds)
        self.worker.trained(batch_size, seconds)


def release_memory() -> None:
    """Return unused cached memory to the device."""
    gc.collect()
    torch.cuda.empty_cache()


class LoadedModel:
    """A model on the device and its engines; one thread owns it.

    Attributes:
        entry: the model's entry in the catalogue.
        family: the frozen model.
        safety_filter: checks finished pictures.
        trainer: the trainings in progress.
        renderer: the pictures in progress.
        max_pictures: pictures that it renders at once.
        max_trainings: trainings that it runs at once.
    """

    def __init__(
        self, entry: ModelEntry, family: Family, throughputs: Throughputs, safety_filter: SafetyFilter
    ) -> None:
        self.entry = entry
        self.family = family
        self.safety_filter = safety_filter
        self.trainer = Trainer(family)
        self.renderer = Renderer(family)
        self.reset_limits()
        self._throughputs = throughputs
        self._time_sharing = TimeSharing()

    @property
    def busy(self) -> bool:
        """Whether an engine has work."""
        return bool(self.trainer.runs or self.renderer.slots)

    def advance(self) -> Mapping[Run, Update]:
        """One denoising step of all pictures, then one update of all trainings when it is due.

        Returns:
            The update of each training; empty without an update.
        """
        rendering = bool(self.renderer.slots)
        if rendering:
            self._render()
        if self.trainer.runs and self._time_sharing.training_is_due(rendering=rendering):
            return self._train()
        return {}

    def clear(self) -> None:
        """Replace both engines by empty ones, after an error in either."""
        self.trainer = Trainer(self.family)
        self.renderer = Renderer(self.family)

    def halve_limits(self) -> bool:
        """Halve the limits, because the device ran out of memory with the current batch.

        Returns:
            Whether a smaller batch is possible: False with a single entry in the engines, or a limit of one.
        """
        release_memory()
        batch_size = len(self.renderer.slots) + len(self.trainer.runs)
        if batch_size <= 1 or self.max_pictures == 1:
            return False
        self.max_pictures //= 2
        self.max_trainings = 1
        return True

    def reset_limits(self) -> None:
        """Restore the limits: the next batch may need less memory."""
        self.max_pictures = MAX_PICTURES
        self.max_trainings = MAX_TRAININGS

    def _render(self) -> None:
        batch_size, start = len(self.renderer.slots), time.monotonic()
        self.renderer.advance()
        elapsed_s = time.monotonic() - start
        self._time_sharing.rendered(elapsed_s)
        self._throughputs.rendered(batch_size, elapsed_s)

    def _train(self) -> Mapping[Run, Update]:
        batch_size, start = len(self.trainer.runs), time.monotonic()
        updates = self.trainer.advance()
        elapsed_s = time.monotonic() - start
        self._time_sharing.trained(elapsed_s)
        self._throughputs.trained(batch_size, elapsed_s)
        return {update.run: update for update in updates}
