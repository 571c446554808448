"""The trainer: independent runs updated together, in one forward and backward pass per latent size.

It owns the shared batch. It knows no family or method by name, no queue and no file, and has no callbacks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from dti.errors import DTIError, TrainingDivergedError
from dti.families.base import LOSS_SCALE, Family
from dti.training.run import Run, TrainingWork, start

__all__ = ["Run", "Trainer", "TrainingWork", "Update"]


@dataclass(frozen=True, slots=True)
class Update:
    """Result of one update of a run.

    Attributes:
        run: the run.
        loss: denoising loss before the update.
        error: reason for an early end; the run keeps its last finite rows, and other runs are unaffected.
    """

    run: Run
    loss: float
    error: DTIError | None


class Trainer:
    """The training runs on one model, owned by one thread.

    A run alone is reproducible bit for bit; in a batch with others it differs by rounding.

    Attributes:
        runs: in order of admission.
    """

    def __init__(self, family: Family) -> None:
        self.runs: list[Run] = []
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
        run = start(work, self._family, checkpoint)
        if not run.finished:
            self.runs.append(run)
        return run

    def advance(self) -> list[Update]:
        """Update every run once.

        Returns:
            One update per run. Finished and diverged runs are removed from `runs`.
        """
        sizes = dict.fromkeys(run.size for run in self.runs)
        updates = [
            update for size in sizes for update in _update([run for run in self.runs if run.size == size], self._family)
        ]
        ended = [update.run for update in updates if update.run.finished or update.error is not None]
        self.runs = [run for run in self.runs if run not in ended]
        return updates

    def dismiss(self, run: Run) -> None:
        """Remove a run; its rows stay readable."""
        self.runs.remove(run)


def _update(runs: Sequence[Run], family: Family) -> list[Update]:
    """Update runs of equal latent size."""
    draws = [run.draw() for run in runs]
    losses = family.loss(
        torch.cat([draw.latents for draw in draws]),
        torch.cat([draw.weights for draw in draws]),
        family.condition(
            [prompt for draw in draws for prompt in draw.prompts], [view for draw in draws for view in draw.views]
        ),
        [run.state.generator for run in runs for _ in range(run.work.settings.batch_size)],
    )
    means = [share.mean() for share in torch.split(losses, [run.work.settings.batch_size for run in runs])]
    values = torch.stack(means).tolist()
    # The runs' losses are summed for one backward pass: their rows are disjoint, so each gradient is its own run's.
    # A non-finite loss must stay out of the sum, because it would make every gradient non-finite.
    finite = [
        mean + run.penalty() for run, mean, value in zip(runs, means, values, strict=True) if math.isfinite(value)
    ]
    if finite:
        torch.autograd.backward(LOSS_SCALE * torch.stack(finite).sum())
    return [_apply(run, value) for run, value in zip(runs, values, strict=True)]


def _apply(run: Run, loss: float) -> Update:
    try:
        run.update(loss, LOSS_SCALE)
    except TrainingDivergedError as error:
        return Update(run, loss, error)
    return Update(run, loss, None)
