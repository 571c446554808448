"""Trains the text model, the denoiser and the look encoder together; resumes from its own checkpoint at any step.

A step's captions, noise and times depend on the seed, the step and the process alone, so a resumed run goes on as if
it had never stopped. The learning rate warms up and then stays; an anneal branch, started from any checkpoint, takes
it to zero and leaves a model worth shipping, while the stable run can go on. It knows latents, scenes and looks, not
pictures.
"""

import json
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor

from tools.tiny.captions import Caption, choose_noun, compose
from tools.tiny.dataset import read_looks, read_scenes
from tools.tiny.hearing import EMPTY, EMPTY_AROUND_SHARE, NOUN, Layout, choose_kinds, hear
from tools.tiny.muon import Muon
from tools.tiny.networks import (
    ROW_NORM,
    LookEncoder,
    build_denoiser,
    build_scheduler,
    build_text_model,
    embedding_tables,
    hold_norms,
    writers,
)
from tools.tiny.reading import read, tokenize
from tools.tiny.vocabulary import build_tokenizer, trained_ids
from tools.tiny.world import Scene

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

log = logging.getLogger(__name__)

WARM_UP_STEPS = 40
EMA_DECAY = 0.998
EMPHASIS: dict[str | None, float] = {"pixel": 1.5}  # how often a style is drawn: pixel art takes longest to learn
PLAIN_LOOK_EMPHASIS = 1.5  # how often a look of untouched artwork is drawn: it carries the object's common shape
LOOK_ROW_SHARES = {True: 0.4, False: 0.85}  # how often a look is told by a row of its own: plain looks, others
WRITERS_AT_START = 3.0  # factor on the writers to the residual stream where training goes on from a finished checkpoint
# Cells of the latents where objects stand (rows, columns) and how much more their errors weigh than the others'.
CENTRE, CENTRE_WEIGHT = (slice(4, 15), slice(3, 14)), 3.0
MIDDLE_WEIGHT = 0.5  # times in the middle are drawn three times as often as those at the ends
LOG_EVERY = 20
SAVE_EVERY = 100
DENOISER_RATE, VECTOR_RATE, TABLE_RATE, TEXT_RATE = 1.5e-3, 1.5e-3, 1e-3, 1e-3


@dataclass(frozen=True)
class TrainingPlan:
    """Length and batch size of a training.

    `steps` counts from the beginning of the run. `anneal` is the number of last steps over which the learning rate
    falls to zero; 0 keeps it stable.
    """

    steps: int
    batch: int
    anneal: int = 0
    seed: int = 0

    def rate(self, step: int) -> float:
        """Give the share of the full learning rate at a step."""
        left = (self.steps - step) / self.anneal if self.anneal else 1.0
        return min(1.0, (step + 1) / WARM_UP_STEPS, left)


class Trainee(torch.nn.Module):
    """The networks that learn, their averages, and their optimisers."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokenizer: CLIPTokenizer = build_tokenizer()
        self.denoiser: UNet2DConditionModel = build_denoiser().to(device)
        self.text_model: CLIPTextModel = build_text_model(self.tokenizer).to(device)
        self.looks = LookEncoder().to(device)
        self.average = {name: value.detach().clone() for name, value in self.named_parameters()}
        self.optimizers = self._optimizers()
        self.used_rows = torch.zeros(len(self.tokenizer), 1, dtype=torch.bool, device=device)
        self.used_rows[trained_ids(self.tokenizer)] = True
        self.device = device
        self.step = 0
        self.samples = 0

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        unet = dict(self.denoiser.named_parameters())
        edge = ("conv_in", "conv_out")
        matrices = [w for name, w in unet.items() if w.ndim > 1 and not name.startswith(edge)]
        vectors = [w for name, w in unet.items() if w.ndim == 1 or name.startswith(edge)]
        tables = list(embedding_tables(self.text_model))
        inside = [w for w in self.text_model.parameters() if not any(w is table for table in tables)]
        adam = torch.optim.AdamW(
            [
                {"params": vectors, "lr": VECTOR_RATE, "weight_decay": 0.0},
                {"params": tables, "lr": TABLE_RATE, "weight_decay": 0.0},
                {"params": inside, "lr": TEXT_RATE, "weight_decay": 0.1},
                {"params": list(self.looks.parameters()), "lr": TEXT_RATE, "weight_decay": 0.0},
            ],
            betas=(0.9, 0.98),
        )
        optimizers: list[torch.optim.Optimizer] = [Muon(matrices, DENOISER_RATE, weight_decay=0.01), adam]
        for group in self._groups(optimizers):
            group["full_lr"] = group["lr"]
        return optimizers

    @staticmethod
    def _groups(optimizers: list[torch.optim.Optimizer]) -> Iterable[dict[str, Any]]:
        return (group for optimizer in optimizers for group in optimizer.param_groups)

    def update(self, rate: float, samples: int) -> None:
        """Move all weights by their gradients, hold the text model's norms, and average.

        Args:
            rate: share of the full learning rate.
            samples: of the step, over all processes; the batch may change when a run is resumed.
        """
        rows = embedding_tables(self.text_model)[0]
        if rows.grad is not None:
            rows.grad *= self.used_rows
        torch.nn.utils.clip_grad_norm_(self.parameters(), 1.0)
        for group in self._groups(self.optimizers):
            group["lr"] = rate * group["full_lr"]
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        hold_norms(self.text_model, self.used_rows)
        self.step += 1
        self.samples += samples
        weight = 1 - min(EMA_DECAY, self.step / (self.step + 10))
        weights = dict(self.named_parameters())
        torch._foreach_lerp_(list(self.average.values()), [weights[name].detach() for name in self.average], weight)

    def save(self, path: Path) -> None:
        """Write everything that a resumed run needs; the file appears whole or not at all."""
        state = {
            "weights": self.state_dict(),
            "average": self.average,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "samples": self.samples,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def load(self, path: Path) -> None:
        """Take up a run where `save` left it."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.load_state_dict(state["weights"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            rates = [group["full_lr"] for group in optimizer.param_groups]
            optimizer.load_state_dict(saved)
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["full_lr"] = rate
        self.step, self.samples = state["step"], state["samples"]

    @torch.no_grad()
    def begin_with(self, pipeline: "StableDiffusionPipeline") -> None:
        """Take weights from a finished checkpoint, to train on where only that is left of a run.

        Rows are taken word by word, so the words may be others; norms are brought to those that training holds.
        """
        self.denoiser.load_state_dict(pipeline.unet.state_dict())
        before = pipeline.text_encoder.state_dict()
        table = next(name for name in before if name.endswith("token_embedding.weight"))
        old_rows = before.pop(table)
        self.text_model.load_state_dict(before, strict=False)
        rows = embedding_tables(self.text_model)[0]
        known, unknown = pipeline.tokenizer.get_vocab(), pipeline.tokenizer.unk_token_id
        for word, number in self.tokenizer.get_vocab().items():
            if self.used_rows[number] and known.get(word, unknown) != unknown and old_rows[known[word]].norm() > 0:
                rows[number] = old_rows[known[word]]
        if old_rows.norm(dim=1).max() > 1.1 * ROW_NORM:  # made before norms were held: its updates are small
            for weight, _ in writers(self.text_model):
                weight.mul_(WRITERS_AT_START)
        hold_norms(self.text_model, self.used_rows)
        self.average = {name: value.detach().clone() for name, value in self.named_parameters()}

    def use_average(self) -> None:
        """Put the averaged weights in place of the latest ones, for export."""
        self.load_state_dict(self.average, strict=False)


def concentrate(shares: Tensor) -> Tensor:
    """Crowd evenly spread shares 0..1 towards the middle, where the times lie at which objects take shape."""
    return shares + MIDDLE_WEIGHT / (2 * torch.pi) * torch.sin(2 * torch.pi * shares)


def centre_weights(side: int) -> Tensor:
    """Weigh the cells `(side, side)` of a picture's latents, with a mean of one."""
    weights = torch.ones(side, side)
    weights[CENTRE] = CENTRE_WEIGHT
    return weights / weights.mean()


@dataclass(frozen=True)
class Lesson:
    """The captions of one batch, and the samples whose noun is a look's own row."""

    ids: Tensor
    layout: Layout
    by_look: Tensor


class Teacher:
    """Draws batches and computes the loss."""

    def __init__(self, folder: Path, trainee: Trainee, plan: TrainingPlan) -> None:
        self.latents = torch.load(folder / "latents.pt", weights_only=True)
        self.looks = read_looks(folder)
        self.scenes = read_scenes(folder)
        weights = np.array(
            [EMPHASIS.get(s.style, 1.0) * (PLAIN_LOOK_EMPHASIS if s.look.plain else 1.0) for s in self.scenes]
        )
        self.shares = weights / weights.sum()
        self.trainee = trainee
        self.plan = plan
        self.alphas = build_scheduler().alphas_cumprod.to(trainee.device)
        self.weights = centre_weights(self.latents.shape[-1]).to(trainee.device)

    def _caption(self, scene: Scene, kind: int, rng: np.random.Generator, *, by_look: bool) -> Caption:
        if kind == EMPTY:
            return Caption("", "", in_front=True)
        word = choose_noun(scene.subject, rng) if by_look else None
        return compose(scene, rng, in_front=True if kind == NOUN else None, word=word)

    def lesson(self, chosen: Sequence[int], rng: np.random.Generator) -> Lesson:
        """Write the captions of the chosen scenes and decide how they are heard."""
        scenes = [self.scenes[number] for number in chosen]
        kinds = choose_kinds(rng, np.array([scene.companion is not None for scene in scenes]))
        draws = rng.random((2, len(scenes)))
        by_look = np.array([draw < LOOK_ROW_SHARES[s.look.plain] for s, draw in zip(scenes, draws[0], strict=True)])
        by_look &= kinds != EMPTY
        captions = [
            self._caption(scene, kind, rng, by_look=own)
            for scene, kind, own in zip(scenes, kinds, by_look, strict=True)
        ]
        tokenizer, device = self.trainee.tokenizer, self.trainee.device
        ids, nouns, ends = tokenize(tokenizer, captions)
        alone = torch.from_numpy(draws[1] < EMPTY_AROUND_SHARE)
        layout = Layout(*(part.to(device) for part in (nouns, ends, torch.from_numpy(kinds), alone)))
        return Lesson(ids.to(device), layout, torch.from_numpy(np.flatnonzero(by_look)).to(device))

    def _heard(self, lesson: Lesson, chosen: npt.NDArray[np.int64], generator: torch.Generator) -> Tensor:
        """Give the states that the denoiser hears for every caption of a lesson."""
        trainee, device = self.trainee, self.trainee.device
        nothing = trainee.tokenizer("", padding="max_length", return_tensors="pt")["input_ids"].to(device)
        table = embedding_tables(trainee.text_model)[0]
        at = lesson.layout.nouns[lesson.by_look]
        pictures = torch.from_numpy(self.looks[chosen[lesson.by_look.cpu().numpy()]])
        pictures = pictures.to(device).permute(0, 3, 1, 2).float() / 255
        noise = torch.randn(len(at), table.shape[1], generator=generator, device=device)
        rows = trainee.looks(pictures, table[lesson.ids[lesson.by_look, at]], noise)
        states = read(trainee.text_model, torch.cat([lesson.ids, nothing]), rows, (lesson.by_look, at))
        return hear(states[:-1], states[-1:], lesson.layout)

    def loss(self, step: int, rank: int) -> Tensor:
        """Give the weighted mean squared error of the predicted velocity over one batch.

        Args:
            step: with the plan's seed and `rank` it decides all that is random.
            rank: of the process.
        """
        device, batch = self.trainee.device, self.plan.batch
        rng = np.random.default_rng([self.plan.seed, step, rank])
        generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
        chosen = rng.choice(len(self.scenes), batch, p=self.shares)
        lesson = self.lesson(chosen.tolist(), rng)
        latents = self.latents[chosen].float().to(device)
        noise = torch.randn(latents.shape, generator=generator, device=device)
        # One time from each of `batch` equal stretches: the loss varies less than with independent times.
        spread = torch.arange(batch, device=device) + torch.rand(batch, generator=generator, device=device)
        times = (concentrate(spread / batch) * len(self.alphas)).long()
        signal = self.alphas[times].sqrt()[:, None, None, None]
        spoiled = (1 - self.alphas[times]).sqrt()[:, None, None, None]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            words = self._heard(lesson, chosen, generator)
            velocity = self.trainee.denoiser(signal * latents + spoiled * noise, times, words).sample
        errors: Tensor = (velocity.float() - (signal * noise - spoiled * latents)).square()
        return (self.weights * errors).mean()


def _share_gradients(module: torch.nn.Module) -> None:
    """Average the gradients of all processes in one message."""
    gradients = [weight.grad for weight in module.parameters() if weight.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


class Journal:
    """Writes one line of JSON for every so many steps beside a run's checkpoint."""

    def __init__(self, path: Path, plan: TrainingPlan, processes: int) -> None:
        self._path = path
        self._plan = plan
        self._batch = plan.batch * processes
        self._losses: list[float] = []
        self._since = time.monotonic()

    def note(self, step: int, samples: int, loss: float) -> None:
        """Take in a step's loss; `step` and `samples` are the numbers of those done."""
        self._losses.append(loss)
        if step % LOG_EVERY and step != self._plan.steps:
            return
        seconds = time.monotonic() - self._since
        line = {
            "step": step,
            "samples": samples,
            "loss": round(float(np.mean(self._losses)), 4),
            "rate": round(self._plan.rate(step - 1), 4),
            "samples a second": round(len(self._losses) * self._batch / seconds, 1),
        }
        log.info("%s", line)
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        self._losses, self._since = [], time.monotonic()


def train(folder: Path, checkpoint: Path, start: Path, plan: TrainingPlan, device: torch.device) -> None:
    """Train until the plan is fulfilled, saving on the way.

    Args:
        folder: holds the collection and its latents.
        checkpoint: file that this run writes and, if it is there, resumes.
        start: file to begin from where `checkpoint` does not exist yet; may not exist either.
        plan: steps, batch, anneal and seed.
        device: where to train; further processes join through `torch.distributed`.
    """
    trainee = Trainee(device)
    if beginning := next((path for path in (checkpoint, start) if path.exists()), None):
        trainee.load(beginning)
    teacher = Teacher(folder, trainee, plan)
    rank, processes = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    journal = Journal(checkpoint.with_suffix(".jsonl"), plan, processes)
    while trainee.step < plan.steps:
        loss = teacher.loss(trainee.step, rank)
        torch.autograd.backward(loss)
        if processes > 1:
            _share_gradients(trainee)
        trainee.update(plan.rate(trainee.step), plan.batch * processes)
        if rank == 0:
            journal.note(trainee.step, trainee.samples, loss.item())
            if trainee.step % SAVE_EVERY == 0 or trainee.step == plan.steps:
                trainee.save(checkpoint)
