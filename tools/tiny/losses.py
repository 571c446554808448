"""Measures the denoising loss on true pictures, inside and outside the object's mask, on fixed draws.

No picture is sampled: the same scenes, times and noises serve every row that is compared, so differences are paired.
That makes it the most sensitive judge of a likeness. It knows states and latents, not concepts or methods.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor
from torch.nn.functional import avg_pool2d

from tools.tiny.autoencoder import PATCH, to_unit
from tools.tiny.captions import Caption, compose
from tools.tiny.dataset import Sample
from tools.tiny.reading import read, tokenize

TIMES = 8


@dataclass(frozen=True)
class Draws:
    """Fixed noised latents `(n, ...)` of true pictures, their times and targets, the object's share of every cell."""

    captions: Sequence[Caption]
    noisy: Tensor
    times: Tensor
    targets: Tensor
    inside: Tensor


@dataclass(frozen=True)
class Losses:
    """Mean squared error of the velocity inside and outside the object's mask."""

    inside: float
    outside: float


@torch.no_grad()
def make_draws(pipeline: StableDiffusionPipeline, samples: Sequence[Sample], seed: int) -> Draws:
    """Noise every sample at `TIMES` times, one from each of as many equal stretches.

    Args:
        pipeline: gives the autoencoder and the noise schedule.
        samples: true pictures with their scenes and masks.
        seed: of captions, times and noises.
    """
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    captions = [compose(sample.scene, rng, word=sample.scene.subject) for sample in samples for _ in range(TIMES)]
    latents = pipeline.vae.encode(to_unit(np.stack([sample.picture for sample in samples]))).latents
    latents = latents.repeat_interleave(TIMES, 0)
    masks = torch.tensor(np.stack([sample.mask for sample in samples]))[:, None].float() / 255
    alphas = pipeline.scheduler.alphas_cumprod
    stretches = torch.arange(TIMES).repeat(len(samples))
    shares = (stretches + torch.rand(len(latents), generator=generator)) / TIMES
    times = (shares * len(alphas)).long()
    signal = alphas[times].sqrt()[:, None, None, None]
    spoiled = (1 - alphas[times]).sqrt()[:, None, None, None]
    noise = torch.randn(latents.shape, generator=generator)
    inside = avg_pool2d(masks, PATCH).repeat_interleave(TIMES, 0)
    return Draws(captions, signal * latents + spoiled * noise, times, signal * noise - spoiled * latents, inside)


@torch.no_grad()
def losses(pipeline: StableDiffusionPipeline, draws: Draws, row: Tensor | None) -> Losses:
    """Measure fixed draws with a row in place of the noun of every caption.

    Args:
        pipeline: the checkpoint.
        draws: of one concept.
        row: `(width,)`; the word's own row where None.
    """
    ids, nouns, _ = tokenize(pipeline.tokenizer, draws.captions)
    rows = None if row is None else row.expand(len(ids), -1)
    states = read(pipeline.text_encoder, ids, rows, (torch.arange(len(ids)), nouns))
    parts = zip(*(torch.split(part, 64) for part in (draws.noisy, draws.times, states)), strict=True)
    velocity = torch.cat([pipeline.unet(noisy, times, heard).sample for noisy, times, heard in parts])
    errors = (velocity - draws.targets).square().mean(1, keepdim=True)
    outside = 1 - draws.inside
    return Losses(
        float((errors * draws.inside).sum() / draws.inside.sum()), float((errors * outside).sum() / outside.sum())
    )
