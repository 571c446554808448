"""Work for the engines in tests: concepts, pictures to render, concepts to train."""

import numpy as np
import torch
from PIL import Image

from dti.embeddings.embedding import Embedding, Rows
from dti.pictures import View
from dti.render import PictureWork, Renderer
from dti.spec.prompts import parse_prompt
from dti.spec.registry import METHODS
from dti.tokens import tokenize
from dti.training.trainer import Trainer, TrainingWork


def concept(family, trigger="my-dog", *, seed=1, vectors=1):
    """A random concept for this model."""
    generator = torch.Generator().manual_seed(seed)
    rows = {}
    for name, encoder in family.encoders.items():
        v = torch.randn(vectors, encoder.width, generator=generator)
        rows[name] = Rows(v / v.norm(dim=-1, keepdim=True), torch.full((vectors, 1), 0.4))
    return Embedding(
        rows=rows,
        trigger=trigger,
        class_word="dog",
        family=family.name,
        fingerprint=family.fingerprint,
        method="dti",
        settings={},
        steps=0,
    )


def picture_work(family, **fields):
    given = {
        "prompt": "a photo of <my-dog> on the beach",
        "concepts": {"my-dog": concept(family)},
        "width": 32,
        "height": 32,
        "steps": 4,
        "guidance_scale": 4.0,
        "scheduler": family.schedulers[-1],
        "seed": 7,
    }
    return PictureWork(**given | fields)


def unguided(family):
    """The guidance scale that disables guidance in this family."""
    return next(scale for scale in (1.0, 0.0) if family.guidance(scale) == 1)


def rendered(family, *works):
    """The works' pictures as arrays, rendered in one batch."""
    renderer = Renderer(family)
    slots = [renderer.admit(work) for work in works]
    while renderer.slots:
        renderer.advance()
    return [np.asarray(slot.picture, dtype=int) for slot in slots]


def pictures(count=3, width=40, height=34, seed=0):
    rng = np.random.default_rng(seed)
    return [Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8)) for _ in range(count)]


def training_work(*, method="dti", seed=3, steps=6, batch_size=2, **fields):
    given = {
        "pictures": pictures(),
        "captions": [None, "a red {} on the beach", None],
        "class_word": "dog",
        "trigger": "my-dog",
        "method": method,
        "learnable_property": "object",
        # Assessing three pictures takes longer than training on them; `test_selection` covers it.
        "settings": METHODS[method].settings(
            seed=seed, resolution=32, steps=steps, batch_size=batch_size, selection=False
        ),
    }
    return TrainingWork(**given | fields)


def trained(family, work, checkpoint=None):
    """The work's finished run, trained alone."""
    trainer = Trainer(family)
    run = trainer.admit(work, checkpoint)
    while trainer.runs:
        trainer.advance()
    return run


def conditioning(family, *prompts):
    """The denoiser's inputs for prompts without concepts."""
    spliced = [tokenize(parse_prompt(prompt), family.encoders, {}).splice({}) for prompt in prompts]
    return family.condition(spliced, [View.whole(32, 32)] * len(spliced))


def evenly(latents):
    """Equal weights for all latent positions."""
    return torch.ones_like(latents[:, :1])


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def random_pixels(count, seed=0):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def by_coefficients(plan, noise, denoiser, *, start=None):
    """The latents that a schedule ends with, from unit noise or from given latents with `start` 1."""
    x = (plan.start if start is None else start) * noise
    earlier, before = x, torch.zeros_like(noise)
    generator = torch.Generator().manual_seed(99)
    for time, (p, q, a, b, c, d, n) in zip(plan.times, plan.coefficients, strict=True):
        clean = p * x + q * denoiser(x, time)
        fresh = torch.randn(x.shape, generator=generator) if n else torch.zeros_like(x)
        x, earlier, before = a * x + b * clean + c * before + d * earlier + n * fresh, x, clean
    return x
