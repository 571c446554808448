"""Styles: sketch, pixel art, oil painting, black and white; recolouring of objects.

It works on finished pictures and pieces of artwork and knows nothing of their contents.
"""

import colorsys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

COLOURS: dict[str, tuple[float, float, float]] = {
    # hue, saturation and brightness of the middle tone
    "red": (0.995, 0.88, 0.82),
    "orange": (0.075, 0.95, 0.95),
    "yellow": (0.15, 0.90, 0.97),
    "green": (0.345, 0.80, 0.62),
    "blue": (0.60, 0.85, 0.86),
    "purple": (0.765, 0.70, 0.70),
    "pink": (0.92, 0.48, 0.98),
    "black": (0.0, 0.0, 0.20),
}
MIDDLE_TONE = 0.6  # artwork is bright: pixels this light take on the colour itself


def recolour(artwork: Image.Image, colour: str, rng: np.random.Generator) -> Image.Image:
    """Paint a piece of artwork in shades of one colour, keeping its light and dark.

    Args:
        artwork: an RGBA picture.
        colour: one of `COLOURS`.
        rng: moves the hue a little.

    Returns:
        A new RGBA picture.
    """
    hue, saturation, brightness = COLOURS[colour]
    middle = np.asarray(colorsys.hsv_to_rgb((hue + rng.uniform(-0.012, 0.012)) % 1, saturation, brightness))
    light = np.asarray(artwork.convert("L"), dtype=np.float32)[..., None] / 255
    dark = middle * (0.12 + 0.88 * light / MIDDLE_TONE)
    bright = middle + (light - MIDDLE_TONE) / (1 - MIDDLE_TONE) * 0.62 * (1 - middle)
    ramp = np.where(light < MIDDLE_TONE, dark, bright)
    painted = Image.fromarray((255 * np.clip(ramp, 0, 1)).astype(np.uint8))
    painted.putalpha(artwork.getchannel("A"))
    return painted


def _sketch(picture: Image.Image) -> Image.Image:
    gray = np.asarray(picture.convert("L"), dtype=np.float32)
    radius = picture.width / 32
    soft = np.asarray(picture.convert("L").filter(ImageFilter.GaussianBlur(radius)), dtype=np.float32)
    lines = np.clip(gray * 250 / (soft + 6), 0, 250)
    paper = np.clip(lines * 0.88 + gray * 0.12 - 0.9 * (250 - lines), 0, 255)
    return Image.fromarray(paper.astype(np.uint8)).convert("RGB")


def _pixel(picture: Image.Image) -> Image.Image:
    small = picture.resize((21, 21), Image.Resampling.BOX)
    small = small.quantize(12, dither=Image.Dither.NONE).convert("RGB")
    return small.resize(picture.size, Image.Resampling.NEAREST)


def _oil(picture: Image.Image) -> Image.Image:
    side_px = picture.width
    dabs = picture.filter(ImageFilter.ModeFilter(2 * (side_px // 24) + 1))
    vivid = np.asarray(ImageEnhance.Color(dabs).enhance(1.45), dtype=np.float32)
    y, x = np.mgrid[0:side_px, 0:side_px] * (64 / side_px)
    strokes = 16 * np.sin((x + 0.6 * y) * 1.25 + 1.7 * np.sin(y * 0.35))[..., None]
    return Image.fromarray(np.clip(vivid + strokes, 0, 255).astype(np.uint8))


def _black_and_white(picture: Image.Image) -> Image.Image:
    return picture.convert("L").convert("RGB")


_STYLES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "sketch": _sketch,
    "pixel": _pixel,
    "oil": _oil,
    "black and white": _black_and_white,
}
STYLES = tuple(_STYLES)


def stylise(picture: Image.Image, style: str) -> Image.Image:
    """Repaint a whole RGB picture in one of `STYLES`."""
    return _STYLES[style](picture)
