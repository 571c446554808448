"""Cost of a study before it runs: counts, and time from a few measured updates and steps."""

import time
from dataclasses import dataclass
from pathlib import Path

from dti.families import Family
from dti.render import PictureWork, Renderer
from dti.study.items import pictures, shard, trainings
from dti.study.manifest import Manifest

BACKWARD_FACTOR = 3.0
"""An update of one picture, forward and backward, in passes."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The missing work of a study.

    Attributes:
        trainings: number.
        updates: of all trainings, times their batch size: pictures through forward and backward.
        pictures: number.
        denoiser_passes: of all pictures; two per step with guidance.
    """

    trainings: int
    updates: int
    pictures: int
    denoiser_passes: int

    def hours(self, seconds_per_update: float, seconds_per_pass: float) -> float:
        """Time in hours from the time of an update of one picture and of a denoiser pass."""
        return (self.updates * seconds_per_update + self.denoiser_passes * seconds_per_pass) / 3600


def cost(manifest: Manifest, folder: Path, part: str | None = None) -> Cost:
    """Count the missing work of a study or of a shard of it."""
    missing = [item for item in shard(trainings(manifest), part) if not item.curve(folder).exists()]
    unrendered = {item.key for item in shard(pictures(manifest), part) if not item.file(folder).exists()}
    updates = sum(item.arm.training().steps * item.arm.training().batch_size for item in missing)
    passes = len(unrendered) * manifest.rendering.steps * 2
    return Cost(len(missing), updates, len(unrendered), passes)


def seconds_per_pass(manifest: Manifest, family: Family) -> float:
    """Time of one denoiser pass of one picture at the study's size, after a first pass that does not count."""
    plan = manifest.rendering
    work = PictureWork(
        prompt="a photo",
        concepts={},
        width=plan.width,
        height=plan.height,
        steps=plan.steps,
        guidance_scale=plan.guidance_scale,
        scheduler=plan.scheduler,
        seed=0,
    )
    renderer = Renderer(family)
    slot = renderer.admit(work)
    renderer.advance()
    started = time.perf_counter()
    while renderer.slots:
        renderer.advance()
    passes = 2 if slot.guided else 1
    return (time.perf_counter() - started) / max(1, plan.steps - 1) / passes
