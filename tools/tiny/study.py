"""The study on `tiny`: its held-out concepts as folders, prompts with attributes, and its judges.

`python -m tools.tiny.study FOLDER`, run from the repository's root, writes concepts and prompts; `dti study` does the
rest.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dti.models.tiny import CHECKPOINT
from dti.study.judges import Request
from dti.study.manifest import Concept as StudyConcept
from dti.study.manifest import sha256
from tools.tiny.artwork import OBJECTS
from tools.tiny.autoencoder import to_unit
from tools.tiny.concepts import CONCEPTS, Concept, references, true_pictures
from tools.tiny.scorer.network import ATTRIBUTES, LOOK_WEIGHTS, WEIGHTS, load_look_scorer, load_scorer

SIDE_PX = 64
HELD_BACK, SEED = 8, 4
PROMPTS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("a photo of {}", {}),
    ("a photo of {} on the beach", {"background": "beach"}),
    ("in the snow, a photo of {}", {"background": "snow"}),
    ("a photo of {} wearing a top hat", {"accessory": "top hat"}),
    ("wearing a crown in the city, a photo of {}", {"accessory": "crown", "background": "city"}),
    ("an oil painting of {}", {"style": "oil"}),
    ("a photo of {} wearing sunglasses in the forest", {"accessory": "sunglasses", "background": "forest"}),
    ("a pencil sketch of {} with a bow", {"style": "sketch", "accessory": "bow"}),
)


class MiniatureJudge:
    """Judges of the miniature world: the look scorer for likeness, the scorer of attributes for obedience.

    Attributes:
        version: digests of both scorers' weights.
    """

    axes: Mapping[str, str] = {"likeness": "look", "obedience": "shown"}

    def __init__(self) -> None:
        """Load the shipped scorers."""
        self.version = f"{sha256(WEIGHTS)[:12]}-{sha256(LOOK_WEIGHTS)[:12]}"
        self._scorer, self._look_scorer = load_scorer(), load_look_scorer()
        self._number, self._subject = 0, 0

    def begin(self, concept: StudyConcept, references: Sequence[Image.Image]) -> None:
        """Start with a held-out concept."""
        del references
        self._number = [known.name for known in CONCEPTS].index(concept.name)
        self._subject = OBJECTS.index(concept.class_word)

    @torch.inference_mode()
    def score(self, pictures: Sequence[Image.Image], requests: Sequence[Request]) -> list[dict[str, float]]:
        """Probability of the concept's look, share of the requested attributes that are shown, and the object."""
        sized = [picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC) for picture in pictures]
        unit = to_unit(np.stack([np.asarray(picture) for picture in sized]))
        looks = self._look_scorer(unit).softmax(1)[:, self._number].tolist()
        names = {name: scores.argmax(1).tolist() for name, scores in self._scorer(unit).items()}
        rows = []
        for index, request in enumerate(requests):
            shown = [ATTRIBUTES[name][names[name][index]] == value for name, value in request.asks.items()]
            row = {"look": looks[index], "object": float(names["subject"][index] == self._subject)}
            rows.append(row | ({"shown": sum(shown) / len(shown)} if shown else {}))
        return rows


def known_concepts() -> list[Concept]:
    """Held-out concepts whose class word the shipped checkpoint knows."""
    words = json.loads((CHECKPOINT / "tokenizer" / "vocab.json").read_text("utf-8"))
    return [concept for concept in CONCEPTS if f"{concept.class_word}</w>" in words]


def write_concept(concept: Concept, folder: Path) -> None:
    """Write references, held-back pictures with masks, and the description of a concept."""
    target = folder / concept.name
    (target / "held_back").mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(references(concept), 1):
        picture.save(target / f"{number}.png")
    for number, sample in enumerate(true_pictures(concept, HELD_BACK, SEED, colour=False), 1):
        Image.fromarray(sample.picture).save(target / "held_back" / f"{number}.png")
        Image.fromarray(sample.mask).save(target / "held_back" / f"{number}.mask.png")
    description = {"name": concept.name, "class_word": concept.class_word}
    (target / "concept.json").write_text(json.dumps(description) + "\n", "utf-8")


def main() -> None:
    """Write concepts and prompts into a folder."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for concept in known_concepts():
        write_concept(concept, folder / "concepts")
    prompts = [{"text": text, "asks": dict(asks)} for text, asks in PROMPTS]
    (folder / "prompts.json").write_text(json.dumps(prompts, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
