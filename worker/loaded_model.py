"""A model on the device with its two engines, the trainer and the renderer, which share the device's time.

It knows its limits on concurrent pictures and trainings, and nothing of jobs.
"""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch

from dti.families import Family
from dti.planning.plans import MAX_PICTURES, Plan
from dti.render import PictureWork, Renderer
from dti.training.trainer import Run, Trainer, Update
from service.catalogue.models import ModelEntry
from worker.outputs.safety import SafetyFilter
from worker.time_sharing import TimeSharing

MAX_TRAININGS = 2
"""Trainings updated in one batch: two take 1.5 times as long as one, four 2.5 times."""

SLOW_UPDATE_S = 2.0
"""Seconds of an update from which trainings run one after the other: such a model keeps the device busy alone, and
together all of them would end late."""


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


@dataclass(frozen=True)
class MemorySettings:
    """Settings that decide how much memory the engines take.

    Attributes:
        max_pixels: pixels of all pictures in one batch.
        micro_batch: pictures of a training in one pass; None for all.
        checkpointing: whether activations are computed again.
        tiled: whether pictures are decoded in tiles.
    """

    max_pixels: int
    micro_batch: int | None
    checkpointing: bool
    tiled: bool

    @classmethod
    def of(cls, plan: Plan | None, entry: ModelEntry) -> "MemorySettings":
        """Settings of a plan, or unlimited ones."""
        pixels = entry.max_px * entry.max_px
        if plan is None or plan.training is None or plan.rendering is None:
            return cls(MAX_PICTURES * pixels, None, checkpointing=False, tiled=False)
        limited = plan.rendering.pictures < MAX_PICTURES
        return cls(
            plan.rendering.pictures * (entry.width * entry.height if limited else pixels),
            plan.training.micro_batch,
            plan.training.checkpointing,
            plan.rendering.tiled,
        )

    def after_rendering(self, pixels: int, pictures: int) -> "MemorySettings":
        """Settings after a batch of pictures did not fit: half the pixels, or tiles for a single picture."""
        if pictures > 1:
            return replace(self, max_pixels=min(self.max_pixels, pixels // 2))
        return replace(self, tiled=True) if pictures else self

    def after_training(self, pictures: int) -> "MemorySettings":
        """Settings after updates of so many pictures a training did not fit: checkpointing, then smaller passes."""
        if not pictures:
            return self
        if not self.checkpointing:
            return replace(self, checkpointing=True)
        return replace(self, micro_batch=max(1, min(self.micro_batch or pictures, pictures) // 2))


class LoadedModel:
    """A model on the device and its engines; one thread owns it.

    Args:
        entry: the model's entry in the catalogue.
        family: the frozen model.
        throughputs: counts the engines' steps.
        safety_filter: checks finished pictures.
        plan: settings that fit into the device's memory; None where memory is ample.
        max_trainings: trainings at once; 0 to decide by their pace.

    Attributes:
        entry: the model's entry in the catalogue.
        family: the frozen model.
        safety_filter: checks finished pictures.
        trainer: the trainings in progress.
        renderer: the pictures in progress.
        settings: settings in force, with what running out of memory has taught.
    """

    def __init__(
        self,
        entry: ModelEntry,
        family: Family,
        throughputs: Throughputs,
        safety_filter: SafetyFilter,
        *,
        plan: Plan | None = None,
        max_trainings: int = 0,
    ) -> None:
        self.entry = entry
        self.family = family
        self.safety_filter = safety_filter
        self.settings = MemorySettings.of(plan, entry)
        self.trainer = Trainer(family, self.settings.micro_batch)
        self.renderer = Renderer(family)
        self._apply_settings()
        self._throughputs = throughputs
        self._time_sharing = TimeSharing()
        self._max_trainings = max_trainings
        self._update_s = 0.0

    @property
    def max_pictures(self) -> int:
        """Pictures of the model's default size that it renders at once."""
        return max(1, min(MAX_PICTURES, self.settings.max_pixels // (self.entry.width * self.entry.height)))

    @property
    def max_trainings(self) -> int:
        """Trainings that it runs at once; micro-batches keep their memory that of one."""
        return self._max_trainings or (1 if self._update_s > SLOW_UPDATE_S else MAX_TRAININGS)

    def accepts(self, work: PictureWork) -> bool:
        """Whether a picture can join those in progress."""
        slots = self.renderer.slots
        pixels = work.width * work.height + sum(slot.work.width * slot.work.height for slot in slots)
        return not slots or (len(slots) < MAX_PICTURES and pixels <= self.settings.max_pixels)

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
        self.trainer = Trainer(self.family, self.settings.micro_batch)
        self.renderer = Renderer(self.family)

    def save_memory(self) -> bool:
        """Take the next settings that need less memory, because the device ran out of it with the current batch.

        They stay in force: the same batch would fail again.

        Returns:
            Whether there are any.
        """
        release_memory()
        pixels = sum(slot.work.width * slot.work.height for slot in self.renderer.slots)
        pictures = max((run.work.settings.batch_size for run in self.trainer.runs), default=0)
        smaller = self.settings.after_rendering(pixels, len(self.renderer.slots)).after_training(pictures)
        changed = smaller != self.settings
        self.settings = smaller
        self._apply_settings()
        return changed

    def _apply_settings(self) -> None:
        self.trainer.micro_batch = self.settings.micro_batch
        self.family.set_checkpointing(enabled=self.settings.checkpointing)
        self.family.set_tiling(enabled=self.settings.tiled)

    def _render(self) -> None:
        batch_size, start = len(self.renderer.slots), time.monotonic()
        self.renderer.advance()
        self._wait_for_device()
        elapsed_s = time.monotonic() - start
        self._time_sharing.rendered(elapsed_s)
        self._throughputs.rendered(batch_size, elapsed_s)

    def _train(self) -> Mapping[Run, Update]:
        batch_size, start = len(self.trainer.runs), time.monotonic()
        updates = self.trainer.advance()
        self._wait_for_device()
        elapsed_s = time.monotonic() - start
        self._update_s = elapsed_s / batch_size
        self._time_sharing.trained(elapsed_s)
        self._throughputs.trained(batch_size, elapsed_s)
        return {update.run: update for update in updates}

    def _wait_for_device(self) -> None:
        """Wait for a GPU at the end of a piece of work, so that its measured time is the work's and not its queuing's.

        Inside a piece the host never waits without need, so the GPU idles for the start of the next piece only.
        """
        if self.family.device.type == "cuda":
            torch.cuda.synchronize(self.family.device)
