"""The fourteen places of the miniature world, drawn from random numbers at any size.

It knows colours and shapes of places; objects, styles and captions are none of its business.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Draw = ImageDraw.ImageDraw
Random = np.random.Generator
Rgb = tuple[int, int, int]


def _shade(colour: Rgb, rng: Random, spread: int = 10) -> Rgb:
    """Vary a colour a little, so that no place is ever quite the same."""
    red, green, blue = (int(np.clip(part + rng.integers(-spread, spread + 1), 0, 255)) for part in colour)
    return red, green, blue


def _canvas(side_px: int, top: Rgb, bottom: Rgb) -> Image.Image:
    """Make a square that fades from one colour at the top to another at the bottom."""
    ramp = np.linspace(0, 1, side_px)[:, None, None]
    rows = np.asarray(top) * (1 - ramp) + np.asarray(bottom) * ramp
    return Image.fromarray(np.broadcast_to(rows, (side_px, side_px, 3)).astype(np.uint8))


def _band(draw: Draw, side_px: int, top: float, bottom: float, colour: Rgb) -> None:
    """Fill the full width between two heights, in shares of the side."""
    draw.rectangle((0, top * side_px, side_px, bottom * side_px), fill=colour)


def _dots(draw: Draw, rng: Random, side_px: int, count: int, radius: float, ink: Rgb) -> None:  # noqa: PLR0917
    """Scatter discs over the whole picture."""
    for x, y in rng.uniform(0, 1, (count, 2)) * side_px:
        r = radius * side_px
        draw.ellipse((x - r, y - r, x + r, y + r), fill=_shade(ink, rng))


def _tree(draw: Draw, rng: Random, side_px: int) -> None:
    """Raise one fir tree, a tall triangle."""
    base, height, x, width = rng.uniform(0.62, 0.8), rng.uniform(0.5, 0.75), rng.uniform(0, 1), 0.3
    corners = ((x - width / 2, base), (x, base - height), (x + width / 2, base))
    draw.polygon([(a * side_px, b * side_px) for a, b in corners], fill=_shade((24, 76, 38), rng, 16))


def _beach(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((110, 195, 245), rng), _shade((190, 230, 250), rng))
    draw = ImageDraw.Draw(picture)
    shore = rng.uniform(0.5, 0.6)
    _band(draw, side_px, shore - 0.16, shore, _shade((20, 130, 190), rng))
    _band(draw, side_px, shore, shore + 0.03, (235, 248, 250))
    _band(draw, side_px, shore + 0.03, 1, _shade((240, 212, 150), rng))
    x, y, r = (rng.uniform(0.1, 0.9) * side_px, 0.12 * side_px, 0.08 * side_px)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 225, 90))
    return picture


def _grass(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((130, 205, 250), rng), _shade((215, 240, 252), rng))
    draw = ImageDraw.Draw(picture)
    horizon = rng.uniform(0.42, 0.52)
    _band(draw, side_px, horizon, 1, _shade((105, 185, 70), rng))
    for x, y in rng.uniform((0, horizon), (1, 1), (90, 2)) * side_px:
        draw.line(
            (x, y, x + rng.uniform(-0.01, 0.02) * side_px, y - 0.05 * side_px), fill=_shade((60, 140, 45), rng, 20)
        )
    return picture


def _snow(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((165, 190, 220), rng), _shade((205, 220, 238), rng))
    draw = ImageDraw.Draw(picture)
    _band(draw, side_px, rng.uniform(0.5, 0.6), 1, _shade((242, 246, 252), rng, 4))
    _dots(draw, rng, side_px, 40, 0.014, (252, 253, 255))
    return picture


def _night(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((8, 10, 40), rng, 6), _shade((34, 38, 92), rng))
    draw = ImageDraw.Draw(picture)
    _dots(draw, rng, side_px, 34, 0.009, (250, 248, 215))
    x, y, r = (rng.choice([0.14, 0.86]) * side_px, 0.14 * side_px, 0.09 * side_px)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(250, 240, 185))
    return picture


def _forest(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((120, 165, 110), rng), _shade((70, 110, 62), rng))
    draw = ImageDraw.Draw(picture)
    for _ in range(11):
        _tree(draw, rng, side_px)
    _band(draw, side_px, 0.78, 1, _shade((66, 56, 32), rng))
    return picture


def _water(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((60, 165, 215), rng), _shade((15, 75, 150), rng))
    draw = ImageDraw.Draw(picture)
    for x, y in rng.uniform((-0.1, 0.03), (0.95, 0.97), (30, 2)) * side_px:
        draw.line((x, y, x + rng.uniform(0.1, 0.22) * side_px, y), fill=(150, 215, 240), width=max(1, side_px // 60))
    return picture


def _desert(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((250, 205, 135), rng), _shade((252, 228, 178), rng))
    draw = ImageDraw.Draw(picture)
    for ink in ((214, 146, 72), (196, 120, 54)):
        x, y = rng.uniform(-0.5, 0.5) * side_px, rng.uniform(0.46, 0.66) * side_px
        draw.ellipse((x - 0.3 * side_px, y, x + 1.3 * side_px, y + 1.2 * side_px), fill=_shade(ink, rng))
    _band(draw, side_px, 0.84, 1, _shade((182, 106, 48), rng))
    return picture


def _wood(rng: Random, side_px: int) -> Image.Image:
    picture = Image.new("RGB", (side_px, side_px))
    draw = ImageDraw.Draw(picture)
    offset = rng.uniform(-0.15, 0)
    for plank in range(8):
        left = offset + plank * 0.17
        corners = (left * side_px, 0, (left + 0.17) * side_px, side_px)
        draw.rectangle(corners, fill=_shade((150, 98, 56), rng, 14), outline=(88, 54, 28))
    return picture


def _brick(rng: Random, side_px: int) -> Image.Image:
    picture = Image.new("RGB", (side_px, side_px), (205, 192, 180))
    draw = ImageDraw.Draw(picture)
    gap = max(1, side_px // 64)
    for row in range(9):
        for column in range(-1, 6):
            x = (column * 0.25 + (row % 2) * 0.125) * side_px
            y = row * 0.125 * side_px
            corners = (x, y, x + 0.25 * side_px - gap - 1, y + 0.125 * side_px - gap - 1)
            draw.rectangle(corners, fill=_shade((168, 70, 52), rng, 14))
    return picture


def _city(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((170, 195, 215), rng), _shade((225, 225, 220), rng))
    draw = ImageDraw.Draw(picture)
    for left in np.arange(-0.02, 1, 0.16):
        top = rng.uniform(0.08, 0.42)
        corners = (left * side_px, top * side_px, (left + 0.145) * side_px, 0.82 * side_px)
        draw.rectangle(corners, fill=_shade((104, 112, 132), rng, 18))
        for x in (left + 0.03, left + 0.085):
            for y in np.arange(top + 0.05, 0.76, 0.1):
                draw.rectangle(
                    (x * side_px, y * side_px, (x + 0.03) * side_px, (y + 0.04) * side_px), fill=(248, 222, 130)
                )
    _band(draw, side_px, 0.82, 1, _shade((72, 74, 80), rng))
    return picture


def _mountains(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((150, 200, 240), rng), _shade((222, 238, 248), rng))
    draw = ImageDraw.Draw(picture)
    for centre in rng.permutation([0.05, 0.38, 0.68, 0.98]):
        x, height, ink = centre + rng.uniform(-0.06, 0.06), rng.uniform(0.45, 0.62), _shade((108, 118, 138), rng)
        for share, colour in ((1.0, ink), (0.34, (246, 249, 252))):
            peak = 0.76 - height
            corners = ((x - 0.28 * share, peak + height * share), (x, peak), (x + 0.28 * share, peak + height * share))
            draw.polygon([(a * side_px, b * side_px) for a, b in corners], fill=colour)
    _band(draw, side_px, 0.75, 1, _shade((112, 150, 92), rng))
    return picture


def _sunset(rng: Random, side_px: int) -> Image.Image:
    picture = _canvas(side_px, _shade((92, 52, 130), rng), _shade((252, 140, 62), rng))
    draw = ImageDraw.Draw(picture)
    x, y, r = rng.uniform(0.2, 0.8) * side_px, 0.66 * side_px, 0.17 * side_px
    draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 222, 110))
    _band(draw, side_px, 0.76, 1, _shade((72, 32, 76), rng))
    return picture


def _white(rng: Random, side_px: int) -> Image.Image:
    return Image.new("RGB", (side_px, side_px), _shade((251, 251, 251), rng, 4))


def _gray(rng: Random, side_px: int) -> Image.Image:
    return Image.new("RGB", (side_px, side_px), _shade((138, 138, 138), rng, 8))


_PLACES: dict[str, Callable[[Random, int], Image.Image]] = {
    "beach": _beach,
    "grass": _grass,
    "snow": _snow,
    "night": _night,
    "forest": _forest,
    "water": _water,
    "desert": _desert,
    "wood": _wood,
    "brick": _brick,
    "city": _city,
    "mountains": _mountains,
    "sunset": _sunset,
    "white": _white,
    "gray": _gray,
}
BACKGROUNDS = tuple(_PLACES)


def draw_background(name: str, rng: Random, side_px: int) -> Image.Image:
    """Draw one of the places.

    Args:
        name: one of `BACKGROUNDS`.
        rng: decides every detail.
        side_px: side of the square.

    Returns:
        An RGB picture, drawn at twice the size and reduced, so that small pictures have soft edges.
    """
    picture = _PLACES[name](rng, 2 * side_px)
    return picture.filter(ImageFilter.BoxBlur(0.5)).resize((side_px, side_px), Image.Resampling.BOX)
