"""The emoji artwork on disk: art sets, objects, the colours of an object's parts, and where an object wears things.

It knows single pieces of artwork, not looks, scenes or captions. Licences stand in NOTICE.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

ARTWORK = Path(__file__).parent / "artwork"
TRAINED_SETS = ("noto", "fluent-emoji-flat", "fluent-emoji", "twemoji")
HELD_OUT_SETS = ("emojione", "noto-v1")
ACCESSORY_SETS = ("noto", "fluent-emoji-flat")
ACCESSORIES = ("top hat", "crown", "sunglasses", "bow", "balloon")
# Height of the eyes, or of the place where a pair of glasses sits best, in shares of the object's height.
EYES = {
    "dog": 0.40,
    "cat": 0.46,
    "owl": 0.22,
    "ghost": 0.32,
    "panda": 0.45,
    "penguin": 0.17,
    "robot": 0.42,
    "car": 0.36,
    "mug": 0.50,
    "apple": 0.50,
    "mushroom": 0.34,
    "rocket": 0.34,
    "bird": 0.20,
    "fish": 0.40,
    "man": 0.46,
    "woman": 0.46,
    "flower": 0.24,
    "plant": 0.30,
    "tree": 0.32,
    "house": 0.46,
    "shoe": 0.50,
    "bag": 0.60,
    "clock": 0.50,
    "bear": 0.46,
    "rabbit": 0.58,
    "cake": 0.60,
}
OBJECTS = tuple(EYES)
PARTS = 4
ROUNDS = 8  # of the clustering that finds the parts
OPAQUE = 128
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """Where an object wears things, in pixels of the picture that it was measured on."""

    x: float
    top: float
    eyes: float
    width: float


def has_piece(art_set: str, name: str) -> bool:
    """Tell whether an art set draws an object or accessory."""
    return _path(art_set, name).exists()


def _path(art_set: str, name: str) -> Path:
    return ARTWORK / art_set / f"{name.replace(' ', '-')}.png"


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
    with Image.open(_path(art_set, name)) as picture:
        return picture.convert("RGBA").resize((side_px, side_px), Image.Resampling.LANCZOS)


@cache
def part_colours(art_set: str, name: str) -> Array:
    """Find the colours of an object's parts by k-means over its opaque pixels.

    Args:
        art_set: a folder of the artwork.
        name: an object.

    Returns:
        `(PARTS, 3)` in 0..255, from dark to light.
    """
    pixels = np.asarray(piece(art_set, name, 64), dtype=np.float32).reshape(-1, 4)
    colours = pixels[pixels[:, 3] > OPAQUE, :3]
    order = np.argsort(colours.sum(axis=1))
    centres = colours[order[(np.linspace(0.1, 0.9, PARTS) * (len(order) - 1)).astype(int)]]
    for _ in range(ROUNDS):
        nearest = nearest_part(colours, centres)
        for part in range(PARTS):
            if (nearest == part).any():
                centres[part] = colours[nearest == part].mean(axis=0)
    found: Array = centres[np.argsort(centres.sum(axis=1))]
    return found


def nearest_part(colours: Array, centres: Array) -> npt.NDArray[np.int64]:
    """Give for every colour `(..., 3)` the number of the nearest of the centres `(PARTS, 3)`."""
    nearest: npt.NDArray[np.int64] = ((colours[..., None, :] - centres) ** 2).sum(axis=-1).argmin(axis=-1)
    return nearest


def measure_head(figure: Image.Image, name: str) -> Head:
    """Find where a drawn object wears things.

    Args:
        figure: the object on a transparent square.
        name: which object it is.
    """
    opaque = np.asarray(figure.getchannel("A")) > OPAQUE
    rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
    top, height, width = rows[0], rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    crown = np.flatnonzero(opaque[top : top + max(2, round(0.25 * height))].any(axis=0))
    across = float(np.clip(crown[-1] - crown[0] + 1, 0.5 * width, 0.68 * width))
    return Head((crown[0] + crown[-1]) / 2, top + 0.06 * height, top + EYES[name] * height, across)
