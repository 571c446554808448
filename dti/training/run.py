"""A training run: the work, its mutable state, the random draws and the update of its rows.

`dti.training.trainer` batches the updates of several runs.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor

from dti.embeddings.embedding import Embedding
from dti.errors import InvalidSettingError, NoPicturesError, TrainingDivergedError
from dti.families.base import Family
from dti.methods import Method, create
from dti.optim import rate
from dti.pictures import View
from dti.spec.settings import LearnableProperty, Training
from dti.tokens import Placeholder, SplicedPrompt
from dti.training import dataset
from dti.training.checkpoint import Counts, State, pack, unpack
from dti.training.dataset import TrainingSet
from dti.training.loss_scale import LossScale
from dti.training.prompts import PromptCache


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingWork:
    """A concept to learn.

    Attributes:
        pictures: of the concept; any mode and size.
        captions: one per picture, with {} for the concept, or None.
        class_word: category of the concept.
        trigger: the concept's name, without angle brackets.
        method: a name of `dti.spec.registry.METHODS`.
        learnable_property: object or style.
        settings: with seed and resolution set.
        initial: embedding to continue from; None to start at the class word.
        original_sizes: widths and heights before the pictures were scaled down; None for their present ones. Models
            with size conditioning are told them.
    """

    pictures: Sequence[Image.Image]
    captions: Sequence[str | None]
    class_word: str
    trigger: str
    method: str
    learnable_property: LearnableProperty
    settings: Training
    initial: Embedding | None = None
    original_sizes: Sequence[tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """A run's share of one update.

    Attributes:
        latents: `(b, c, h, w)`.
        weights: `(b, 1, h, w)`.
        prompts: b prompts with the current rows.
        views: b views.
        vectors: the current rows by encoder, differentiable in the run's parameters.
        leaves: copies of `vectors` in the prompts; their gradients accumulate over micro-batches.
    """

    latents: Tensor
    weights: Tensor
    prompts: Sequence[SplicedPrompt]
    views: Sequence[View]
    vectors: Mapping[str, Tensor]
    leaves: Mapping[str, Tensor]


@dataclass(kw_only=True, eq=False, repr=False)
class Run:
    """A training in progress, or finished. `start` constructs it, fresh or from a checkpoint.

    Attributes:
        work: the work, without its pictures.
        family: the model that it trains on.
        method: the method.
        state: rows, optimizer and random generator.
        training_set: the selected pictures.
        prompts: tokenized prompts.
        digest: identifies work and model; stored in checkpoints.
        step: updates made.
        loss: denoising loss of the last update; None before the first.
        deck: indices of the pictures left before the next shuffle.
        loss_scale: factor of its loss before the backward pass.
    """

    work: TrainingWork
    family: Family
    method: Method[Any]
    state: State
    training_set: TrainingSet
    prompts: PromptCache
    digest: str
    step: int
    loss: float | None
    deck: list[int]
    loss_scale: LossScale

    @property
    def total(self) -> int:
        """Number of updates in total."""
        return self.work.settings.steps

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of the latents; runs of equal size are batched."""
        return tuple(self.training_set.crops[0].weights.shape[-2:])

    @property
    def finished(self) -> bool:
        """Whether all updates are made."""
        return self.step >= self.total

    @property
    def angle_rad(self) -> float:
        """Mean rotation of the rows since the start, over rows and encoders."""
        return float(self.rotation())

    def rotation(self) -> Tensor:
        """`angle_rad` as a scalar on the device, where reading it would make the host wait."""
        return torch.cat([self.method.rotation(learned) for learned in self.state.learned.values()]).mean()

    def embedding(self) -> Embedding:
        """The embedding as learned so far."""
        return Embedding(
            rows={name: self.method.finish(learned) for name, learned in self.state.learned.items()},
            trigger=self.work.trigger,
            class_word=self.work.class_word,
            family=self.family.name,
            fingerprint=self.family.fingerprint,
            method=self.method.name,
            settings=asdict(self.work.settings),
            steps=self.step,
        )

    def checkpoint(self) -> bytes:
        """The complete state as a safetensors file; see `dti.training.checkpoint`."""
        counts = Counts(
            step=self.step,
            loss=self.loss,
            deck=self.deck,
            loss_scale=self.loss_scale.value,
            steady=self.loss_scale.steady,
            assessments=self.training_set.assessments,
        )
        return pack(self.digest, counts, self.state)

    def draw(self) -> Draw:
        """Draw pictures and prompts for one update, from the run's own generator only: independent of other runs."""
        vectors = {name: self.method.vectors(learned) for name, learned in self.state.learned.items()}
        leaves = {name: rows.detach().requires_grad_() for name, rows in vectors.items()}
        latents, weights, prompts, views = [], [], [], []
        for _ in range(self.work.settings.batch_size):
            picture = self._deal()
            crops, generator = self.training_set.crops[picture], self.state.generator
            crop = int(torch.randint(len(crops.views), (), generator=generator))
            latents.append(crops.latents[crop : crop + 1].sample(generator))
            weights.append(crops.weights[crop : crop + 1])
            views.append(crops.views[crop])
            caption = self.training_set.captions[picture] if self.work.settings.captions else None
            prompts.append(self.prompts.draw(caption, generator).splice({self.work.trigger: leaves}))
        return Draw(torch.cat(latents), torch.cat(weights), prompts, views, vectors, leaves)

    def _deal(self) -> int:
        """The next picture; every picture is dealt once before the deck is shuffled again."""
        if not self.deck:
            self.deck = torch.randperm(len(self.training_set.crops), generator=self.state.generator).tolist()
        return self.deck.pop()

    def penalty(self) -> Tensor:
        """The method's regularisation term, summed over encoders."""
        return torch.stack([self.method.penalty(learned) for learned in self.state.learned.values()]).sum()

    @property
    def gradients(self) -> list[Tensor]:
        """Gradients of the last backward pass, times the loss scale."""
        parameters = [leaf for learned in self.state.learned.values() for leaf in learned.parameters.values()]
        return [leaf.grad for leaf in parameters if leaf.grad is not None]

    def update(self, loss: float, *, finite: bool) -> None:
        """Update the rows by their gradients, and clear these.

        In float16, gradients that overflowed halve the loss scale, and the update leaves the rows as they are.

        Args:
            loss: denoising loss of the update.
            finite: whether all gradients are finite.

        Raises:
            TrainingDivergedError: the loss is not finite, or a gradient is not and no smaller loss scale is left; the
                rows are unchanged.
        """
        if not math.isfinite(loss):
            raise TrainingDivergedError(self.step + 1, loss)
        if finite:
            self._apply_gradients()
        elif not self.loss_scale.overflowed():
            raise TrainingDivergedError(self.step + 1, math.nan)
        self.state.optimizer.zero_grad()
        self.step, self.loss = self.step + 1, loss

    def _apply_gradients(self) -> None:
        for gradient in self.gradients:
            gradient.div_(self.loss_scale.value)
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate(self.work.settings, self.step)
        self.state.optimizer.step()
        self.loss_scale.succeeded()


def start(work: TrainingWork, family: Family, checkpoint: bytes | None = None, micro_batch: int | None = None) -> Run:
    """A run before its first update, or as a checkpoint left it. Encodes the pictures.

    Args:
        work: the concept to learn.
        family: the model.
        checkpoint: to resume; None to start afresh.
        micro_batch: maximum number of pictures in one backward pass; None for the batch size.

    Raises:
        NoPicturesError: there are no pictures.
        PromptTooLongError: a caption or template does not fit an encoder.
        UnknownTriggerError: a caption names another concept.
        InvalidSettingError: the class word has no tokens, or the resolution does not suit the model.
        EmbeddingMismatchError: `initial` belongs to another model.
        CheckpointError: the checkpoint is of other work, or damaged.
    """
    _check(work, family)
    method, digest = create(work.method), _digest(work, family)
    state = _initial_state(work, family, method)
    packed = None if checkpoint is None else unpack(checkpoint, digest)
    counts = {name: len(method.vectors(learned)) for name, learned in state.learned.items()}
    prompts = PromptCache(work.trigger, Placeholder(work.class_word, counts), family.encoders, work.learnable_property)
    # Checked before the pictures, because encoding and assessing these takes as long as many updates.
    prompts.check(work.captions if work.settings.captions else [None])
    at_once = min(micro_batch, work.settings.batch_size) if micro_batch else None
    training_set = _training_set(work, family, state.generator, packed.counts if packed else None, at_once)
    # Restored after the training set is built: its crops are drawn from the initial generator, on resumption too.
    loss_scale = LossScale(family.dtype)
    if packed is not None:
        packed.restore(state)
        loss_scale.value, loss_scale.steady = packed.counts.loss_scale, packed.counts.steady
    return Run(
        # Decoded pictures can take hundreds of megabytes and are not needed again.
        work=replace(work, pictures=()),
        family=family,
        method=method,
        state=state,
        training_set=training_set,
        prompts=prompts,
        digest=digest,
        step=0 if packed is None else packed.counts.step,
        loss=None if packed is None else packed.counts.loss,
        deck=[] if packed is None else list(packed.counts.deck),
        loss_scale=loss_scale,
    )


def _training_set(
    work: TrainingWork, family: Family, generator: Generator, counts: Counts | None, at_once: int | None
) -> TrainingSet:
    """The encoded pictures; those of a checkpoint were assessed before."""
    return dataset.build(
        work.pictures,
        work.captions,
        family,
        class_word=work.class_word,
        learnable_property=work.learnable_property,
        settings=work.settings,
        resolution=_given(work.settings.resolution, "resolution"),
        generator=generator,
        at_once=at_once,
        assessments=None if counts is None else counts.assessments,
        original_sizes=work.original_sizes,
    )


def _initial_state(work: TrainingWork, family: Family, method: Method[Any]) -> State:
    seed = _given(work.settings.seed, "seed")
    learned = {
        name: method.start(encoder, work.class_word, work.settings, work.initial.rows[name] if work.initial else None)
        for name, encoder in family.encoders.items()
    }
    return State(learned, method.optimizer(list(learned.values()), work.settings), Generator().manual_seed(seed))


def _check(work: TrainingWork, family: Family) -> None:
    """Refuse work that cannot be started, before anything is computed; see `start`."""
    if not work.pictures:
        raise NoPicturesError("There are no pictures to learn from. Give at least one.")
    _given(work.settings.seed, "seed")
    resolution = _given(work.settings.resolution, "resolution")
    family.check_size(width=resolution, height=resolution)
    if work.initial is not None:
        family.check_fits(work.initial)


def _given(value: int | None, name: str) -> int:
    if value is None:
        raise InvalidSettingError(name, "must be filled in by the caller.")
    return value


def _digest(work: TrainingWork, family: Family) -> str:
    """Digest of everything that determines a training: model, method, words, settings, initial rows and pixels."""
    facts = {
        "model": [family.name, family.fingerprint],
        "words": [work.trigger, work.class_word, work.learnable_property, work.method, list(work.captions)],
        "settings": asdict(work.settings),
        "pictures": [[*picture.size, picture.mode] for picture in work.pictures],
        "original_sizes": None if work.original_sizes is None else [list(size) for size in work.original_sizes],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for picture in work.pictures:
        digest.update(picture.tobytes())
    if work.initial is not None:
        digest.update(work.initial.to_bytes())
    return digest.hexdigest()
