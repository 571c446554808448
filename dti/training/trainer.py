"""The trainer: independent runs updated together, in one forward and backward pass per latent size and micro-batch.

It owns the shared batch. It knows no family or method by name, no queue and no file, and has no callbacks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from dti.errors import DTIError, TrainingDivergedError
from dti.families.base import Family
from dti.training.run import Draw, Run, TrainingWork, start
from dti.transfers import upload

__all__ = ["Run", "Trainer", "TrainingWork", "Update"]


@dataclass(frozen=True, slots=True)
class Update:
    """Result of one update of a run.

    Attributes:
        run: the run.
        loss: denoising loss before the update.
        angle_rad: mean rotation of the rows since the start, after the update.
        error: reason for an early end; the run keeps its last finite rows, and other runs are unaffected.
    """

    run: Run
    loss: float
    angle_rad: float
    error: DTIError | None


class Trainer:
    """The training runs on one model, owned by one thread.

    A run alone is reproducible bit for bit on a CPU; in a batch with others, or in micro-batches, it differs by
    rounding.

    Args:
        family: the model.
        micro_batch: maximum number of pictures in one forward and backward pass; gradients accumulate over the passes
            of an update. None for all pictures at once.

    Attributes:
        runs: in order of admission.
        micro_batch: as given; may change between updates.
    """

    def __init__(self, family: Family, micro_batch: int | None = None) -> None:
        self.runs: list[Run] = []
        self.micro_batch = micro_batch
        self._family = family

    def admit(self, work: TrainingWork, checkpoint: bytes | None = None) -> Run:
        """Add a training and encode its pictures.

        Args:
            work: the concept to learn.
            checkpoint: checkpoint of the same work to resume; None to start afresh.

        Returns:
            The run. It is added to `runs` unless its checkpoint was the final one.

        Raises:
            DTIError: see `dti.training.run.start`.
        """
        run = start(work, self._family, checkpoint, self.micro_batch)
        if not run.finished:
            self.runs.append(run)
        return run

    def advance(self) -> list[Update]:
        """Update every run once.

        Returns:
            One update per run. Finished and diverged runs are removed from `runs`.
        """
        if not self.runs:
            return []
        sizes = dict.fromkeys(run.size for run in self.runs)
        groups = [[run for run in self.runs if run.size == size] for size in sizes]
        losses = torch.cat([_accumulate(runs, self._family, self.micro_batch) for runs in groups])
        updates = _apply([run for runs in groups for run in runs], losses)
        ended = [update.run for update in updates if update.run.finished or update.error is not None]
        self.runs = [run for run in self.runs if run not in ended]
        return updates

    def dismiss(self, run: Run) -> None:
        """Remove a run; its rows stay readable."""
        self.runs.remove(run)


def _accumulate(runs: Sequence[Run], family: Family, micro_batch: int | None) -> Tensor:
    """Compute the gradients of runs of equal latent size.

    Returns:
        Denoising loss per run, `(len(runs),)`, on the device.
    """
    draws = [run.draw() for run in runs]
    latents, weights = torch.cat([draw.latents for draw in draws]), torch.cat([draw.weights for draw in draws])
    prompts = [prompt for draw in draws for prompt in draw.prompts]
    views = [view for draw in draws for view in draw.views]
    sizes = [run.work.settings.batch_size for run in runs]
    generators = [run.state.generator for run, size in zip(runs, sizes, strict=True) for _ in range(size)]
    # The losses are summed for one backward pass: the runs' rows are disjoint, so each gradient is its own run's, and a
    # picture whose loss is not finite reaches the rows of its own run only.
    shares = [run.loss_scale.value / size for run, size in zip(runs, sizes, strict=True) for _ in range(size)]
    (factors,) = upload([torch.tensor(shares)], family.device)
    losses = []
    for part in _parts(len(prompts), micro_batch):
        conditioning = family.condition(prompts[part], views[part])
        loss = family.loss(latents[part], weights[part], conditioning, generators[part])
        torch.autograd.backward(loss, factors[part])
        losses.append(loss.detach())
    _backward_to_parameters(runs, draws)
    return torch.stack([share.mean() for share in torch.split(torch.cat(losses), sizes)])


def _parts(count: int, micro_batch: int | None) -> Iterator[slice]:
    """Consecutive parts of a batch, as equal as possible, of at most `micro_batch` pictures."""
    passes = -(-count // (micro_batch or count))
    bounds = [count * index // passes for index in range(passes + 1)]
    for first, end in pairwise(bounds):
        yield slice(first, end)


def _backward_to_parameters(runs: Sequence[Run], draws: Sequence[Draw]) -> None:
    """Carry the rows' accumulated gradients on to the parameters, and add the prior's: once an update."""
    roots, gradients = [], []
    for run, draw in zip(runs, draws, strict=True):
        for name, leaf in draw.leaves.items():
            if leaf.grad is not None:
                roots.append(draw.vectors[name])
                gradients.append(leaf.grad)
        penalty = run.penalty()
        if penalty.requires_grad:
            roots.append(penalty)
            gradients.append(torch.full_like(penalty, run.loss_scale.value))
    torch.autograd.backward(roots, gradients)


def _apply(runs: Sequence[Run], losses: Tensor) -> list[Update]:
    """Update the rows of all runs; the host waits twice: for losses and checks, and for the rotations."""
    finite = [torch.stack([gradient.isfinite().all() for gradient in run.gradients]).all() for run in runs]
    values, checks = torch.stack([losses, torch.stack(finite).to(losses)]).tolist()
    errors = [_update(*given) for given in zip(runs, values, checks, strict=True)]
    angles = torch.stack([run.rotation() for run in runs]).tolist()
    return [Update(*given) for given in zip(runs, values, angles, errors, strict=True)]


def _update(run: Run, loss: float, finite: float) -> DTIError | None:
    try:
        run.update(loss, finite=bool(finite))
    except TrainingDivergedError as error:
        return error
    return None
