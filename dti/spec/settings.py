"""Settings of training, rendering and interpolation: name, type, default, bounds and description of each, once.

Torch-free, so that the HTTP edge validates with the same figures that training uses. It knows no file, model or device.
"""

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from dti.errors import InvalidSettingError

SEED_LIMIT = 2**53 - 17
"""Seeds lie in 0 … SEED_LIMIT, so that a JSON number holds a seed and its successors exactly."""

Schedule = Literal["constant", "cosine"]
LearnableProperty = Literal["object", "style"]
Mixing = Literal["slerp", "lerp"]
PictureFormat = Literal["png", "webp", "jpeg"]
EmbeddingFormat = Literal["dti", "diffusers", "a1111", "comfyui", "replicate"]
AnimationFormat = Literal["gif", "webp", "mp4"]
Magnitude = Literal["mean", "median", "min", "max"] | float

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a setting means and, for numbers, which values it takes, ends included."""

    sentence: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """How a concept is learned, whatever the method. A model of the catalogue may set its own defaults."""

    steps: Annotated[int, Allowed("Optimiser updates.", 1, 5000)] = 400
    learning_rate: Annotated[
        float, Allowed("How far an update moves what is learned; nothing scales it.", 1e-6, 1.0)
    ] = 0.04
    schedule: Annotated[Schedule, Allowed("Constant as published, or a cosine decay to zero over the steps.")] = (
        "constant"
    )
    batch_size: Annotated[int, Allowed("Pictures an update.", 1, 64)] = 4
    resolution: Annotated[
        int | None, Allowed("Shorter side in pixels that pictures are brought to; null for the model's own.", 32, 2048)
    ] = None
    num_vectors: Annotated[
        int | None, Allowed("Rows a concept; null for as many as the class word has tokens.", 1, 32)
    ] = None
    seed: Annotated[int | None, Allowed("Makes a training repeatable; drawn when null.", 0, SEED_LIMIT)] = None
    captions: Annotated[bool, Allowed("Use the pictures' own captions where they have one.")] = True
    selection: Annotated[
        bool, Allowed("Leave out near-duplicates, blurred pictures and such as show something else than the others.")
    ] = True
    background_weight: Annotated[
        float,
        Allowed(
            "How much places count that a picture's mask or alpha channel makes transparent; 1 for all.", 1e-3, 1.0
        ),
    ] = 0.1
    preview_prompt: Annotated[
        str | None, Allowed("Prompt of the training previews, with {} for the concept; null for a plain one.")
    ] = None
    preview_every: Annotated[int, Allowed("Updates between previews; 0 for none.", 0, 5000)] = 0


_ADAM_RATE = Allowed(
    "AdamW's: an update moves every number of a row by about this much, whatever the row's norm; nothing scales it.",
    1e-6,
    1.0,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectionalTraining(Training):
    """The settings of `dti`; defaults are the paper's for SDXL."""

    learning_rate: Annotated[
        float, Allowed("Every update turns a direction by atan(learning_rate) radians; nothing scales it.", 1e-6, 1.0)
    ] = 0.04
    kappa: Annotated[
        float,
        Allowed(
            "Strength of the von Mises-Fisher prior towards the class word, on the raw gradient as published: "
            "its effect depends on magnitude, loss scale, batch and resolution.",
            0.0,
            1.0,
        ),
    ] = 1e-4
    magnitude: Annotated[
        Magnitude,
        Allowed("The rows' fixed norm: a statistic of the vocabulary's non-zero rows, or a number.", 1e-6, 1e3),
    ] = "mean"


@dataclass(frozen=True, kw_only=True, slots=True)
class FreeTraining(Training):
    """The settings of `ti`; defaults are those with which the paper of `dti` ran it on SDXL."""

    learning_rate: Annotated[float, _ADAM_RATE] = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class RescaledTraining(FreeTraining):
    """The settings of `ti-rescaled`."""

    magnitude: Annotated[
        Magnitude,
        Allowed(
            "The norm to which learned rows are brought: a statistic of the vocabulary's non-zero rows, or a number.",
            1e-6,
            1e3,
        ),
    ] = "mean"


@dataclass(frozen=True, kw_only=True, slots=True)
class NormedTraining(Training):
    """The settings of `ti-norm`."""

    learning_rate: Annotated[float, _ADAM_RATE] = 2e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossTraining(Training):
    """The settings of `crossinit`; defaults are the authors'."""

    steps: Annotated[int, Allowed("Optimiser updates.", 1, 5000)] = 320
    learning_rate: Annotated[float, _ADAM_RATE] = 5e-3
    batch_size: Annotated[int, Allowed("Pictures an update.", 1, 64)] = 8
    regularization: Annotated[
        float, Allowed("Times the distance of the rows from where the class word puts them, on the loss.", 0.0, 1.0)
    ] = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class SubspaceTraining(Training):
    """The settings of `subspace`; defaults are the authors'."""

    steps: Annotated[int, Allowed("Optimiser updates.", 1, 5000)] = 1000
    learning_rate: Annotated[
        float,
        Allowed(
            "AdamW's: an update moves the weight of every vocabulary row by about this much; nothing scales it.",
            1e-6,
            1.0,
        ),
    ] = 2e-3
    basis_size: Annotated[
        int | None,
        Allowed(
            "Vocabulary rows that span what can be learned, those nearest the class word; "
            "null for seven eighths of a row's numbers.",
            1,
            8192,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendering:
    """How pictures are made from a prompt. Null means the model's own value."""

    num_images: Annotated[int, Allowed("Pictures; the i-th uses seed + i.", 1, 16)] = 1
    width: Annotated[int | None, Allowed("Pixels.", 32, 2048)] = None
    height: Annotated[int | None, Allowed("Pixels.", 32, 2048)] = None
    steps: Annotated[int | None, Allowed("Denoising steps.", 1, 150)] = None
    guidance_scale: Annotated[
        float | None, Allowed("Classifier-free guidance, as the model counts it: 1 is none, to Z-Image 0.", 0.0, 50.0)
    ] = None
    scheduler: Annotated[str | None, Allowed("One of the model's schedulers.")] = None
    seed: Annotated[int | None, Allowed("Makes pictures repeatable; drawn when null.", 0, SEED_LIMIT)] = None
    format: Annotated[PictureFormat, Allowed("File format of the pictures.")] = "png"


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpolation:
    """Which points between two concepts are rendered, and how they are put together."""

    frames: Annotated[
        int, Allowed("Evenly spaced shares from 0 to 1, ends included; ignored where shares are given.", 2, 64)
    ] = 8
    method: Annotated[Mixing, Allowed("Along the sphere's great circle, or along the chord for comparison.")] = "slerp"
    animation: Annotated[AnimationFormat | None, Allowed("Also put the frames together into a moving picture.")] = None
    contact_sheet: Annotated[bool, Allowed("Also lay the frames out on one sheet.")] = False


def hints_of(kind: type) -> dict[str, tuple[object, Allowed]]:
    """Per setting of a dataclass of this module: its type, and what is allowed."""
    annotated = typing.get_type_hints(kind, include_extras=True)
    return {name: typing.get_args(hint)[:2] for name, hint in annotated.items()}


def complete(kind: type[S], given: Mapping[str, object], defaults: Mapping[str, object] | None = None) -> S:
    """Settings of a kind from what was given, the rest from `defaults` and then from the kind's own.

    Raises:
        InvalidSettingError: an unknown name, a wrong type, a value out of bounds or not finite.
    """
    merged = {**(defaults or {}), **given}
    known = hints_of(kind)
    for name, value in merged.items():
        if name not in known:
            raise InvalidSettingError(name, f"there is no such setting. Known: {', '.join(known)}.")
        _check(name, value, *known[name])
    return kind(**merged)


def _check(name: str, value: object, hint: object, allowed: Allowed) -> None:
    alternatives = _alternatives(hint)
    if not any(_fits(value, alternative) for alternative in alternatives):
        choices = ", ".join(_spell(alternative) for alternative in alternatives)
        raise InvalidSettingError(name, f"{value!r} is not allowed. {allowed.sentence} Allowed: {choices}.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise InvalidSettingError(name, f"{value!r} is not a finite number.")
    if (allowed.low is not None and value < allowed.low) or (allowed.high is not None and value > allowed.high):
        raise InvalidSettingError(name, f"{value} lies outside {allowed.low} … {allowed.high}. {allowed.sentence}")


def _alternatives(hint: object) -> tuple[object, ...]:
    """The members of a union, with literals spelled out as their values."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) in {typing.Union, Literal}:
        return tuple(leaf for member in typing.get_args(hint) for leaf in _alternatives(member))
    return (hint,)


def _fits(value: object, alternative: object) -> bool:
    if not isinstance(alternative, type):
        return value == alternative
    if isinstance(value, bool):
        return alternative is bool
    return isinstance(value, int | float if alternative is float else alternative)


def _spell(alternative: object) -> str:
    if alternative is types.NoneType:
        return "null"
    return alternative.__name__ if isinstance(alternative, type) else repr(alternative)
