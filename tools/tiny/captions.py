"""The language of the miniature world: sentences that name a scene's attributes in many word orders.

It knows words and scenes, not pictures. The openings hold every word of the object and style templates of textual
inversion, so that a concept is trained and used in sentences that the model has seen.
"""

import re

import numpy as np

from dti.pictures import STYLE_TEMPLATES
from tools.tiny.artwork import OBJECTS
from tools.tiny.styles import COLOURS
from tools.tiny.world import Scene

Random = np.random.Generator

OPENINGS = (
    "a photo of {}",
    "a rendering of {}",
    "a cropped photo of {}",
    "the photo of {}",
    "a dark photo of {}",
    "a photo of my {bare}",
    "a photo of the {bare}",
    "a photo of a {bare}",
    "a photo of a clean {bare}",
    "a photo of a dirty {bare}",
    "a photo of the cool {bare}",
    "a photo of a cool {bare}",
    "a photo of the nice {bare}",
    "a photo of a nice {bare}",
    "a photo of the small {bare}",
    "a photo of a small {bare}",
    "a photo of the weird {bare}",
    "a photo of a weird {bare}",
    "a photo of the large {bare}",
    "a photo of a large {bare}",
    "a photo of the clean {bare}",
    "a photo of the dirty {bare}",
    "a photo of one {bare}",
    "a close-up photo of {}",
    "a bright photo of {}",
    "a good photo of {}",
    "a photo of the hidden {bare}",
    "a depiction of {}",
    "an illustration of {}",
    "an image of {}",
    "a rendition of {}",
    "a picture of {}",
    "a cropped picture of {}",
    "the picture of {}",
    *dict.fromkeys(STYLE_TEMPLATES),
    "{}",
    "the {bare}",
    "my {bare}",
    "there is {}",
    "this is {}",
    "we see {} here",
    "a scene with {}",
    "a nice picture of {}",
    "a cute {bare}",
)
STYLED_OPENINGS = {
    "sketch": (
        "a sketch of {}",
        "a pencil sketch of {}",
        "a pencil drawing of {}",
        "a drawing of {}",
        "a good sketch of {}",
        "the sketch of {}",
    ),
    "pixel": ("pixel art of {}", "a pixel art picture of {}", "pixelated {bare}", "a pixel picture of {}"),
    "oil": ("an oil painting of {}", "a good oil painting of {}", "the oil painting of {}", "oil painting of {}"),
    "black and white": (
        "a black and white photo of {}",
        "a black and white picture of {}",
        "a monochrome photo of {}",
        "black and white photo of {}",
    ),
}
STYLED_ENDINGS = {
    "sketch": ("as a sketch", "sketch", "pencil sketch", "drawn in pencil", "in the style of a sketch"),
    "pixel": ("as pixel art", "pixel art", "in pixel art style", "in the style of pixel art"),
    "oil": ("as an oil painting", "oil painting", "painted in oil", "in the style of an oil painting"),
    "black and white": ("in black and white", "black and white", "monochrome"),
}
PLACES = {
    "beach": ("on the beach", "at the beach", "on a sunny beach", "on the sand of a beach"),
    "grass": ("on grass", "on the grass", "in the grass", "in a meadow"),
    "snow": ("in the snow", "in snow", "on snow", "in winter"),
    "night": ("at night", "under the night sky", "under the stars", "in the night"),
    "forest": ("in the forest", "in a forest", "in front of trees", "between trees"),
    "water": ("in the water", "in water", "on the water", "in the sea"),
    "desert": ("in the desert", "in a desert", "on desert sand"),
    "wood": ("on wood", "on a wooden floor", "on a wooden table", "in front of a wooden wall"),
    "brick": ("in front of a brick wall", "by a brick wall", "on bricks"),
    "city": ("in the city", "in a city", "on a city street", "in front of a city skyline"),
    "mountains": ("in the mountains", "in front of mountains", "on a mountain"),
    "sunset": ("at sunset", "in the sunset", "in front of a sunset"),
    "white": ("on a white background", "on white", "with a white background"),
    "gray": ("on a gray background", "on gray", "with a gray background"),
}
WEARING = {
    "top hat": ("wearing a top hat", "with a top hat", "in a top hat", "with a hat", "wearing a hat"),
    "crown": ("wearing a crown", "with a crown", "with a golden crown"),
    "sunglasses": ("wearing sunglasses", "with sunglasses", "in sunglasses", "with glasses"),
    "bow": ("wearing a bow", "with a bow", "with a pink bow", "wearing a red bow"),
    "balloon": ("with a balloon", "holding a balloon", "with a red balloon", "and a balloon"),
}
ADJECTIVES = ("small", "large", "cute", "nice", "cool", "funny", "happy", "little", "big", "new", "old", "beautiful")
PLACE_NAMED_SHARE = 0.75
ADJECTIVE_SHARE = 0.1
OPENING_SHARE = 0.7
PLACE_FIRST_SHARE = 0.12
COMMA_SHARE = 0.1
WORD = re.compile(r"[a-z]+|[^\sa-z]")


def _pick(rng: Random, phrases: tuple[str, ...]) -> str:
    return phrases[rng.integers(len(phrases))]


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _noun(scene: Scene, rng: Random) -> str:
    words = [scene.colour, scene.subject] if scene.colour else [scene.subject]
    if rng.random() < ADJECTIVE_SHARE:
        words.insert(0, _pick(rng, ADJECTIVES))
    return " ".join(words)


def compose(scene: Scene, rng: Random) -> str:
    """Describe a scene in one sentence.

    Colour, accessory and style are always named, so that a sentence without them means none; the place is sometimes
    left out, as in the templates of textual inversion.

    Args:
        scene: the contents of the picture.
        rng: chooses among the ways of saying it.

    Returns:
        A caption in lower case.
    """
    bare = _noun(scene, rng)
    style_first = scene.style is not None and rng.random() < OPENING_SHARE
    openings = STYLED_OPENINGS[str(scene.style)] if style_first else OPENINGS
    opening = _pick(rng, openings).format(_article(bare), bare=bare)
    wearing = [_pick(rng, WEARING[scene.accessory])] if scene.accessory else []
    place = [_pick(rng, PLACES[scene.background])] if rng.random() < PLACE_NAMED_SHARE else []
    ending = [_pick(rng, STYLED_ENDINGS[scene.style])] if scene.style and not style_first else []
    parts = [opening, *wearing, *place, *ending]
    if place and rng.random() < PLACE_FIRST_SHARE:
        parts = [*place, opening, *wearing, *ending]
    return (", " if rng.random() < COMMA_SHARE else " ").join(parts)


def vocabulary() -> list[str]:
    """List every word and sign that captions are made of, sorted."""
    tables = (STYLED_OPENINGS, STYLED_ENDINGS, PLACES, WEARING)
    phrases = [phrase for table in tables for choices in table.values() for phrase in choices]
    text = " ".join([*OPENINGS, *phrases, *ADJECTIVES, *OBJECTS, *COLOURS, "an", ","])
    return sorted(set(WORD.findall(text.replace("{bare}", "").replace("{}", ""))))
