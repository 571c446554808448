"""Trains the judges on rendered pictures, half of them passed through the autoencoder; measures them on unseen ones.

The judges may know every look, the held-out ones too: only the model that they judge may not. The module knows pictures
and their classes.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from tools.tiny.autoencoder import to_unit
from tools.tiny.muon import Muon
from tools.tiny.scorer.network import ATTRIBUTES, IGNORED, NONE, LookScorer, Scorer, classes, load_scorer, named
from tools.tiny.world import Scene

log = logging.getLogger(__name__)

MATRIX_RATE, LEARNING_RATE = 6e-3, 2e-3
BATCH = 64
REBUILT_SHARE = 0.25  # of the first pictures: they are also shown as the autoencoder gives them back
SHIFT_PX = 3
BLUR_NOISE = 0.04
Judge = TypeVar("Judge", bound=nn.Module)
Pictures = npt.NDArray[np.uint8]


def trained_part(count: int) -> int:
    """Say how many of a collection's pictures train a judge: all but the last tenth, which measures it."""
    return count - count // 10


def shifted(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Move every picture `(3, h, w)` of a batch by up to `SHIFT_PX`; edges repeat."""
    side = pictures.shape[-1]
    wide = pad(pictures, (SHIFT_PX,) * 4, mode="replicate")
    corners = rng.integers(2 * SHIFT_PX + 1, size=(len(pictures), 2)).tolist()
    return torch.stack([part[:, y : y + side, x : x + side] for part, (y, x) in zip(wide, corners, strict=True)])


@torch.no_grad()
def rebuild(pictures: Pictures, autoencoder: AutoencoderTiny) -> Pictures:
    """Pass pictures `(n, 64, 64, 3)` through the autoencoder."""
    device = next(autoencoder.parameters()).device
    parts = []
    for start in range(0, len(pictures), BATCH):
        latents = autoencoder.encode(to_unit(pictures[start : start + BATCH]).to(device)).latents
        decoded = autoencoder.decode(latents).sample.clamp(-1, 1).permute(0, 2, 3, 1)
        parts.append(((decoded + 1) * 127.5).round().byte().cpu().numpy())
    return np.concatenate(parts)


class _Optimizer:
    """Muon for the convolutions, Adam for the rest; rates rise for a tenth of the steps and then fall to nothing."""

    def __init__(self, judge: nn.Module, steps: int) -> None:
        matrices = [weight for weight in judge.parameters() if weight.ndim == 4]  # noqa: PLR2004
        rest = [weight for weight in judge.parameters() if weight.ndim != 4]  # noqa: PLR2004
        self._optimizers = (
            Muon(matrices, MATRIX_RATE, weight_decay=0.02),
            torch.optim.AdamW(rest, LEARNING_RATE, weight_decay=0.02),
        )
        self._steps = steps

    def step(self, number: int) -> None:
        """Move all weights; `number` counts the steps from 0."""
        share = min((number + 1) / (0.1 * self._steps), (self._steps - number) / (0.9 * self._steps), 1.0)
        for optimizer, rate in zip(self._optimizers, (MATRIX_RATE, LEARNING_RATE), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * share
            optimizer.step()
            optimizer.zero_grad()


def _fit(
    judge: Judge,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    pictures: Pictures,
    autoencoder: AutoencoderTiny,
    steps: int,
    *,
    first: int,
) -> Judge:
    """Train a judge.

    Args:
        judge: trained in place.
        loss_of: of a batch `(n, 3, 64, 64)` and the numbers `(n,)` of its pictures.
        pictures: `(n, 64, 64, 3)` in bytes.
        autoencoder: trained; a quarter of each batch passed through it.
        steps: updates of 64 pictures.
        first: so many pictures at the front make up half of every batch.

    Returns:
        The judge, ready to judge.
    """
    device = next(judge.parameters()).device
    judge.train()
    optimizer = _Optimizer(judge, steps)
    rebuilt = rebuild(pictures[: max(1, int(REBUILT_SHARE * first))], autoencoder)
    rng, generator = np.random.default_rng(1), torch.Generator(device).manual_seed(1)
    for step in range(steps):
        again, front = (rng.integers(count, size=BATCH // 4) for count in (len(rebuilt), first))
        chosen = np.concatenate([front, rng.integers(len(pictures), size=BATCH // 2)])
        batch = shifted(to_unit(np.concatenate([rebuilt[again], pictures[chosen]])).to(device), rng)
        batch += BLUR_NOISE * torch.randn(batch.shape, generator=generator, device=device)
        loss = loss_of(batch, torch.from_numpy(np.concatenate([again, chosen])))
        torch.autograd.backward(loss)
        optimizer.step(step)
        if step % 100 == 0:
            log.info("judge step %d loss %.3f", step, loss.item())
    return judge.eval()


def train_scorer(
    pictures: Pictures,
    scenes: Sequence[Scene],
    autoencoder: AutoencoderTiny,
    steps: int,
    device: torch.device,
    *,
    first: int,
    start: Path | None = None,
) -> Scorer:
    """Train a scorer of attributes, from the weights of `start` if given; see `_fit`."""
    torch.manual_seed(0)
    scorer = Scorer().to(device)
    if start is not None:
        scorer.load_state_dict(load_scorer(start).state_dict())
    wanted = torch.tensor([classes(scene) for scene in scenes], device=device)

    def loss_of(batch: Tensor, chosen: Tensor) -> Tensor:
        scores, targets = scorer(batch), wanted[chosen]
        losses = [
            cross_entropy(scores[name], targets[:, column], ignore_index=IGNORED)
            for column, name in enumerate(ATTRIBUTES)
            if (targets[:, column] != IGNORED).any()
        ]
        return torch.stack(losses).sum()

    return _fit(scorer, loss_of, pictures, autoencoder, steps, first=first)


def train_look_scorer(
    pictures: Pictures, concepts: npt.NDArray[np.int64], autoencoder: AutoencoderTiny, steps: int, device: torch.device
) -> LookScorer:
    """Train a look scorer on true pictures with the number of each one's concept."""
    torch.manual_seed(0)
    scorer = LookScorer(int(concepts.max())).to(device)
    wanted = torch.from_numpy(concepts).to(device)

    def loss_of(batch: Tensor, chosen: Tensor) -> Tensor:
        return cross_entropy(scorer(batch), wanted[chosen])

    return _fit(scorer, loss_of, pictures, autoencoder, steps, first=len(pictures))


@torch.no_grad()
def accuracy(scorer: Scorer, pictures: Pictures, scenes: Sequence[Scene]) -> dict[str, float]:
    """Measure on pictures with known scenes which share of each attribute the scorer names right, where it is there."""
    guesses = named(scorer, to_unit(pictures).to(next(scorer.parameters()).device))
    wanted = torch.tensor([classes(scene) for scene in scenes])
    shares = {}
    for column, name in enumerate(ATTRIBUTES):
        counted = wanted[:, column] != IGNORED
        if counted.any():
            shares[name] = float((guesses[name] == wanted[:, column])[counted].float().mean())
    return shares


@torch.no_grad()
def false_alarms(scorer: Scorer, pictures: Pictures, scenes: Sequence[Scene]) -> dict[str, float]:
    """Give the share of pictures without an attribute on which the scorer sees one all the same."""
    guesses = named(scorer, to_unit(pictures).to(next(scorer.parameters()).device))
    shares = {}
    for name, names in ATTRIBUTES.items():
        without = torch.tensor([names[0] == NONE and getattr(scene, name) is None for scene in scenes])
        if without.any():
            shares[name] = float((guesses[name][without] != 0).float().mean())
    return shares


def save_judge(judge: nn.Module, path: Path) -> None:
    """Write a judge's weights in half precision; counters of batch normalisation stay whole."""
    weights = judge.state_dict().items()
    save_file({n: (w.half() if w.is_floating_point() else w).contiguous().cpu() for n, w in weights}, path)
    path.chmod(0o644)
