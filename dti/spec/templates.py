"""Training prompts of a picture: templates of the field, with its caption. Torch-free."""

from collections.abc import Callable

from dti.spec.prompts import triggers
from dti.spec.settings import LearnableProperty

OBJECT_TEMPLATES = (
    "a photo of a {}",
    "a rendering of a {}",
    "a cropped photo of the {}",
    "the photo of a {}",
    "a photo of a clean {}",
    "a photo of a dirty {}",
    "a dark photo of the {}",
    "a photo of my {}",
    "a photo of the cool {}",
    "a close-up photo of a {}",
    "a bright photo of the {}",
    "a cropped photo of a {}",
    "a photo of the {}",
    "a good photo of the {}",
    "a photo of one {}",
    "a close-up photo of the {}",
    "a rendition of the {}",
    "a photo of the clean {}",
    "a rendition of a {}",
    "a photo of a nice {}",
    "a good photo of a {}",
    "a photo of the nice {}",
    "a photo of the small {}",
    "a photo of the weird {}",
    "a photo of the large {}",
    "a photo of a cool {}",
    "a photo of a small {}",
)
"""Training prompts of an object. Source: Gal et al., "An Image is Worth One Word", arXiv 2208.01618."""

STYLE_TEMPLATES = (
    "a painting in the style of {}",
    "a rendering in the style of {}",
    "a cropped painting in the style of {}",
    "the painting in the style of {}",
    "a clean painting in the style of {}",
    "a dirty painting in the style of {}",
    "a dark painting in the style of {}",
    "a picture in the style of {}",
    "a cool painting in the style of {}",
    "a close-up painting in the style of {}",
    "a bright painting in the style of {}",
    "a cropped painting in the style of {}",
    "a good painting in the style of {}",
    "a close-up painting in the style of {}",
    "a rendition in the style of {}",
    "a nice painting in the style of {}",
    "a small painting in the style of {}",
    "a weird painting in the style of {}",
    "a large painting in the style of {}",
)
"""Training prompts of a style; two are duplicated, as published. Source: Gal et al., arXiv 2208.01618."""

_TEMPLATES = {"object": OBJECT_TEMPLATES, "style": STYLE_TEMPLATES}


def training_prompts(
    learnable_property: LearnableProperty, caption: str | None, fits: Callable[[str], bool]
) -> tuple[str, ...]:
    """Possible training prompts of a picture, with `{}` for the concept.

    Args:
        learnable_property: selects the templates.
        caption: the picture's caption. Used verbatim if it contains the concept, as `{}` or `<name>`; otherwise
            appended to the templates, because a prompt without the concept trains nothing.
        fits: whether a prompt fits the model's encoders.

    Returns:
        The prompts that fit. If no template leaves room for the caption, the caption after the bare concept; the only
        prompt that may not fit.
    """
    if caption is not None and ("{}" in caption or triggers(caption)):
        return (caption,)
    ending = "" if caption is None else f", {caption}"
    fitting = tuple(prompt for template in _TEMPLATES[learnable_property] if fits(prompt := template + ending))
    return fitting or ("{}" + ending,)
