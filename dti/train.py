"""The trainer: concepts of many users, learned together, one update at a time.

Owns what a training in progress is (its rows, optimizer, random generator, latents and count), the batch that all
share, and its checkpoint. It knows no family and no method by name, no queue and no file; it calls nobody back.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from dti.embedding import Embedding
from dti.errors import DTIError
from dti.families.base import Family
from dti.spec import Property, Training


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingWork:
    """One concept to learn.

    Attributes:
        pictures: of the concept, oriented; any mode and size.
        captions: per picture what it shows, with {} for the concept, or None.
        class_word: what kind of thing it is.
        trigger: the concept's bare name.
        method: a name of `dti.methods.METHODS`.
        property: an object or a style.
        settings: with seed and resolution filled in.
        initial: rows to go on from; None to start at the class word.
    """

    pictures: Sequence[Image.Image]
    captions: Sequence[str | None]
    class_word: str
    trigger: str
    method: str
    property: Property
    settings: Training
    initial: Embedding | None = None


class Run:
    """A training in progress, or done.

    Attributes:
        work: what was asked.
        step: updates made.
        total: updates in all.
        loss: the denoising loss of the last update; None before the first.
    """

    work: TrainingWork
    step: int
    total: int
    loss: float | None

    @property
    def angle_rad(self) -> float:
        """How far the rows have turned from where they started, as a mean over rows and encoders."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether all updates are made."""
        raise NotImplementedError

    def embedding(self) -> Embedding:
        """The concept as learned so far."""
        raise NotImplementedError

    def checkpoint(self) -> bytes:
        """All that is needed to go on from here exactly as if there had been no stop, as a safetensors file."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Update:
    """What one update did to a run.

    Attributes:
        run: whose.
        loss: the denoising loss, before the update; not finite where the run diverged.
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

    def admit(self, work: TrainingWork, checkpoint: bytes | None = None) -> Run:
        """Take a training on: its pictures are encoded here, once.

        Args:
            work: what to learn.
            checkpoint: of the same work, to go on from; None to start.

        Raises:
            NoPicturesError: there is nothing to learn from.
            PromptTooLongError: a caption or template does not fit the encoder.
            InvalidSettingError: the class word has no tokens, or the resolution does not suit the model.
            EmbeddingMismatchError: `initial` belongs to another model.
            CheckpointError: the checkpoint is of other work, or damaged.
        """
        raise NotImplementedError

    def advance(self) -> list[Update]:
        """One update of every run, in one forward and backward per picture size.

        Returns:
            One update per run, in order. Runs that are finished or diverged are no longer among the runs.
        """
        raise NotImplementedError

    def dismiss(self, run: Run) -> None:
        """Give a training up; its rows stay readable."""
        self.runs.remove(run)
