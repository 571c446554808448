"""SDXL and SANA 1.6B at real size with random weights: `python -m bench.real_size`. Needs a GPU and 20 GB of disk.

The cost of a step does not depend on the weights' values. Loading, training and rendering use the production code.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from bench.figures import Figure, show
from bench.real_checkpoints import SANA, SDXL, Size
from dti.families import Family, load
from dti.render import PictureWork, Renderer
from dti.spec.registry import METHODS
from dti.training.trainer import Trainer, TrainingWork
from service.catalogue.models import ModelEntry, preset

T = TypeVar("T")

_PICTURES = 4
_UPDATES = 10
_RENDERINGS = 3


@dataclass(frozen=True)
class MeasuredModel:
    """A model to measure.

    Args:
        entry: the preset, with users' default sizes, steps, guidance and batch size.
        size: size of the checkpoint.
    """

    entry: ModelEntry
    size: Size


MODELS = (MeasuredModel(preset("sdxl"), SDXL), MeasuredModel(preset("sana-1.6b"), SANA))


def main() -> None:
    """Measure both models on this machine's GPU and print the table."""
    if not torch.cuda.is_available():
        sys.exit("There is no GPU here: models of real size cannot be measured. Nothing was run.")
    figures: list[Figure] = []
    for model in MODELS:
        with tempfile.TemporaryDirectory(prefix="dti-bench-") as folder:
            model.size.write(Path(folder), torch.device("cuda"))
            figures += measure(model.entry, Path(folder))
        torch.cuda.empty_cache()
    show(figures)


def measure(entry: ModelEntry, folder: Path) -> Iterator[Figure]:
    """Load a checkpoint, train on it and render with it.

    Args:
        entry: the preset.
        folder: the checkpoint.
    """
    loading_s, family = _timed(lambda: load(entry.family, folder, offload=entry.offload))
    yield Figure(f"{entry.name}: loading from disk", loading_s, "s")
    yield Figure(f"{entry.name}: weights on the device", _memory_gb(), "GB")
    yield from _training(entry, family)
    yield from _rendering(entry, family)


def _training(entry: ModelEntry, family: Family) -> Iterator[Figure]:
    settings = METHODS["dti"].settings(seed=0, **{**entry.training_by("dti"), "steps": _UPDATES + 1})
    label = f"{entry.name}: update of batch {settings.batch_size} at {settings.resolution} px"
    _reset_peak()
    trainer = Trainer(family)
    work = TrainingWork(
        pictures=[_noise(settings.resolution or entry.width, seed) for seed in range(_PICTURES)],
        captions=[None] * _PICTURES,
        class_word="dog",
        trigger="thing",
        method="dti",
        learnable_property="object",
        settings=settings,
    )
    admission_s, _ = _timed(lambda: trainer.admit(work))
    yield Figure(f"{entry.name}: admission of a training with {_PICTURES} pictures", admission_s, "s")
    first_s, *others_s = [_timed(trainer.advance)[0] for _ in range(settings.steps)]
    yield Figure(f"{label}, first", first_s, "s")
    yield Figure(label, statistics.median(others_s), "s")
    yield Figure(f"{label}, peak memory", _peak_gb(), "GB")


def _rendering(entry: ModelEntry, family: Family) -> Iterator[Figure]:
    label = f"{entry.name}: picture of {entry.steps} steps at {entry.width} px"
    _reset_peak()
    first_s, *others_s = [_timed(lambda: _picture(entry, family))[0] for _ in range(_RENDERINGS)]
    yield Figure(f"{label}, first", first_s, "s")
    yield Figure(label, statistics.median(others_s), "s")
    yield Figure(f"{label}, peak memory", _peak_gb(), "GB")


def _picture(entry: ModelEntry, family: Family) -> None:
    """Render one picture; non-finite latents from random weights do not affect the cost."""
    renderer = Renderer(family)
    renderer.admit(
        PictureWork(
            prompt="a photo of a dog on the beach",
            concepts={},
            width=entry.width,
            height=entry.height,
            steps=entry.steps,
            guidance_scale=entry.guidance_scale,
            scheduler=entry.scheduler,
            seed=0,
        )
    )
    while renderer.slots:
        renderer.advance()


def _noise(side_px: int, seed: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side_px, side_px, 3), dtype=np.uint8))


def _timed(function: Callable[[], T]) -> tuple[float, T]:
    """Duration of a call in seconds, device work included, and its result."""
    start = time.perf_counter()
    result = function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start, result


def _reset_peak() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def _memory_gb() -> float:
    return torch.cuda.memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0


def _peak_gb() -> float:
    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else 0.0


if __name__ == "__main__":
    main()
