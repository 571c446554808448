"""Measures how well a checkpoint learns concepts that it never saw, by the published recipe.

It trains and renders through the library like any user. Three judges look at the result: the loss on true pictures
inside and outside the object (paired, no sampling), the look scorer, and the scorer of attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor

from dti.embeddings.embedding import Embedding
from dti.families import Family
from dti.pictures import contact_sheet
from dti.render import PictureWork, Renderer
from dti.spec.registry import METHODS
from dti.training.trainer import Trainer, TrainingWork
from tools.tiny.artwork import OBJECTS
from tools.tiny.autoencoder import to_unit
from tools.tiny.concepts import Concept, references, true_pictures
from tools.tiny.dataset import SIDE_PX, Sample, make_picture
from tools.tiny.losses import Losses, losses, make_draws
from tools.tiny.networks import LookEncoder, embedding_tables
from tools.tiny.scorer.network import LookScorer, Scorer, named

STEPS = 20
GUIDANCE = 3.0
SEED = 7
TRUE_PICTURES = 12
SHOWN = (
    "a photo of <c>",
    "a photo of <c> on the beach",
    "in the city, a photo of <c>",
    "wearing a top hat in the snow, a photo of <c>",
    "an oil painting of <c>",
    "a sketch of <c>",
)
EVALUATED = ("a photo of <c>",) * 8
SHOWN_REFERENCES = 2
TRAINED_LOOKS = 24


@dataclass(frozen=True)
class Outcome:
    """The figures of one concept; losses by the row in the noun's place."""

    name: str
    losses: dict[str, Losses]
    recognised: float
    class_word_kept: float


def train(family: Family, concept: Concept, pictures: Sequence[Image.Image], steps: int) -> Embedding:
    """Train a concept with the published settings and seed 0."""
    trainer = Trainer(family)
    work = TrainingWork(
        pictures=pictures,
        captions=[None] * len(pictures),
        class_word=concept.class_word,
        trigger=concept.name,
        method="dti",
        learnable_property="object",
        settings=METHODS["dti"].settings(steps=steps, seed=0, resolution=SIDE_PX),
    )
    run = trainer.admit(work)
    while trainer.runs:
        trainer.advance()
    return run.embedding()


def render(family: Family, embedding: Embedding, prompts: Sequence[str]) -> list[Image.Image]:
    """Render one picture for each prompt, in which `<c>` is the concept; picture i has seed i."""
    renderer = Renderer(family)
    slots = [
        renderer.admit(
            PictureWork(
                prompt=prompt,
                concepts={"c": embedding},
                width=SIDE_PX,
                height=SIDE_PX,
                steps=STEPS,
                guidance_scale=GUIDANCE,
                scheduler="ddim",
                seed=seed,
            )
        )
        for seed, prompt in enumerate(prompts)
    ]
    while renderer.slots:
        renderer.advance()
    return [slot.picture for slot in slots if slot.picture is not None]


def _row(embedding: Embedding) -> Tensor:
    (rows,) = embedding.rows.values()
    return (rows.magnitude * rows.direction)[0]


@torch.no_grad()
def trained_looks(pipeline: StableDiffusionPipeline, encoder: LookEncoder, count: int) -> Losses:
    """Measure the loss on true pictures of trained art by the looks' own rows: the level that a concept may reach."""
    table = embedding_tables(pipeline.text_encoder)[0]
    measured: list[Losses] = []
    number = 0
    while len(measured) < count:
        sample = make_picture(SEED, number)
        number += 1
        if sample.scene.companion or sample.scene.count > 1:
            continue
        look = torch.tensor(sample.look)[None].permute(0, 3, 1, 2).float() / 255
        noun = table[pipeline.tokenizer.convert_tokens_to_ids(f"{sample.scene.subject}</w>")][None]
        measured.append(losses(pipeline, make_draws(pipeline, [sample], number), encoder(look, noun)[0]))
    return Losses(
        float(np.mean([loss.inside for loss in measured])), float(np.mean([loss.outside for loss in measured]))
    )


class Examination:
    """Learns concepts with one checkpoint and gathers figures and pictures."""

    def __init__(
        self, family: Family, pipeline: StableDiffusionPipeline, scorer: Scorer, look_scorer: LookScorer, steps: int
    ) -> None:
        self._family = family
        self._pipeline = pipeline
        self._scorer = scorer
        self._look_scorer = look_scorer
        self._steps = steps
        self.cells: list[Image.Image] = []

    def take(self, concept: Concept, number: int) -> Outcome:
        """Learn one concept and judge it.

        Args:
            concept: one that the checkpoint never saw.
            number: its class for the look scorer.
        """
        pictures = references(concept)
        embedding = train(self._family, concept, pictures, self._steps)
        judged = to_unit(np.stack([np.asarray(picture) for picture in render(self._family, embedding, EVALUATED)]))
        row = [*pictures[:SHOWN_REFERENCES], *render(self._family, embedding, SHOWN)]
        self.cells += [cell.resize((96, 96), Image.Resampling.BICUBIC) for cell in row]
        with torch.no_grad():
            looks = self._look_scorer(judged).argmax(1)
        subjects = named(self._scorer, judged)["subject"]
        return Outcome(
            name=concept.name,
            losses=self._losses(concept, _row(embedding)),
            recognised=float((looks == number).float().mean()),
            class_word_kept=float((subjects == OBJECTS.index(concept.class_word)).float().mean()),
        )

    def _losses(self, concept: Concept, row: Tensor) -> dict[str, Losses]:
        samples: list[Sample] = true_pictures(concept, TRUE_PICTURES, SEED, colour=False)
        draws = make_draws(self._pipeline, samples, SEED)
        return {
            "class word": losses(self._pipeline, draws, None),
            "no word": losses(self._pipeline, draws, torch.zeros_like(row)),
            "dti": losses(self._pipeline, draws, row),
        }

    def sheet(self) -> Image.Image:
        """Lay out a row for each concept: references, then pictures of the prompts shown."""
        return contact_sheet(self.cells, SHOWN_REFERENCES + len(SHOWN))


def summary(outcomes: Sequence[Outcome], trained: Losses) -> dict[str, float]:
    """Sum up the examination of many concepts.

    Args:
        outcomes: of every concept.
        trained: the level of trained looks.

    Returns:
        Means over concepts; "gap closed" is the part of the way from the class word's loss inside the object to that
        of trained looks.
    """

    def mean(row: str, where: str) -> float:
        return float(np.mean([getattr(outcome.losses[row], where) for outcome in outcomes]))

    before, after = mean("class word", "inside"), mean("dti", "inside")
    return {
        "concepts": len(outcomes),
        "loss inside, class word": before,
        "loss inside, no word": mean("no word", "inside"),
        "loss inside, dti": after,
        "loss inside, trained looks by their own rows": trained.inside,
        "loss outside, class word": mean("class word", "outside"),
        "loss outside, dti": mean("dti", "outside"),
        "gap closed": (before - after) / (before - trained.inside),
        "pictures whose look is recognised": float(np.mean([outcome.recognised for outcome in outcomes])),
        "concepts recognised in most pictures": float(np.mean([outcome.recognised > 0.5 for outcome in outcomes])),  # noqa: PLR2004
        "pictures that show the object": float(np.mean([outcome.class_word_kept for outcome in outcomes])),
    }
