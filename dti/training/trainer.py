"""The trainer: concepts of many users, learned together, one update at a time.

Owns the batch that all runs share, and that none feels the others. `dti.training.run` describes
one run. It knows no family and no method by name, no queue and no file, and has no callbacks.
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
    """What one update did to a run.

    Attributes:
        run: whose.
        loss: the denoising loss, before the update.
        error: why the run ended early; its last good rows are kept, and its neighbours felt nothing.
    """

    run: Run
    loss: float
    error: DTIError | None


class Trainer:
    """The trainings in progress on one model. One thread owns it.

    Alone a training is the same bit for bit every time; in company it differs by rounding.

    Attributes:
        runs: in order of admission.
    """

    def __init__(self, family: Family) -> None:
        self.runs: list[Run] = []
        self._family = family

    def admit(self, work: TrainingWork, checkpoint: bytes | None = None) -> Run:
        """Take a training on: its pictures are encoded here, once.

        Args:
            work: what to learn.
            checkpoint: of the same work, to go on from; None to start.

        Returns:
            The run; it is among the runs unless its checkpoint was the last one.

        Raises:
            NoPicturesError: there is nothing to learn from.
            PromptTooLongError: a caption or template does not fit the encoder.
            UnknownTriggerError: a caption names another concept.
            InvalidSettingError: the class word has no tokens, or the resolution does not suit the model.
            EmbeddingMismatchError: `initial` belongs to another model.
            CheckpointError: the checkpoint is of other work, or damaged.
        """
        run = start(work, self._family, checkpoint)
        if not run.finished:
            self.runs.append(run)
        return run

    def advance(self) -> list[Update]:
        """One update of every run, in one forward and backward per picture size.

        Returns:
            One update per run. Runs that are finished or diverged are no longer among the runs.
        """
        sizes = dict.fromkeys(run.size for run in self.runs)
        updates = [
            update for size in sizes for update in _update([run for run in self.runs if run.size == size], self._family)
        ]
        ended = [update.run for update in updates if update.run.finished or update.error is not None]
        self.runs = [run for run in self.runs if run not in ended]
        return updates

    def dismiss(self, run: Run) -> None:
        """Give a training up; its rows stay readable."""
        self.runs.remove(run)


def _update(runs: Sequence[Run], family: Family) -> list[Update]:
    """One update of runs whose pictures are of one size."""
    drawn = [run.draw() for run in runs]
    losses = family.loss(
        torch.cat([draw.latents for draw in drawn]),
        torch.cat([draw.weights for draw in drawn]),
        family.condition(
            [prompt for draw in drawn for prompt in draw.prompts], [view for draw in drawn for view in draw.views]
        ),
        [run.state.generator for run in runs for _ in range(run.work.settings.batch_size)],
    )
    means = [share.mean() for share in torch.split(losses, [run.work.settings.batch_size for run in runs])]
    values = torch.stack(means).tolist()
    # A loss that is no number stays out of the sum: its gradients would be none either.
    sound = [mean + run.penalty() for run, mean, value in zip(runs, means, values, strict=True) if math.isfinite(value)]
    if sound:
        torch.autograd.backward(LOSS_SCALE * torch.stack(sound).sum())
    return [_moved(run, value) for run, value in zip(runs, values, strict=True)]


def _moved(run: Run, loss: float) -> Update:
    try:
        run.follow(loss, LOSS_SCALE)
    except TrainingDivergedError as error:
        return Update(run, loss, error)
    return Update(run, loss, None)
