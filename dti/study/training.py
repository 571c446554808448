"""Stage train: an embedding for every concept and arm, with norms and losses over the updates.

All arms start from the same seed, so pictures, templates, times and noises are common random numbers.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from PIL import Image

from dti.families import Family
from dti.study.files import write_atomically
from dti.study.items import TrainingItem, shard, trainings
from dti.study.manifest import Manifest, PictureRef
from dti.training.run import Run
from dti.training.trainer import Trainer, TrainingWork

POINTS = 40
"""Points of a curve."""


@dataclass
class Curve:
    """Mean norm of the rows, denoising loss and rotation over the updates."""

    steps: list[int] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    angles_rad: list[float] = field(default_factory=list)
    error: str | None = None

    def add(self, run: Run) -> None:
        """Add the present state of a run."""
        rows = run.embedding().rows.values()
        self.steps.append(run.step)
        self.norms.append(fmean(float(part.magnitude.mean()) for part in rows))
        self.losses.append(run.loss if run.loss is not None else 0.0)
        self.angles_rad.append(run.angle_rad)


def open_picture(folder: Path, picture: PictureRef) -> Image.Image:
    """A picture, with its mask as the alpha channel."""
    opened = Image.open(folder / picture.file).convert("RGB")
    if picture.mask is not None:
        opened.putalpha(Image.open(folder / picture.mask).convert("L").resize(opened.size))
    return opened


def train(
    manifest: Manifest,
    family: Family,
    folder: Path,
    *,
    together: int,
    part: str | None = None,
    on_done: Callable[[TrainingItem], None] = lambda _: None,
) -> None:
    """Make the missing trainings of a study.

    Args:
        manifest: the study.
        family: its model.
        folder: of the study.
        together: trainings that share a forward pass; with one, every training is reproducible bit for bit.
        part: a shard; see `items.shard`.
        on_done: called after each training.
    """
    waiting = [item for item in shard(trainings(manifest), part) if not item.curve(folder).exists()]
    trainer = Trainer(family)
    running: dict[int, tuple[TrainingItem, Run, Curve]] = {}
    while waiting or running:
        while waiting and len(running) < together:
            item = waiting.pop(0)
            run = trainer.admit(_work(Path(manifest.pictures), item))
            running[id(run)] = (item, run, Curve())
            running[id(run)][2].add(run)
        for update in trainer.advance():
            item, run, curve = running[id(update.run)]
            ended = run.finished or update.error is not None
            if ended or run.step % max(1, run.total // POINTS) == 0:
                curve.add(run)
            if ended:
                curve.error = None if update.error is None else str(update.error)
                _store(folder, item, run, curve)
                del running[id(update.run)]
                on_done(item)


def _work(pictures: Path, item: TrainingItem) -> TrainingWork:
    opened: Sequence[Image.Image] = [open_picture(pictures, picture) for picture in item.concept.references]
    return TrainingWork(
        pictures=opened,
        captions=[None] * len(opened),
        class_word=item.concept.class_word,
        trigger=item.concept.name,
        method=item.arm.method,
        learnable_property="object",
        settings=item.arm.training(),
    )


def _store(folder: Path, item: TrainingItem, run: Run, curve: Curve) -> None:
    write_atomically(item.embedding(folder), run.embedding().to_bytes())
    write_atomically(item.curve(folder), json.dumps(vars(curve)).encode())
