"""What a batch of strangers costs: eight concepts at once against one concept eight times, and each drawn alone."""

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
"""Pairs: the machine may be noisy, but it is equally so for both of a pair."""


def measure() -> Iterator[Figure]:
    """Render the same eight pictures with eight concepts and with one, side by side, and compare pair by pair."""
    family = load(TINY)
    concepts = [_concept(family, seed) for seed in range(CONCEPTS)]
    strangers = [_work(concept, seed) for seed, concept in enumerate(concepts)]
    twins = [_work(concepts[0], seed) for seed in range(CONCEPTS)]
    together = _rendered(family, strangers)
    pairs = [(_seconds(family, twins), _seconds(family, strangers)) for _ in range(ROUNDS)]
    alone = [picture for work in strangers for picture in _rendered(family, [work])]
    worst = max(np.abs(_pixels(a) - _pixels(b)).max() for a, b in zip(alone, together, strict=True))
    yield Figure(
        "8 concepts in one batch: throughput against 1 concept 8 times",
        statistics.median(twin / stranger for twin, stranger in pairs),
        "",
        0.95,
        least=True,
    )
    yield Figure("8 concepts in one batch: greatest difference from alone", float(worst), "/255", 1)
    yield Figure("8 pictures of 20 steps in one batch", statistics.median(stranger for _, stranger in pairs), "s")


def _seconds(family: Family, works: Sequence[PictureWork]) -> float:
    start = time.perf_counter()
    _rendered(family, works)
    return time.perf_counter() - start


def _concept(family: Family, seed: int) -> Embedding:
    """A concept somewhere on the sphere: what it shows does not matter for what it costs."""
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
