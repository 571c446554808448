"""Trains the scorer on rendered pictures, half of them passed through the autoencoder, and measures it on unseen ones.

It knows pictures and scenes, and nothing of the later evaluation.
"""

import logging
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from tools.tiny.autoencoder import to_unit
from tools.tiny.scorer.network import ATTRIBUTES, Scorer, classes
from tools.tiny.world import Scene

log = logging.getLogger(__name__)

LEARNING_RATE = 2e-3
BATCH = 64
BLUR_NOISE = 0.04


def trained_part(count: int) -> int:
    """Say how many of a collection's pictures train the scorer: all but the last tenth, which measures it."""
    return count - count // 10


@torch.no_grad()
def _varied(pictures: Tensor, autoencoder: AutoencoderTiny, generator: torch.Generator) -> Tensor:
    """Pass half of a batch through the autoencoder and add a little noise to all of it."""
    half = len(pictures) // 2
    rebuilt = autoencoder.decode(autoencoder.encode(pictures[:half]).latents).sample
    mixed = torch.cat([rebuilt, pictures[half:]])
    return mixed + BLUR_NOISE * torch.randn(mixed.shape, generator=generator, device=mixed.device)


def train_scorer(
    pictures: npt.NDArray[np.uint8],
    scenes: list[Scene],
    autoencoder: AutoencoderTiny,
    steps: int,
    device: torch.device,
) -> Scorer:
    """Train a scorer on the first nine tenths of a collection.

    Args:
        pictures: `(n, 64, 64, 3)` in bytes.
        scenes: the scene of each picture.
        autoencoder: trained; half of each batch passes through it.
        steps: updates of 64 pictures; the learning rate rises for a tenth of them and then falls to nothing.
        device: where to train.

    Returns:
        The scorer, ready to judge.
    """
    torch.manual_seed(0)
    scorer = Scorer().to(device).train()
    wanted = torch.tensor([classes(scene) for scene in scenes], device=device)
    optimizer = torch.optim.AdamW(scorer.parameters(), LEARNING_RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    rng, generator = np.random.default_rng(1), torch.Generator(device).manual_seed(1)
    for step in range(steps):
        chosen = rng.integers(trained_part(len(scenes)), size=BATCH)
        scores = scorer(_varied(to_unit(pictures[chosen]).to(device), autoencoder, generator))
        losses = [cross_entropy(scores[name], wanted[chosen, column]) for column, name in enumerate(ATTRIBUTES)]
        loss = torch.stack(losses).sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            log.info("scorer step %d loss %.3f", step, loss.item())
    return scorer.eval()


@torch.no_grad()
def accuracy(scorer: Scorer, pictures: npt.NDArray[np.uint8], scenes: list[Scene]) -> dict[str, float]:
    """Measure on pictures with known scenes which share of each attribute the scorer names right."""
    scores = scorer(to_unit(pictures).to(next(scorer.parameters()).device))
    wanted = torch.tensor([classes(scene) for scene in scenes])
    guesses = {name: scores[name].argmax(1).cpu() for name in ATTRIBUTES}
    return {name: float((guesses[name] == wanted[:, column]).float().mean()) for column, name in enumerate(ATTRIBUTES)}


def save_scorer(scorer: Scorer, path: Path) -> None:
    """Write the scorer's weights in half precision; counters of batch normalisation stay whole."""
    weights = scorer.state_dict().items()
    save_file({n: (w.half() if w.is_floating_point() else w).contiguous().cpu() for n, w in weights}, path)
