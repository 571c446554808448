"""Cost of mixed batches: eight concepts in one batch against one concept eight times, and against separate renders."""

import statistics
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image

from bench.figures import Figure
from dti.embeddings.embedding import Embedding, Rows
from dti.families import Family
from dti.render import PictureWork, Renderer
from dti.sphere import normalize
from service.catalogue.models import TINY
from worker.model_cache import load

CONCEPTS = 8
ROUNDS = 11
"""Paired measurements, because noise of the machine affects both of a pair alike."""


def measure() -> Iterator[Figure]:
    """Render eight pictures with eight concepts and with one concept, alternately, and compare pairwise."""
    family = load(TINY)
    concepts = [_concept(family, seed) for seed in range(CONCEPTS)]
    mixed = [_work(concept, seed) for seed, concept in enumerate(concepts)]
    uniform = [_work(concepts[0], seed) for seed in range(CONCEPTS)]
    together = _rendered(family, mixed)
    pairs = [(_seconds(family, uniform), _seconds(family, mixed)) for _ in range(ROUNDS)]
    alone = [picture for work in mixed for picture in _rendered(family, [work])]
    worst = max(np.abs(_pixels(a) - _pixels(b)).max() for a, b in zip(alone, together, strict=True))
    yield Figure(
        "8 concepts in one batch: throughput against 1 concept 8 times",
        statistics.median(uniform_s / mixed_s for uniform_s, mixed_s in pairs),
        "",
        0.95,
        minimum=True,
    )
    yield Figure("8 concepts in one batch: greatest difference from alone", float(worst), "/255", 1)
    yield Figure("8 pictures of 20 steps in one batch", statistics.median(mixed_s for _, mixed_s in pairs), "s")


def _seconds(family: Family, works: Sequence[PictureWork]) -> float:
    start = time.perf_counter()
    _rendered(family, works)
    return time.perf_counter() - start


def _concept(family: Family, seed: int) -> Embedding:
    """A random concept: its content does not affect the cost."""
    generator = torch.Generator().manual_seed(seed)
    rows = {
        name: Rows(normalize(torch.randn(1, encoder.width, generator=generator)), torch.full((1, 1), 0.4))
        for name, encoder in family.encoders.items()
    }
    return Embedding(
        rows=rows,
        trigger="thing",
        class_word="dog",
        family=family.name,
        fingerprint=family.fingerprint,
        method="dti",
        settings={},
        steps=0,
    )


def _work(concept: Embedding, seed: int) -> PictureWork:
    return PictureWork(
        prompt="a photo of <thing>",
        concepts={"thing": concept},
        width=TINY.width,
        height=TINY.height,
        steps=TINY.steps,
        guidance_scale=TINY.guidance_scale,
        scheduler=TINY.scheduler,
        seed=seed,
    )


def _rendered(family: Family, works: Sequence[PictureWork]) -> list[Image.Image]:
    renderer = Renderer(family)
    slots = [renderer.admit(work) for work in works]
    while renderer.slots:
        renderer.advance()
    return [slot.picture for slot in slots if slot.picture is not None]


def _pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(int)
