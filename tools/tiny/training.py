"""Trains the text model and the denoiser together; resumes from its own checkpoint at any step.

A step's captions, noise and times depend on the seed, the step and the process alone, so a resumed run goes on as if
it had never stopped. The learning rate warms up and then stays; an anneal branch, started from any checkpoint, takes
it to zero and leaves a model worth shipping, while the stable run can go on. It knows latents and scenes, not
pictures.
"""

import json
import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import mse_loss

from tools.tiny.captions import compose
from tools.tiny.dataset import read_scenes
from tools.tiny.muon import Muon
from tools.tiny.networks import build_denoiser, build_scheduler, build_text_model, cap_updates, embedding_tables
from tools.tiny.vocabulary import build_tokenizer, trained_ids

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

log = logging.getLogger(__name__)

WARM_UP_STEPS = 100
GUIDANCE_DROPOUT = 0.1
EMA_DECAY = 0.999
EMPHASIS: dict[str | None, float] = {"pixel": 3.0}  # how often a style is drawn: pixel art takes longest to learn
MIDDLE_WEIGHT = 0.5  # times in the middle are drawn three times as often as those at the ends
LOG_EVERY = 20
SAVE_EVERY = 50
DENOISER_RATE, VECTOR_RATE, TABLE_RATE, TEXT_RATE = 2e-3, 2e-3, 1e-3, 3e-4


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
    """The two networks that learn, their averages, and their optimisers."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokenizer: CLIPTokenizer = build_tokenizer()
        self.denoiser: UNet2DConditionModel = build_denoiser().to(device)
        self.text_model: CLIPTextModel = build_text_model(self.tokenizer).to(device)
        self.average = {name: value.detach().clone() for name, value in self.named_parameters()}
        self.optimizers = self._optimizers()
        self.used_rows = torch.zeros(len(self.tokenizer), 1, device=device)
        self.used_rows[trained_ids(self.tokenizer)] = 1
        self.device = device
        self.step = 0

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

    def update(self, rate: float) -> None:
        """Move all weights by their gradients, keep the text model tame, and average.

        Args:
            rate: share of the full learning rate.
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
        cap_updates(self.text_model)
        self.step += 1
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
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def load(self, path: Path) -> None:
        """Take up a run where `save` left it."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.load_state_dict(state["weights"])
        self.average = state["average"]
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.step = state["step"]

    def begin_with(self, pipeline: "StableDiffusionPipeline") -> None:
        """Take weights from a finished checkpoint, to train on where only that is left of a run."""
        self.denoiser.load_state_dict(pipeline.unet.state_dict())
        self.text_model.load_state_dict(pipeline.text_encoder.state_dict())
        self.average = {name: value.detach().clone() for name, value in self.named_parameters()}

    def use_average(self) -> None:
        """Put the averaged weights in place of the latest ones, for export."""
        self.load_state_dict(self.average, strict=False)


def concentrate(shares: Tensor) -> Tensor:
    """Crowd evenly spread shares 0..1 towards the middle, where the times lie at which objects take shape."""
    return shares + MIDDLE_WEIGHT / (2 * torch.pi) * torch.sin(2 * torch.pi * shares)


class Teacher:
    """Draws batches and computes the loss."""

    def __init__(self, folder: Path, trainee: Trainee, plan: TrainingPlan) -> None:
        self.latents = torch.load(folder / "latents.pt", weights_only=True)
        self.scenes = read_scenes(folder)
        weights = np.array([EMPHASIS.get(scene.style, 1.0) for scene in self.scenes])
        self.shares = weights / weights.sum()
        self.trainee = trainee
        self.plan = plan
        self.alphas = build_scheduler().alphas_cumprod.to(trainee.device)

    def _captions(self, chosen: Iterable[int], rng: np.random.Generator) -> Tensor:
        texts = ["" if rng.random() < GUIDANCE_DROPOUT else compose(self.scenes[i], rng) for i in chosen]
        tokens = self.trainee.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
        ids: Tensor = tokens["input_ids"]
        return ids.to(self.trainee.device)

    def loss(self, step: int, rank: int) -> Tensor:
        """Give the mean squared error of the predicted velocity over one batch.

        Args:
            step: with the plan's seed and `rank` it decides all that is random.
            rank: of the process.
        """
        device, batch = self.trainee.device, self.plan.batch
        rng = np.random.default_rng([self.plan.seed, step, rank])
        generator = torch.Generator(device).manual_seed(int(rng.integers(2**62)))
        chosen = rng.choice(len(self.scenes), batch, p=self.shares)
        ids = self._captions(chosen, rng)
        latents = self.latents[chosen].float().to(device)
        noise = torch.randn(latents.shape, generator=generator, device=device)
        # One time from each of `batch` equal stretches: the loss varies less than with independent times.
        spread = torch.arange(batch, device=device) + torch.rand(batch, generator=generator, device=device)
        times = (concentrate(spread / batch) * len(self.alphas)).long()
        signal = self.alphas[times].sqrt()[:, None, None, None]
        spoiled = (1 - self.alphas[times]).sqrt()[:, None, None, None]
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            words = self.trainee.text_model(ids).last_hidden_state
            velocity = self.trainee.denoiser(signal * latents + spoiled * noise, times, words).sample
        return mse_loss(velocity.float(), signal * noise - spoiled * latents)


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

    def note(self, step: int, loss: float) -> None:
        """Take in a step's loss; `step` is the number of steps done."""
        self._losses.append(loss)
        if step % LOG_EVERY and step != self._plan.steps:
            return
        seconds = time.monotonic() - self._since
        line = {
            "step": step,
            "samples": step * self._batch,
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
        trainee.update(plan.rate(trainee.step))
        if rank == 0:
            journal.note(trainee.step, loss.item())
            if trainee.step % SAVE_EVERY == 0 or trainee.step == plan.steps:
                trainee.save(checkpoint)
