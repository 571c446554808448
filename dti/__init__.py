"""Directional Textual Inversion for text-to-image models: training, rendering, interpolation and embedding files.

    import dti

    model = dti.load("tiny")
    owl = dti.train(model, "examples/purple-owl", class_word="owl", name="purple-owl")
    owl.render("a photo of <purple-owl> on the beach")

`load`, `train`, `open_concept`, `render` and `interpolate` are those of `dti.library`; they are imported on first use,
because they need torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dti.library import Concept, Model, Pictures, interpolate, load, open_concept, render, train

__version__ = "0.1.0"

__all__ = ["Concept", "Model", "Pictures", "interpolate", "load", "open_concept", "render", "train"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the names above have the types of `dti.library`
    """A name of `dti.library`, imported on first use."""
    if name not in __all__:
        raise AttributeError(f"module 'dti' has no attribute {name!r}")
    from dti import library  # noqa: PLC0415 - torch is loaded on first use

    return getattr(library, name)
