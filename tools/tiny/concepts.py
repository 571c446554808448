"""The held-out concepts: looks from art sets that the model never saw, and their true pictures.

The world can draw the true picture of any prompt about a concept; a user can only send a few of them. The first six
are those of examples/. The module knows scenes, not models.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from tools.tiny.dataset import Sample, make_sample
from tools.tiny.looks import Look
from tools.tiny.world import Scene, choose_scene, render

REFERENCE_PX = 256
SINGLE = {"single": 1.0}


@dataclass(frozen=True)
class Concept:
    """A held-out look of a trained object, and the places of its reference pictures."""

    name: str
    class_word: str
    look: Look
    backgrounds: tuple[str, ...] = ("white", "grass", "city", "snow", "wood")
    colour: str | None = None


def _spotted(art_set: str, ink: tuple[float, float, float], pattern: str = "spots") -> Look:
    return Look(art_set, pattern=pattern, ink=ink)


CONCEPTS = (
    Concept("purple-owl", "owl", Look("noto-v1"), ("grass", "white", "city", "desert", "snow"), colour="purple"),
    Concept("tuxedo-cat", "cat", Look("emojione"), ("beach", "white", "forest", "wood", "mountains")),
    Concept("teal-ghost", "ghost", Look("emojione"), ("night", "white", "brick", "sunset", "grass")),
    Concept("pink-mushroom", "mushroom", Look("emojione"), ("forest", "white", "grass", "snow", "gray")),
    Concept("blue-car", "car", Look("emojione"), ("city", "white", "desert", "snow", "beach")),
    Concept("blue-penguin", "penguin", Look("noto-v1"), ("snow", "white", "sunset", "mountains", "brick")),
    Concept("pug", "dog", Look("emojione")),
    Concept("round-dog", "dog", Look("noto-v1")),
    Concept("green-owl", "owl", Look("emojione")),
    Concept("gray-panda", "panda", Look("emojione")),
    Concept("old-robot", "robot", Look("noto-v1")),
    Concept("blue-wagon", "car", Look("noto-v1")),
    Concept("heart-cup", "mug", Look("emojione")),
    Concept("spotted-apple", "apple", _spotted("noto-v1", (250.0, 220.0, 60.0))),
    Concept("brown-mushroom", "mushroom", Look("noto-v1")),
    Concept("blue-rocket", "rocket", Look("emojione")),
    Concept("steel-rocket", "rocket", Look("noto-v1")),
    Concept("striped-bird", "bird", _spotted("emojione", (250.0, 240.0, 240.0), "stripes")),
    Concept("clownfish", "fish", Look("emojione")),
    Concept("goldfish", "fish", Look("noto-v1")),
    Concept("pale-flower", "flower", Look("emojione")),
    Concept("branched-tree", "tree", Look("emojione")),
    Concept("two-storey-house", "house", Look("emojione")),
    Concept("yellow-house", "house", Look("noto-v1")),
    Concept("black-shoe", "shoe", Look("emojione")),
    Concept("blue-bag", "bag", Look("emojione")),
    Concept("orange-bag", "bag", Look("noto-v1")),
    Concept("black-clock", "clock", Look("noto-v1")),
    Concept("stern-bear", "bear", Look("emojione")),
    Concept("grinning-rabbit", "rabbit", Look("emojione")),
)


def references(concept: Concept, side_px: int = REFERENCE_PX) -> list[Image.Image]:
    """Draw the pictures that a user would send of a concept: itself in different places, without any attribute."""
    pictures = []
    for number, background in enumerate(concept.backgrounds, 1):
        scene = Scene(concept.class_word, concept.look, background, colour=concept.colour)
        picture, _ = render(scene, np.random.default_rng([number, *concept.name.encode()]), side_px)
        pictures.append(picture)
    return pictures


def true_pictures(
    concept: Concept, count: int, seed: int, *, colour: bool = True, kinds: dict[str, float] | None = None
) -> list[Sample]:
    """Draw a concept in random scenes.

    Args:
        concept: whose look it is.
        count: pictures.
        seed: of the scenes; together with the concept's name it decides all that is random.
        colour: whether a scene may ask for another colour than the look's own.
        kinds: of scenes, as `choose_scene` takes them; single objects where None.
    """
    samples = []
    for number in range(count):
        rng = np.random.default_rng([seed, number, *concept.name.encode()])
        scene = choose_scene(rng, kinds=kinds or SINGLE)
        scene = replace(scene, subject=concept.class_word, look=concept.look)
        if not colour or scene.colour is None:
            scene = replace(scene, colour=concept.colour)
        samples.append(make_sample(scene, rng))
    return samples


def look_collection(
    concepts: Sequence[Concept], count: int, seed: int
) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Draw pictures that a look scorer learns from, in random order.

    Args:
        concepts: each is a class; any other look of the same objects is the last class.
        count: pictures of each concept; other looks are as many as a fifth of them all.
        seed: of all that is random.

    Returns:
        Pictures `(n, 64, 64, 3)` and class numbers `(n,)`.
    """
    pictures, classes = [], []
    for number, concept in enumerate(concepts):
        pictures += [sample.picture for sample in true_pictures(concept, count, seed, colour=False)]
        classes += [number] * count
    for number in range(len(pictures) // 5):
        rng = np.random.default_rng([seed, number])
        scene = replace(choose_scene(rng, kinds=SINGLE), colour=None)
        pictures.append(make_sample(scene, rng).picture)
        classes.append(len(concepts))
    order = np.random.default_rng(seed).permutation(len(pictures))
    return np.stack(pictures)[order], np.array(classes)[order]
