"""Pictures that leave nothing to learn: nothing visible in them, or one colour."""

from PIL import Image

_VISIBLE_ALPHA = 32
"""Least opacity that a training notices, of 255."""

_VISIBLE_SHARE = 0.0005
"""Least visible share of a picture; a latent pixel of 8 by 8 is a 4096th of a picture of 512 px."""

_NOISE = 4
"""Largest difference, of 255, that a lossy encoder leaves in one colour."""

_NEARLY_WHITE = 252


def is_invisible(picture: Image.Image) -> bool:
    """Whether nearly everything in a picture is transparent, or all of it is white."""
    if picture.mode == "RGBA":
        histogram = picture.getchannel("A").histogram()
        if sum(histogram[_VISIBLE_ALPHA:]) < _VISIBLE_SHARE * picture.width * picture.height:
            return True
    return all(low >= _NEARLY_WHITE for low, _ in _extrema(picture))


def is_uniform(picture: Image.Image) -> bool:
    """Whether a picture on white has one colour only."""
    return all(high - low <= _NOISE for low, high in _extrema(picture))


def _extrema(picture: Image.Image) -> list[tuple[int, int]]:
    """Least and greatest values of red, green and blue of the picture on white."""
    flat = picture
    if picture.mode == "RGBA":
        flat = Image.new("RGBA", picture.size, "white")
        flat.alpha_composite(picture)
    return [(int(low), int(high)) for low, high in flat.convert("RGB").getextrema()]  # type: ignore[misc]
