"""Measures how well a checkpoint learns concepts that it never saw: the six of examples/, by the published recipe.

It trains and renders through the library like any user, and lets the scorer find the references that the
pictures resemble most.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dti.embeddings.embedding import Embedding
from dti.families import Family
from dti.pictures import contact_sheet, flatten
from dti.render import PictureWork, Renderer
from dti.spec.registry import METHODS
from dti.training.trainer import Trainer, TrainingWork
from tools.tiny.autoencoder import to_unit
from tools.tiny.dataset import SIDE_PX
from tools.tiny.scorer.network import Scorer

STEPS = 20
GUIDANCE = 3.0
SHOWN = (
    "a photo of <c>",
    "a photo of <c> on the beach",
    "<c> in the city",
    "<c> wearing a top hat in the snow",
    "an oil painting of <c>",
    "a sketch of <c>",
)
EVALUATED = ("a photo of <c>",) * 8
SHOWN_REFERENCES = 2


@dataclass(frozen=True)
class HeldOutConcept:
    """A concept's pictures as a user would send them."""

    name: str
    class_word: str
    pictures: Sequence[Image.Image]


def read_concepts(folder: Path) -> list[HeldOutConcept]:
    """Read all concepts of a folder such as examples/."""
    concepts = []
    for file in sorted(folder.glob("*/concept.json")):
        description = json.loads(file.read_text("utf-8"))
        pictures = [flatten(Image.open(path)) for path in sorted(file.parent.glob("*.png"))]
        concepts.append(HeldOutConcept(description["name"], description["class_word"], pictures))
    return concepts


def train(family: Family, concept: HeldOutConcept, steps: int) -> Embedding:
    """Train a concept with the published settings and seed 0."""
    trainer = Trainer(family)
    work = TrainingWork(
        pictures=concept.pictures,
        captions=[None] * len(concept.pictures),
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


@torch.no_grad()
def _described(scorer: Scorer, pictures: Sequence[Image.Image]) -> Tensor:
    small = [picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC) for picture in pictures]
    return scorer.features(to_unit(np.stack([np.asarray(picture) for picture in small]))).mean(dim=0)


def similarities(
    scorer: Scorer, concepts: Sequence[HeldOutConcept], rendered: Mapping[str, Sequence[Image.Image]]
) -> dict[str, dict[str, float]]:
    """Compare every concept's pictures with every concept's references.

    Args:
        scorer: describes pictures.
        concepts: with the references to compare with.
        rendered: by concept, rendered pictures of it.

    Returns:
        By concept, then by the references' concept: the cosine of the mean descriptions.
    """
    references = {concept.name: _described(scorer, concept.pictures) for concept in concepts}
    cosine = torch.nn.functional.cosine_similarity
    return {
        name: {
            other: round(float(cosine(_described(scorer, pictures), reference, dim=0)), 4)
            for other, reference in references.items()
        }
        for name, pictures in rendered.items()
    }


def evaluate(
    family: Family, scorer: Scorer, folder: Path, steps: int
) -> tuple[dict[str, dict[str, float]], Image.Image]:
    """Train every concept of a folder and compare its pictures with all references.

    Args:
        family: the checkpoint.
        scorer: describes pictures.
        folder: such as examples/.
        steps: updates of each training.

    Returns:
        The similarities, and a sheet with a row for each concept: references, then pictures of the prompts shown.
    """
    concepts = read_concepts(folder)
    pictures_by_concept, cells = {}, []
    for concept in concepts:
        embedding = train(family, concept, steps)
        pictures_by_concept[concept.name] = render(family, embedding, EVALUATED)
        row = [*concept.pictures[:SHOWN_REFERENCES], *render(family, embedding, SHOWN)]
        cells += [cell.resize((96, 96), Image.Resampling.BICUBIC) for cell in row]
    sheet = contact_sheet(cells, SHOWN_REFERENCES + len(SHOWN))
    return similarities(scorer, concepts, pictures_by_concept), sheet
