"""What a batch of strangers costs: eight concepts at once against one concept eight times, and each drawn alone."""

import statistics
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image

from bench.figures import Figure
from dti.embedding import Embedding, Rows
from dti.families import Family
from dti.render import PictureWork, Renderer
from dti.sphere import normalize
from service.models import TINY
from worker.desk import load

CONCEPTS = 8
ROUNDS = 5


def measure() -> Iterator[Figure]:
    """Render the same eight pictures with eight concepts and with one, in turn, and compare the medians."""
    family = load(TINY)
    concepts = [_concept(family, seed) for seed in range(CONCEPTS)]
    strangers = [_work(concept, seed) for seed, concept in enumerate(concepts)]
    twins = [_work(concepts[0], seed) for seed in range(CONCEPTS)]
    _rendered(family, strangers)
    times: dict[str, list[float]] = {"strangers": [], "twins": []}
    for _ in range(ROUNDS):
        for name, works in (("strangers", strangers), ("twins", twins)):
            start = time.perf_counter()
            together = _rendered(family, works)
            times[name].append(time.perf_counter() - start)
            if name == "strangers":
                pictures = together
    median = {name: statistics.median(taken) for name, taken in times.items()}
    alone = [picture for work in strangers for picture in _rendered(family, [work])]
    worst = max(np.abs(_pixels(a) - _pixels(b)).max() for a, b in zip(alone, pictures, strict=True))
    ratio = median["twins"] / median["strangers"]
    yield Figure("8 concepts in one batch: throughput against 1 concept 8 times", ratio, "", 0.95, least=True)
    yield Figure("8 concepts in one batch: greatest difference from alone", float(worst), "/255", 1)
    yield Figure("8 pictures of 20 steps in one batch", median["strangers"], "s")


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
