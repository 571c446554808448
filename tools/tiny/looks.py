"""Looks: how one object appears, continuous in the colours of its parts, its shape and its pattern.

A look starts from a piece of artwork of some set. Its parts take other colours, or those of the same object in another
set; its outline is stretched, sheared and bent; it may be mirrored and carry spots, stripes or a patch. The module
knows objects alone: scenes place them, captions name them.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tools.tiny.artwork import PARTS, TRAINED_SETS, has_piece, nearest_part, part_colours, piece

Random = np.random.Generator
Rgb = tuple[float, float, float]
PADDING = 0.14  # room around a piece of artwork for its warps, in shares of its side
CANVAS = 1 + 2 * PADDING
PLAIN_SHARE = 0.4
PATTERN_SHARE = 0.25
GRID = 4  # cells a side of the mesh that bends an outline
DARK = 70.0  # eyes and outlines keep their colour under a pattern
PATTERNS = ("spots", "stripes", "patch")


@dataclass(frozen=True)
class Warp:
    """A smooth change of shape: width and height, slant, and a bend of each axis along the other."""

    width: float = 1.0
    height: float = 1.0
    slant: float = 0.0
    bend: float = 0.0
    taper: float = 0.0


@dataclass(frozen=True)
class Look:
    """One appearance of an object. `palette` holds the colours of its parts, from dark to light, where they change."""

    art_set: str
    mirrored: bool = False
    palette: tuple[Rgb, ...] | None = None
    pattern: str | None = None
    ink: Rgb = (0.0, 0.0, 0.0)
    warp: Warp = Warp()

    @property
    def plain(self) -> bool:
        """Whether colours and pattern are those of the artwork."""
        return self.palette is None and self.pattern is None


def _hsv(rng: Random) -> Rgb:
    hue, saturation, value = rng.uniform(), rng.choice([0.1, 0.5, 0.75, 0.9]), rng.uniform(0.3, 1)
    red, green, blue = (255 * part for part in colorsys.hsv_to_rgb(hue, saturation, value))
    return round(red, 1), round(green, 1), round(blue, 1)


def _turned(colours: npt.NDArray[np.float32], turn: float) -> tuple[Rgb, ...]:
    turned = []
    for colour in (colours / 255).tolist():
        hue, saturation, value = colorsys.rgb_to_hsv(*colour)
        red, green, blue = (round(255 * part, 1) for part in colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value))
        turned.append((red, green, blue))
    return tuple(turned)


def _choose_palette(rng: Random, subject: str, art_set: str, art_sets: tuple[str, ...]) -> tuple[Rgb, ...]:
    """Choose colours of parts: all hues turned, those of another set, or some parts in colours of their own."""
    own = part_colours(art_set, subject)
    kind = rng.choice(3, p=(0.3, 0.2, 0.5))
    if kind == 0:
        return _turned(own, float(rng.uniform(0.08, 0.92)))
    if kind == 1:
        other = str(rng.choice([name for name in art_sets if has_piece(name, subject)]))
        return _turned(part_colours(other, subject), 0.0)
    kept = _turned(own, 0.0)
    changed = rng.permutation(PARTS)[: rng.integers(1, PARTS)]
    return tuple(_hsv(rng) if part in changed else colour for part, colour in enumerate(kept))


def _choose_warp(rng: Random, strength: float) -> Warp:
    shares = rng.uniform(-strength, strength, 5)
    width, height, slant, bend, taper = (round(float(share), 3) for share in shares)
    return Warp(1 + 0.14 * width, 1 + 0.14 * height, 0.14 * slant, 0.08 * bend, 0.16 * taper)


def choose_look(rng: Random, subject: str, art_sets: tuple[str, ...] = TRAINED_SETS) -> Look:
    """Choose a look of an object at random; two in five keep the colours of their artwork.

    Args:
        rng: makes every choice.
        subject: the object.
        art_sets: sets that may be used.
    """
    art_set = str(rng.choice([name for name in art_sets if has_piece(name, subject)]))
    mirrored = bool(rng.random() < 0.4)  # noqa: PLR2004
    if rng.random() < PLAIN_SHARE:
        return Look(art_set, mirrored, warp=_choose_warp(rng, 0.25))
    has_pattern = rng.random() < PATTERN_SHARE
    recoloured = not has_pattern or rng.random() < 0.6  # noqa: PLR2004
    palette = _choose_palette(rng, subject, art_set, art_sets) if recoloured else None
    pattern = str(rng.choice(PATTERNS)) if has_pattern else None
    return Look(art_set, mirrored, palette, pattern, _hsv(rng), _choose_warp(rng, 1.0))


def _recoloured(pixels: npt.NDArray[np.float32], look: Look, subject: str) -> npt.NDArray[np.float32]:
    """Move every part's pixels by the difference between its new and its old colour."""
    centres = part_colours(look.art_set, subject)
    moves = np.asarray(look.palette, dtype=np.float32) - centres
    moved: npt.NDArray[np.float32] = pixels + moves[nearest_part(pixels, centres)]
    return moved


def _covered(kind: str, side_px: int) -> npt.NDArray[np.bool_]:
    """Give the pixels that a pattern covers."""
    y, x = np.mgrid[0:side_px, 0:side_px] / side_px
    if kind == "stripes":
        covered: npt.NDArray[np.bool_] = (x + 0.5 * y) * 7 % 1 < 0.42  # noqa: PLR2004
    elif kind == "spots":
        row = np.floor(y * 6)
        covered = (((x * 6 + 0.5 * (row % 2)) % 1 - 0.5) ** 2 + (y * 6 % 1 - 0.5) ** 2) < 0.09  # noqa: PLR2004
    else:
        covered = ((x - 0.3) / 0.22) ** 2 + ((y - 0.42) / 0.26) ** 2 < 1
    return covered


def _warped(figure: Image.Image, warp: Warp) -> Image.Image:
    """Bend a picture by a mesh of quadrilaterals; corners of the mesh move smoothly."""
    side_px = figure.width

    def source(column: int, row: int) -> tuple[float, float]:
        x, y = 2 * column / GRID - 1, 2 * row / GRID - 1
        across = (x - warp.slant * y) / (warp.width * (1 + warp.taper * y)) + warp.bend * (1 - y * y)
        down = y / warp.height + warp.bend * (1 - x * x)
        return (across + 1) / 2 * side_px, (down + 1) / 2 * side_px

    edges = [round(step * side_px / GRID) for step in range(GRID + 1)]
    mesh = []
    for row in range(GRID):
        for column in range(GRID):
            corners = ((0, 0), (0, 1), (1, 1), (1, 0))
            quad = [value for right, low in corners for value in source(column + right, row + low)]
            box = (edges[column], edges[row], edges[column + 1], edges[row + 1])
            mesh.append((box, tuple(quad)))
    return figure.transform(figure.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)


def draw_look(subject: str, look: Look, side_px: int) -> Image.Image:
    """Draw an object in a look.

    Args:
        subject: the object.
        look: its appearance.
        side_px: side of the piece of artwork.

    Returns:
        An RGBA square, wider than the artwork by `CANVAS`.
    """
    figure = piece(look.art_set, subject, side_px)
    if not look.plain:
        pixels = np.asarray(figure, dtype=np.float32)
        colours = pixels[..., :3]
        if look.palette:
            colours = _recoloured(colours, look, subject)
        if look.pattern:
            covered = _covered(look.pattern, side_px) & (pixels[..., :3].mean(axis=-1) > DARK)
            colours = np.where(covered[..., None], 0.2 * colours + 0.8 * np.asarray(look.ink), colours)
        opaque = np.clip(np.concatenate([colours, pixels[..., 3:]], axis=-1), 0, 255).astype(np.uint8)
        figure = Image.fromarray(opaque, "RGBA")
    room = round(PADDING * side_px)
    canvas = Image.new("RGBA", (side_px + 2 * room, side_px + 2 * room))
    canvas.paste(figure, (room, room))
    if look.mirrored:
        canvas = canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return _warped(canvas, look.warp) if look.warp != Warp() else canvas
