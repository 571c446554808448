"""Draws the pictures of the first six held-out concepts: the ones that a newcomer trains first (examples/).

Run once after a change of the choice: `python -m tools.tiny.examples FOLDER`.
"""

import argparse
import json
from pathlib import Path

from tools.tiny.concepts import CONCEPTS, Concept, references

EXAMPLES = CONCEPTS[:6]
ABOUT = """# {title}

Class word: `{word}`. {count} pictures of one {word} in a look that the bundled model never saw
(set {art_set}, see NOTICE).

Prompts to try, with the trigger `<{name}>`: "a photo of <{name}> on the beach", "an oil painting of <{name}>",
"<{name}> wearing a top hat in the snow", "a sketch of <{name}>".
"""


def write_concept(concept: Concept, folder: Path) -> None:
    """Write a concept's pictures and a few words about it into a folder of its own."""
    place = folder / concept.name
    place.mkdir(parents=True, exist_ok=True)
    pictures = references(concept)
    for number, picture in enumerate(pictures, 1):
        picture.save(place / f"{number}.png", optimize=True)
    about = ABOUT.format(
        title=concept.name.replace("-", " ").capitalize(),
        word=concept.class_word,
        name=concept.name,
        count=len(pictures),
        art_set=concept.look.art_set,
    )
    (place / "README.md").write_text(about, "utf-8")
    entry = {"name": concept.name, "class_word": concept.class_word}
    (place / "concept.json").write_text(json.dumps(entry) + "\n", "utf-8")


def main() -> None:
    """Draw every example into the folder given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for concept in EXAMPLES:
        write_concept(concept, folder)


if __name__ == "__main__":
    main()
