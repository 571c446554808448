"""One training: what is asked, its state, what it draws, how it moves.

Owns the concept in the making: rows, optimizer, random generator and counts. It knows no family and no method by name,
and nothing of its neighbours: `dti.training.trainer` puts runs together.
"""

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
from PIL import Image
from torch import Generator, Tensor

from dti.embeddings.embedding import Embedding
from dti.errors import InvalidSettingError, NoPicturesError, TrainingDivergedError
from dti.families.base import Family
from dti.methods import METHODS, Method
from dti.optim import rate
from dti.pictures import View, training_prompt, training_prompts
from dti.spec.prompts import parse_prompt
from dti.spec.settings import LearnableProperty, Training
from dti.tokens import Layout, SplicedPrompt, StandIn, lay_out
from dti.training.checkpoint import Counts, Packed, State, pack, unpack
from dti.training.dataset import Material, gather


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingWork:
    """One concept to learn.

    Attributes:
        pictures: of the concept; any mode and size.
        captions: per picture what it shows, with {} for the concept, or None.
        class_word: what kind of thing it is.
        trigger: the concept's bare name.
        method: a name of `dti.methods.METHODS`.
        learnable_property: an object or a style.
        settings: with seed and resolution filled in.
        initial: rows to go on from; None to start at the class word.
    """

    pictures: Sequence[Image.Image]
    captions: Sequence[str | None]
    class_word: str
    trigger: str
    method: str
    learnable_property: LearnableProperty
    settings: Training
    initial: Embedding | None = None


@dataclass(frozen=True, slots=True)
class Draw:
    """What one update of a run is made with.

    Attributes:
        latents: `(b, c, h, w)`.
        weights: `(b, 1, h, w)`.
        prompts: b of them, with the rows as they are now.
        views: b of them.
    """

    latents: Tensor
    weights: Tensor
    prompts: Sequence[SplicedPrompt]
    views: Sequence[View]


@dataclass(kw_only=True, eq=False, repr=False)
class Run:
    """A training in progress, or done.

    Attributes:
        work: what is asked, without the pictures.
        family: the model that it runs on.
        method: how rows are learned.
        state: the rows, their optimizer and the random generator.
        material: what it learns from.
        digest: of the work and the model; checkpoints carry it.
        step: updates made.
        loss: the denoising loss of the last update; None before the first.
    """

    work: TrainingWork
    family: Family
    method: Method[Any]
    state: State
    material: Material
    digest: str
    step: int = 0
    loss: float | None = None
    _deck: list[int] = field(default_factory=list, init=False)
    _layouts: dict[str, Layout] = field(default_factory=dict, init=False)

    @property
    def total(self) -> int:
        """Updates in all."""
        return self.work.settings.steps

    @property
    def size(self) -> tuple[int, ...]:
        """Height and width of the latents that it learns from; runs of one size share a batch."""
        return tuple(self.material.crops[0].weights.shape[-2:])

    @property
    def finished(self) -> bool:
        """Whether all updates are made."""
        return self.step >= self.total

    @property
    def angle_rad(self) -> float:
        """How far the rows have turned from where they started, as a mean over rows and encoders."""
        turned = [self.method.turned(one) for one in self.state.learned.values()]
        return float(torch.cat(turned).mean())

    def embedding(self) -> Embedding:
        """The concept as learned so far."""
        return Embedding(
            rows={name: self.method.finish(one) for name, one in self.state.learned.items()},
            trigger=self.work.trigger,
            class_word=self.work.class_word,
            family=self.family.name,
            fingerprint=self.family.fingerprint,
            method=self.method.name,
            settings=asdict(self.work.settings),
            steps=self.step,
        )

    def checkpoint(self) -> bytes:
        """All that is needed to go on from here exactly as if there had been no stop, as a safetensors file."""
        return pack(self.digest, Counts(self.step, self.loss, self._deck, self.material.verdicts), self.state)

    def resume(self, packed: Packed) -> None:
        """Go on from a checkpoint of the same work.

        Raises:
            CheckpointError: it is damaged.
        """
        packed.restore(self.state)
        self.step, self.loss, self._deck = packed.counts.step, packed.counts.loss, list(packed.counts.deck)

    def check_prompts(self) -> None:
        """Refuse captions and templates that do not fit an encoder, before anything is learned with the others."""
        for caption in {self._caption(picture) for picture in range(len(self.material.captions))}:
            for prompt in training_prompts(self.work.learnable_property, caption):
                self._lay_out(prompt)

    def draw(self) -> Draw:
        """Pictures and prompts of one update.

        Everything that is drawn comes from the run's own generator, so that nobody's draws depend on the company.
        """
        vectors = {self.work.trigger: {name: self.method.vectors(one) for name, one in self.state.learned.items()}}
        latents, weights, prompts, views = [], [], [], []
        for _ in range(self.work.settings.batch_size):
            picture = self._deal()
            crops, generator = self.material.crops[picture], self.state.generator
            crop = int(torch.randint(len(crops.views), (), generator=generator))
            latents.append(crops.latents[crop : crop + 1].sample(generator))
            weights.append(crops.weights[crop : crop + 1])
            views.append(crops.views[crop])
            prompt = training_prompt(self.work.learnable_property, self._caption(picture), generator)
            prompts.append(self._lay_out(prompt).splice(vectors))
        return Draw(torch.cat(latents), torch.cat(weights), prompts, views)

    def _deal(self) -> int:
        """The next picture; all come once before one comes again."""
        if not self._deck:
            self._deck = torch.randperm(len(self.material.crops), generator=self.state.generator).tolist()
        return self._deck.pop()

    def _caption(self, picture: int) -> str | None:
        return self.material.captions[picture] if self.work.settings.captions else None

    def _lay_out(self, prompt: str) -> Layout:
        if prompt not in self._layouts:
            counts = {name: len(self.method.vectors(one)) for name, one in self.state.learned.items()}
            stand_in = {self.work.trigger: StandIn(self.work.class_word, counts)}
            pieces = parse_prompt(prompt.replace("{}", f"<{self.work.trigger}>"))
            self._layouts[prompt] = lay_out(pieces, self.family.encoders, stand_in)
        return self._layouts[prompt]

    def penalty(self) -> Tensor:
        """What the method adds to the loss of an update."""
        return torch.stack([self.method.penalty(one) for one in self.state.learned.values()]).sum()

    def follow(self, loss: float, scale: float) -> None:
        """Move the rows by their gradients, and forget these.

        Args:
            loss: of the update.
            scale: by which the gradients are too large.

        Raises:
            TrainingDivergedError: the loss or a gradient is no number; the rows stay as they are.
        """
        parameters = [leaf for one in self.state.learned.values() for leaf in one.parameters.values()]
        gradients = [leaf.grad for leaf in parameters if leaf.grad is not None]
        if not math.isfinite(loss):
            raise TrainingDivergedError(self.step + 1, loss)
        if not all(gradient.isfinite().all() for gradient in gradients):
            raise TrainingDivergedError(self.step + 1, math.nan)
        for gradient in gradients:
            gradient.div_(scale)
        for group in self.state.optimizer.param_groups:
            group["lr"] = rate(self.work.settings, self.step)
        self.state.optimizer.step()
        self.state.optimizer.zero_grad()
        self.step, self.loss = self.step + 1, loss


def start(work: TrainingWork, family: Family, checkpoint: bytes | None = None) -> Run:
    """A training before its first update, or where a checkpoint of it was; its pictures are encoded here, once.

    Raises:
        NoPicturesError: there is nothing to learn from.
        PromptTooLongError: a caption or template does not fit the encoder.
        UnknownTriggerError: a caption names another concept.
        InvalidSettingError: the class word has no tokens, or the resolution does not suit the model.
        EmbeddingMismatchError: `initial` belongs to another model.
        CheckpointError: the checkpoint is of other work, or damaged.
    """
    seed, resolution = _checked(work, family)
    settings, method = work.settings, METHODS[work.method]()
    learned = {
        name: method.start(encoder, work.class_word, settings, work.initial.rows[name] if work.initial else None)
        for name, encoder in family.encoders.items()
    }
    generator, digest = Generator().manual_seed(seed), _digest(work, family)
    packed = None if checkpoint is None else unpack(checkpoint, digest)
    run = Run(
        # Decoded pictures take hundreds of megabytes at worst, and nothing reads them again.
        work=replace(work, pictures=()),
        family=family,
        method=method,
        state=State(learned, method.optimizer(list(learned.values()), settings), generator),
        material=Material((), work.captions, ()),
        digest=digest,
    )
    # Before the pictures: to encode and judge them takes as long as many updates.
    run.check_prompts()
    run.material = gather(
        work.pictures,
        work.captions,
        family,
        class_word=work.class_word,
        learnable_property=work.learnable_property,
        settings=settings,
        resolution=resolution,
        generator=generator,
        verdicts=None if packed is None else packed.counts.verdicts,
    )
    if packed is not None:
        run.resume(packed)
    return run


def _checked(work: TrainingWork, family: Family) -> tuple[int, int]:
    """Seed and resolution of work that can be begun; see `start`."""
    seed, resolution = work.settings.seed, work.settings.resolution
    if not work.pictures:
        raise NoPicturesError("There are no pictures to learn from. Give at least one.")
    if seed is None or resolution is None:
        raise InvalidSettingError("seed" if seed is None else "resolution", "must be filled in by the caller.")
    family.check_size(width=resolution, height=resolution)
    if work.initial is not None:
        family.check_fits(work.initial)
    return seed, resolution


def _digest(work: TrainingWork, family: Family) -> str:
    """What makes two trainings the same: model, method, words, settings, start and every pixel."""
    facts = {
        "model": [family.name, family.fingerprint],
        "words": [work.trigger, work.class_word, work.learnable_property, work.method, list(work.captions)],
        "settings": asdict(work.settings),
        "pictures": [[*picture.size, picture.mode] for picture in work.pictures],
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for picture in work.pictures:
        digest.update(picture.tobytes())
    if work.initial is not None:
        digest.update(work.initial.to_bytes())
    return digest.hexdigest()
