"""The emoji artwork on disk and where on each piece a hat or a pair of glasses belongs.

It knows pictures and places on them, not scenes, colours or captions. Licences stand in NOTICE.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

ARTWORK = Path(__file__).parent / "artwork"
TRAINED_SETS = ("noto", "fluent-emoji-flat")
OBJECTS = ("dog", "cat", "owl", "ghost", "panda", "penguin", "robot", "car", "mug", "apple", "mushroom", "rocket")
ACCESSORIES = ("top hat", "crown", "sunglasses", "bow", "balloon")


@dataclass(frozen=True)
class Head:
    """Where an object wears things, in shares of the artwork's side from its top left corner."""

    x: float
    top: float
    eyes: float
    width: float


HEADS = {
    "dog": Head(0.5, 0.12, 0.44, 0.60),
    "cat": Head(0.5, 0.18, 0.46, 0.62),
    "owl": Head(0.5, 0.08, 0.26, 0.60),
    "ghost": Head(0.5, 0.10, 0.33, 0.52),
    "panda": Head(0.5, 0.10, 0.45, 0.64),
    "penguin": Head(0.5, 0.08, 0.24, 0.46),
    "robot": Head(0.5, 0.24, 0.43, 0.62),
    "car": Head(0.5, 0.18, 0.36, 0.56),
    "mug": Head(0.48, 0.24, 0.56, 0.58),
    "apple": Head(0.5, 0.16, 0.46, 0.62),
    "mushroom": Head(0.5, 0.06, 0.32, 0.62),
    "rocket": Head(0.66, 0.14, 0.38, 0.48),
}
SPECIAL_HEADS = {
    ("noto", "penguin"): Head(0.40, 0.06, 0.15, 0.42),
    ("noto", "car"): Head(0.5, 0.22, 0.40, 0.56),
    ("noto", "ghost"): Head(0.53, 0.06, 0.30, 0.48),
    ("noto", "mug"): Head(0.46, 0.34, 0.58, 0.60),
    ("fluent-emoji-flat", "mug"): Head(0.45, 0.10, 0.48, 0.60),
    ("fluent-emoji-flat", "apple"): Head(0.5, 0.22, 0.52, 0.66),
}


def head(art_set: str, name: str) -> Head:
    """Say where the object of one art set wears things."""
    return SPECIAL_HEADS.get((art_set, name), HEADS[name])


@cache
def piece(art_set: str, name: str, side_px: int) -> Image.Image:
    """Load one piece of artwork, resized to a square.

    Args:
        art_set: a folder of the artwork.
        name: an object or an accessory.
        side_px: side of the square.

    Returns:
        An RGBA picture; it is shared, so do not draw on it.
    """
    with Image.open(ARTWORK / art_set / f"{name.replace(' ', '-')}.png") as picture:
        return picture.convert("RGBA").resize((side_px, side_px), Image.Resampling.LANCZOS)
