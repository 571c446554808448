"""Scenes of the miniature world: their attributes, their choice, and their pictures.

A scene is a handful of attributes; the captions that name them are made elsewhere (captions.py).
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from tools.tiny.artwork import ACCESSORIES, OBJECTS, TRAINED_SETS, Head, head, piece
from tools.tiny.backgrounds import BACKGROUNDS, draw_background
from tools.tiny.styles import COLOURS, STYLES, recolour, stylise

Random = np.random.Generator
PLAIN_SHARE = {"accessory": 0.35, "style": 0.45, "colour": 0.35}
MARGIN = 0.4  # border around an object, in shares of its side, for its accessories
# Width in shares of the head's width; how far its centre lies beside and below the top of the head, in the same unit.
FITS = {
    "top hat": (0.92, 0.0, -0.30),
    "crown": (0.86, 0.0, -0.24),
    "bow": (0.72, 0.36, 0.0),
}


@dataclass(frozen=True)
class Scene:
    """Contents of a picture; None stands for an attribute left alone."""

    subject: str
    art_set: str
    background: str
    accessory: str | None = None
    accessory_set: str = TRAINED_SETS[0]
    colour: str | None = None
    style: str | None = None


def choose_scene(rng: Random) -> Scene:
    """Choose a scene at random; colours are left out where black and white would hide them."""

    def maybe(names: tuple[str, ...], attribute: str) -> str | None:
        return None if rng.random() < PLAIN_SHARE[attribute] else str(rng.choice(names))

    style = maybe(STYLES, "style")
    hides_colour = style in {"black and white", "sketch"}
    return Scene(
        subject=str(rng.choice(OBJECTS)),
        art_set=str(rng.choice(TRAINED_SETS)),
        background=str(rng.choice(BACKGROUNDS)),
        accessory=maybe(ACCESSORIES, "accessory"),
        accessory_set=str(rng.choice(TRAINED_SETS)),
        colour=None if hides_colour else maybe(tuple(COLOURS), "colour"),
        style=style,
    )


def _place(scene: Scene, where: Head) -> tuple[float, float, float]:
    """Give width, centre x and centre y of the accessory in shares of the object's side."""
    if scene.accessory == "sunglasses":
        return 1.0 * where.width, where.x, where.eyes
    if scene.accessory == "balloon":
        return 0.62, 1.02, 0.24
    width, beside, below = FITS[str(scene.accessory)]
    return width * where.width, where.x + beside * where.width, where.top + below * where.width


def _dressed(scene: Scene, rng: Random, side_px: int) -> Image.Image:
    """Draw the object with its colour and accessory on a transparent square with a margin."""
    figure = piece(scene.art_set, scene.subject, side_px)
    if scene.colour:
        figure = recolour(figure, scene.colour, rng)
    margin_px = int(MARGIN * side_px)
    layer = Image.new("RGBA", (side_px + 2 * margin_px, side_px + 2 * margin_px))
    layer.paste(figure, (margin_px, margin_px))
    if scene.accessory:
        width, x, y = (share * side_px for share in _place(scene, head(scene.art_set, scene.subject)))
        worn = piece(scene.accessory_set, scene.accessory, round(width))
        layer.alpha_composite(worn, (round(margin_px + x - width / 2), round(margin_px + y - width / 2)))
    return layer


def render(scene: Scene, rng: Random, side_px: int) -> Image.Image:
    """Paint a scene.

    Args:
        scene: its attributes.
        rng: decides size, place and turn, within narrow bounds: a small model learns them faster.
        side_px: side of the square picture.

    Returns:
        An RGB picture.
    """
    picture = draw_background(scene.background, rng, side_px)
    share = rng.uniform(0.64, 0.74)
    layer = _dressed(scene, rng, round(share * side_px)).rotate(rng.uniform(-4, 4), Image.Resampling.BICUBIC)
    x, y = rng.uniform((0.47, 0.56), (0.53, 0.60)) * side_px
    picture.paste(layer, (round(x - layer.width / 2), round(y - layer.height / 2)), layer)
    return stylise(picture, scene.style) if scene.style else picture
