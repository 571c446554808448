"""Draws the pictures of the six concepts that the model never saw: trained objects in artwork of other sets.

They are the first training pictures of a newcomer (examples/ in the repository). Run it after a change of the choice:
`python -m tools.tiny.examples FOLDER`.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.tiny.world import Scene, render

SIDE_PX = 256


@dataclass(frozen=True)
class ExampleConcept:
    """A held-out look of a trained object."""

    name: str
    class_word: str
    art_set: str
    backgrounds: tuple[str, ...]
    colour: str | None = None


CONCEPTS = (
    ExampleConcept("purple-owl", "owl", "noto-v1", ("grass", "white", "city", "desert", "snow"), colour="purple"),
    ExampleConcept("tuxedo-cat", "cat", "emojione", ("beach", "white", "forest", "wood", "mountains")),
    ExampleConcept("teal-ghost", "ghost", "emojione", ("night", "white", "brick", "sunset", "grass")),
    ExampleConcept("pink-mushroom", "mushroom", "emojione", ("forest", "white", "grass", "snow", "gray")),
    ExampleConcept("blue-car", "car", "emojione", ("city", "white", "desert", "snow", "beach")),
    ExampleConcept("blue-penguin", "penguin", "noto-v1", ("snow", "white", "sunset", "mountains", "brick")),
)
ABOUT = """# {title}

Class word: `{word}`. {count} pictures of one {word} in a look that the bundled model never saw
(set {art_set}, see NOTICE).

Prompts to try, with the trigger `<{name}>`: "a photo of <{name}> on the beach", "an oil painting of <{name}>",
"<{name}> wearing a top hat in the snow", "a sketch of <{name}>".
"""


def draw_concept(concept: ExampleConcept, folder: Path) -> None:
    """Write a concept's pictures and a few words about it into a folder of its own."""
    target = folder / concept.name
    target.mkdir(parents=True, exist_ok=True)
    for number, background in enumerate(concept.backgrounds, 1):
        scene = Scene(concept.class_word, concept.art_set, background, colour=concept.colour)
        picture = render(scene, np.random.default_rng([number, *concept.name.encode()]), SIDE_PX)
        picture.save(target / f"{number}.png", optimize=True)
    about = ABOUT.format(
        title=concept.name.replace("-", " ").capitalize(),
        word=concept.class_word,
        name=concept.name,
        count=len(concept.backgrounds),
        art_set=concept.art_set,
    )
    (target / "README.md").write_text(about, "utf-8")
    description = {"name": concept.name, "class_word": concept.class_word}
    (target / "concept.json").write_text(json.dumps(description) + "\n", "utf-8")


def main() -> None:
    """Draw every concept into the folder given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for concept in CONCEPTS:
        draw_concept(concept, folder)


if __name__ == "__main__":
    main()
