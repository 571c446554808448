"""The language of the miniature world: sentences that name a scene's attributes in many word orders.

It knows words and scenes, not pictures. The openings hold every word of the object and style templates of textual
inversion, so that a concept is trained and used in sentences that the model has seen. A causal text model can fold into
the noun's state only the words in front of it, so every sentence says whether its context stands in front or behind.
"""

import re
from dataclasses import dataclass

import numpy as np

from dti.spec.templates import STYLE_TEMPLATES
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
SYNONYMS: dict[str, tuple[str, ...]] = {
    "dog": ("puppy",),
    "cat": ("kitten",),
    "rabbit": ("bunny",),
    "mug": ("cup", "cup"),
    "man": ("person", "boy"),
    "woman": ("person", "girl"),
    "shoe": ("sneaker",),
    "bag": ("handbag",),
    "flower": ("sunflower",),
    "bear": ("teddy",),
    "fish": ("goldfish",),
    "rocket": ("spaceship",),
    "clock": ("alarm",),
}
ANIMALS = ("dog", "cat", "owl", "panda", "penguin", "bird", "fish", "bear", "rabbit")
GENERIC: dict[str, tuple[str, ...]] = {
    "animal": ANIMALS,
    "pet": ("dog", "cat", "rabbit"),
    "toy": ("robot", "rocket", "car", "bear"),
    "vehicle": ("car", "rocket"),
    "food": ("apple", "cake", "mushroom"),
    "building": ("house",),
    "thing": tuple(name for name in OBJECTS if name not in {*ANIMALS, "man", "woman", "ghost"}),
}
PLURALS = {name: f"{name}s" for name in OBJECTS} | {"fish": "fish", "man": "men", "woman": "women"}
NUMBERS = {2: "two", 3: "three"}
# Left and right stand for the noun phrases of the object that is drawn there.
PAIRS = (
    "{left} and {right}",
    "{left} and {right}",
    "{left} next to {right}",
    "{left} to the left of {right}",
    "{right} to the right of {left}",
)
PAIR_OPENINGS = ("a photo of {}", "a picture of {}", "an image of {}", "a scene with {}", "{}")
LONGEST = 22  # words of a sentence: two of the text model's 24 positions are taken by its ends
PLACE_NAMED_SHARE = 0.75
ADJECTIVE_SHARE = 0.1
OPENING_SHARE = 0.7
FRONT_SHARE = 0.5
COMMA_SHARE = 0.5
SYNONYM_SHARE = 0.12
GENERIC_SHARE = 0.04
PLURAL_SHARE = 0.7
WORD = re.compile(r"[a-z]+|[^\sa-z]")


@dataclass(frozen=True)
class Caption:
    """A sentence, the word that stands for the scene's first object, and the place of its context."""

    text: str
    noun: str
    in_front: bool


def _pick(rng: Random, phrases: tuple[str, ...]) -> str:
    return phrases[rng.integers(len(phrases))]


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def nouns(subject: str) -> tuple[str, ...]:
    """List every word for an object: its name first, then synonyms and generic words."""
    generic = tuple(word for word, members in GENERIC.items() if subject in members)
    return (subject, *dict.fromkeys(SYNONYMS.get(subject, ())), *generic)


def choose_noun(subject: str, rng: Random) -> str:
    """Choose a word for an object: mostly its name, sometimes a synonym or a generic word."""
    draw = rng.random()
    if draw < GENERIC_SHARE and (generic := [word for word, members in GENERIC.items() if subject in members]):
        return str(rng.choice(generic))
    if draw > 1 - SYNONYM_SHARE and subject in SYNONYMS:
        return _pick(rng, SYNONYMS[subject])
    return subject


def _noun_phrase(noun: str, colour: str | None, rng: Random) -> str:
    words = [colour, noun] if colour else [noun]
    if rng.random() < ADJECTIVE_SHARE:
        words.insert(0, _pick(rng, ADJECTIVES))
    return " ".join(words)


def _opening(scene: Scene, noun: str, rng: Random, *, styled: bool) -> str:
    """Name the objects of a scene, in a sentence that may name its style."""
    openings = STYLED_OPENINGS[str(scene.style)] if styled else OPENINGS
    bare = _noun_phrase(noun, scene.colour, rng)
    if scene.companion is None and scene.count == 1:
        return _pick(rng, openings).format(_article(bare), bare=bare)
    openings = tuple(text for text in openings if "{bare}" not in text) if styled else PAIR_OPENINGS
    if scene.companion is None:
        return _pick(rng, openings).format(f"{NUMBERS[scene.count]} {bare}")
    own, other = _article(bare), _article(_noun_phrase(scene.companion.subject, scene.companion.colour, rng))
    left, right = (other, own) if scene.companion.left else (own, other)
    return _pick(rng, openings).format(_pick(rng, PAIRS).format(left=left, right=right))


def _sentence(scene: Scene, noun: str, rng: Random, *, in_front: bool, place_named: bool) -> str:
    style_first = scene.style is not None and rng.random() < OPENING_SHARE
    opening = _opening(scene, noun, rng, styled=style_first)
    context = [_pick(rng, WEARING[scene.accessory])] if scene.accessory else []
    context += [_pick(rng, PLACES[scene.background])] if place_named else []
    context += [_pick(rng, STYLED_ENDINGS[scene.style])] if scene.style and not style_first else []
    context = [context[number] for number in rng.permutation(len(context))]
    sign = ", " if rng.random() < COMMA_SHARE else " "
    if in_front:
        return sign.join([" ".join(context), opening]) if context else opening
    return sign.join([opening, *context])


def compose(
    scene: Scene,
    rng: Random,
    *,
    in_front: bool | None = None,
    word: str | None = None,
    place_named: bool | None = None,
) -> Caption:
    """Name in one sentence the content of a scene.

    Colour, accessory and style are always named, so that a sentence without them means none; the place is sometimes
    left out, as in the templates of textual inversion.

    Args:
        scene: the content of the picture.
        rng: chooses among the ways of saying it.
        in_front: whether place, accessory and style stand in front of the object; drawn where None.
        word: the word for the first object; drawn where None, several objects then mostly in the plural.
        place_named: whether the place is named; drawn where None.

    Returns:
        A caption in lower case, of at most `LONGEST` words where that is possible.
    """
    front = bool(rng.random() < FRONT_SHARE) if in_front is None else in_front
    named = bool(rng.random() < PLACE_NAMED_SHARE) if place_named is None else place_named
    noun = word or choose_noun(scene.subject, rng)
    if word is None and scene.count > 1 and noun == scene.subject and rng.random() < PLURAL_SHARE:
        noun = PLURALS[noun]
    tries = [_sentence(scene, noun, rng, in_front=front, place_named=named)]
    while length(tries[-1]) > LONGEST and len(tries) < 5:  # noqa: PLR2004
        tries.append(_sentence(scene, noun, rng, in_front=front, place_named=named))
    return Caption(min(tries, key=length), noun, front)


def length(text: str) -> int:
    """Count the words and signs of a sentence."""
    return len(WORD.findall(text))


def vocabulary() -> list[str]:
    """List every word and sign that captions are made of, sorted."""
    tables = (STYLED_OPENINGS, STYLED_ENDINGS, PLACES, WEARING, SYNONYMS)
    phrases = [phrase for table in tables for choices in table.values() for phrase in choices]
    names = [*OBJECTS, *PLURALS.values(), *GENERIC, *NUMBERS.values()]
    text = " ".join([*OPENINGS, *phrases, *ADJECTIVES, *names, *COLOURS, *PAIRS, *PAIR_OPENINGS, "an", ","])
    return sorted(set(WORD.findall(re.sub(r"\{\w*\}", "", text))))
