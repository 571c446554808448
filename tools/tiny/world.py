"""Scenes of the miniature world: which attributes one has, how one is chosen, its picture and the object's mask.

A scene is a handful of attributes; the captions that name them are made elsewhere (captions.py), the looks of its
objects in looks.py.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from tools.tiny.artwork import ACCESSORIES, ACCESSORY_SETS, OBJECTS, TRAINED_SETS, measure_head, piece
from tools.tiny.backgrounds import BACKGROUNDS, draw_background
from tools.tiny.looks import CANVAS, Look, Warp, choose_look, draw_look
from tools.tiny.styles import COLOURS, STYLES, recolour, stylise

Random = np.random.Generator
PLAIN_SHARE = {"accessory": 0.35, "style": 0.6, "colour": 0.5}
KINDS = {"single": 0.8, "pair": 0.12, "several": 0.08}
MARGIN = 0.4  # room around an object, in shares of its side, for the things that it wears
# Width in shares of the head's width; how far its centre lies beside and below the top of the head, in the same unit.
FITS = {
    "top hat": (0.92, 0.0, -0.30),
    "crown": (0.86, 0.0, -0.24),
    "bow": (0.72, 0.36, 0.0),
}
# Centres and side of the objects of a scene, in shares of the picture's side, by how many there are.
LAYOUTS = {1: ((0.515,), 0.69), 2: ((0.27, 0.75), 0.44), 3: ((0.19, 0.5, 0.81), 0.32)}


@dataclass(frozen=True)
class Companion:
    """A second object beside the first, and the side on which it stands."""

    subject: str
    look: Look
    colour: str | None = None
    left: bool = False


@dataclass(frozen=True)
class Scene:
    """The content of a picture; None stands for an attribute left alone."""

    subject: str
    look: Look
    background: str
    accessory: str | None = None
    accessory_set: str = ACCESSORY_SETS[0]
    colour: str | None = None
    style: str | None = None
    count: int = 1
    companion: Companion | None = None


def _look_from(entry: dict[str, Any]) -> Look:
    palette = entry["palette"] and tuple(tuple(colour) for colour in entry["palette"])
    return Look(**entry | {"palette": palette, "ink": tuple(entry["ink"]), "warp": Warp(**entry["warp"])})


def scene_from(entry: dict[str, Any]) -> Scene:
    """Read a scene from its entries, as `dataclasses.asdict` gives them."""
    companion = entry["companion"]
    if companion:
        companion = Companion(**companion | {"look": _look_from(companion["look"])})
    return Scene(**entry | {"look": _look_from(entry["look"]), "companion": companion})


def choose_scene(rng: Random, art_sets: tuple[str, ...] = TRAINED_SETS, kinds: dict[str, float] | None = None) -> Scene:
    """Choose a scene at random; colours are left out where black and white would hide them.

    Args:
        rng: makes every choice.
        art_sets: sets from which the object's look is taken.
        kinds: shares of scenes with one object, a pair of two, and several of one.
    """
    shares = kinds or KINDS

    def maybe(names: tuple[str, ...], attribute: str) -> str | None:
        return None if rng.random() < PLAIN_SHARE[attribute] else str(rng.choice(names))

    style = maybe(STYLES, "style")
    hides_colour = style in {"black and white", "sketch"}
    subject = str(rng.choice(OBJECTS))
    kind = str(rng.choice(list(shares), p=list(shares.values())))
    return Scene(
        subject=subject,
        look=choose_look(rng, subject, art_sets),
        background=str(rng.choice(BACKGROUNDS)),
        accessory=maybe(ACCESSORIES, "accessory") if kind == "single" else None,
        accessory_set=str(rng.choice(ACCESSORY_SETS)),
        colour=None if hides_colour else maybe(tuple(COLOURS), "colour"),
        style=style,
        count=int(rng.integers(2, 4)) if kind == "several" else 1,
        companion=_choose_companion(rng, subject, coloured=not hides_colour) if kind == "pair" else None,
    )


def _choose_companion(rng: Random, subject: str, *, coloured: bool) -> Companion:
    other = str(rng.choice([name for name in OBJECTS if name != subject]))
    colour = str(rng.choice(list(COLOURS))) if coloured and rng.random() > PLAIN_SHARE["colour"] else None
    art_set = str(rng.choice(TRAINED_SETS))
    return Companion(other, Look(art_set), colour, left=bool(rng.random() < 0.5))  # noqa: PLR2004


def _fit(accessory: str, figure: Image.Image, subject: str, side_px: int) -> tuple[float, float, float]:
    """Give width, centre x and centre y of the accessory in pixels of the object's canvas."""
    head = measure_head(figure, subject)
    if accessory == "sunglasses":
        return 1.05 * head.width, head.x, head.eyes
    if accessory == "balloon":
        return 0.62 * side_px, figure.width / 2 + 0.52 * side_px, figure.width / 2 - 0.26 * side_px
    width, beside, below = FITS[accessory]
    return width * head.width, head.x + beside * head.width, head.top + below * head.width


def _dressed(scene: Scene, rng: Random, side_px: int) -> tuple[Image.Image, Image.Image]:
    """Draw the object with its colour and accessory on a transparent square with a margin; give its mask too."""
    figure = draw_look(scene.subject, scene.look, side_px)
    if scene.colour:
        figure = recolour(figure, scene.colour, rng)
    room = round(MARGIN * side_px) - (figure.width - side_px) // 2
    layer = Image.new("RGBA", (figure.width + 2 * room, figure.width + 2 * room))
    layer.paste(figure, (room, room))
    mask = layer.getchannel("A")
    if scene.accessory:
        width, x, y = _fit(scene.accessory, figure, scene.subject, side_px)
        worn = piece(scene.accessory_set, scene.accessory, max(4, round(width)))
        corner = (max(0, round(room + x - width / 2)), max(0, round(room + y - width / 2)))
        layer.alpha_composite(worn, corner)
    return layer, mask


def _companion_figure(companion: Companion, rng: Random, side_px: int) -> Image.Image:
    figure = draw_look(companion.subject, companion.look, side_px)
    return recolour(figure, companion.colour, rng) if companion.colour else figure


def render(scene: Scene, rng: Random, side_px: int) -> tuple[Image.Image, Image.Image]:
    """Paint a scene.

    Args:
        scene: its content.
        rng: decides size, place and turn, within narrow bounds: a small model learns them faster.
        side_px: side of the square picture.

    Returns:
        An RGB picture, and the mask of the first object's body (of all of them, where there are several).
    """
    picture = draw_background(scene.background, rng, side_px)
    mask = Image.new("L", picture.size)
    centres, share = LAYOUTS[2 if scene.companion else scene.count]
    object_px = round(share * rng.uniform(0.93, 1.07) * side_px)
    layer, body = _dressed(scene, rng, object_px)
    figures = [(layer, body)] * scene.count
    if scene.companion:
        other = _companion_figure(scene.companion, rng, object_px)
        nothing = Image.new("L", other.size)
        figures = [(other, nothing), *figures] if scene.companion.left else [*figures, (other, nothing)]
    for centre, (figure, shape) in zip(centres, figures, strict=True):
        turn = rng.uniform(-4, 4)
        figure = figure.rotate(turn, Image.Resampling.BICUBIC)  # noqa: PLW2901
        x, y = (centre + rng.uniform(-0.035, 0.035)) * side_px, rng.uniform(0.53, 0.60) * side_px
        corner = (round(x - figure.width / 2), round(y - figure.height / 2))
        picture.paste(figure, corner, figure)
        mask.paste(shape.rotate(turn), corner, shape.rotate(turn))
    return (stylise(picture, scene.style) if scene.style else picture), mask


def draw_code(scene: Scene, side_px: int = 32) -> Image.Image:
    """Draw the first object's look alone on a transparent square: the picture that its row is a word for."""
    side = round(2 * side_px / CANVAS)
    return draw_look(scene.subject, scene.look, side).resize((side_px, side_px), Image.Resampling.BOX)
