"""Draws the pictures of the six concepts that the model never saw: trained objects in artwork of other sets.

They are what a newcomer teaches the model first (examples/ in the repository). It is run once by whoever changes the
choice: `python -m tools.tiny.examples FOLDER`.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tools.tiny.world import Scene, render

SIDE_PX = 256


@dataclass(frozen=True)
class Concept:
    """A held-out look of a trained object."""

    name: str
    class_word: str
    art_set: str
    backgrounds: tuple[str, ...]
    colour: str | None = None


CONCEPTS = (
    Concept("purple-owl", "owl", "noto-v1", ("grass", "white", "city", "desert", "snow"), colour="purple"),
    Concept("tuxedo-cat", "cat", "emojione", ("beach", "white", "forest", "wood", "mountains")),
    Concept("teal-ghost", "ghost", "emojione", ("night", "white", "brick", "sunset", "grass")),
    Concept("pink-mushroom", "mushroom", "emojione", ("forest", "white", "grass", "snow", "gray")),
    Concept("blue-car", "car", "emojione", ("city", "white", "desert", "snow", "beach")),
    Concept("blue-penguin", "penguin", "noto-v1", ("snow", "white", "sunset", "mountains", "brick")),
)
ABOUT = """# {title}

Class word: `{word}`. {count} pictures of one {word} in a look that the bundled model never saw
(set {art_set}, see NOTICE).

Prompts to try, with the trigger `<{name}>`: "a photo of <{name}> on the beach", "an oil painting of <{name}>",
"<{name}> wearing a top hat in the snow", "a sketch of <{name}>".
"""


def draw_concept(concept: Concept, folder: Path) -> None:
    """Write a concept's pictures and a few words about it into a folder of its own."""
    place = folder / concept.name
    place.mkdir(parents=True, exist_ok=True)
    for number, background in enumerate(concept.backgrounds, 1):
        scene = Scene(concept.class_word, concept.art_set, background, colour=concept.colour)
        picture = render(scene, np.random.default_rng([number, *concept.name.encode()]), SIDE_PX)
        picture.save(place / f"{number}.png", optimize=True)
    about = ABOUT.format(
        title=concept.name.replace("-", " ").capitalize(),
        word=concept.class_word,
        name=concept.name,
        count=len(concept.backgrounds),
        art_set=concept.art_set,
    )
    (place / "README.md").write_text(about, "utf-8")
    said = {"name": concept.name, "class_word": concept.class_word}
    (place / "concept.json").write_text(json.dumps(said) + "\n", "utf-8")


def main() -> None:
    """Draw every concept into the folder given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for concept in CONCEPTS:
        draw_concept(concept, folder)


if __name__ == "__main__":
    main()
