"""Settings of training, rendering and interpolation: name, type, default, bounds and description, defined once.

Torch-free: the HTTP schemas and the command line are generated from these dataclasses and validate with the same
bounds as training does. Nothing here refers to a file, a model or a device.
"""

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

from dti.errors import InvalidSettingError

SEED_LIMIT = 2**53 - 17
"""Largest seed. A JSON number then holds the seed and its successors (one per image) exactly."""

LCM_MAX_STEPS = 50
"""Most denoising steps of the sampler `lcm`: the number of timesteps that such models are distilled for."""

TWO_CALL_SAMPLERS = frozenset({"dpmpp_sde", "dpmpp_sde_karras"})
"""Samplers that call the denoiser twice in every step but the last."""

LearningRateSchedule = Literal["constant", "cosine"]
LearnableProperty = Literal["object", "style"]
Mixing = Literal["slerp", "lerp"]
PictureFormat = Literal["png", "webp", "jpeg"]
EmbeddingFormat = Literal["dti", "diffusers", "a1111", "comfyui", "replicate"]
AnimationFormat = Literal["gif", "webp", "mp4"]
PromptSyntax = Literal["plain", "a1111"]
Magnitude = Literal["mean", "median", "min", "max"] | float

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """Description of a setting and, for numbers, its bounds (inclusive)."""

    description: str
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """Training settings shared by all methods. A catalogue entry may override the defaults."""

    steps: Annotated[int, SettingSpec("Number of optimiser updates.", 1, 5000)] = 400
    learning_rate: Annotated[float, SettingSpec("Step size of an update; never rescaled.", 1e-6, 1.0)] = 0.04
    schedule: Annotated[
        LearningRateSchedule,
        SettingSpec("Learning-rate schedule: constant as published, or cosine decay to zero over the steps."),
    ] = "constant"
    batch_size: Annotated[int, SettingSpec("Training images per update.", 1, 64)] = 4
    resolution: Annotated[
        int | None,
        SettingSpec("Length in pixels to which an image's shorter side is resized; null: the model's own.", 32, 2048),
    ] = None
    num_vectors: Annotated[
        int | None,
        SettingSpec("Vectors per concept and text encoder; null for one per token of the class word.", 1, 32),
    ] = None
    seed: Annotated[int | None, SettingSpec("Seed of a reproducible training; random if null.", 0, SEED_LIMIT)] = None
    captions: Annotated[bool, SettingSpec("Use the images' own captions where given.")] = True
    selection: Annotated[
        bool, SettingSpec("Exclude near-duplicates, blurred images and outliers from the training images.")
    ] = True
    background_weight: Annotated[
        float,
        SettingSpec(
            "Loss weight of the background, as marked by an image's mask or alpha channel; 1 weights all areas alike.",
            1e-3,
            1.0,
        ),
    ] = 0.1
    preview_prompt: Annotated[
        str | None, SettingSpec("Prompt of the training previews, with {} for the concept; null for a default prompt.")
    ] = None
    preview_every: Annotated[int, SettingSpec("Updates between previews; 0 for none.", 0, 5000)] = 0


_ADAMW_RATE = SettingSpec(
    "AdamW's learning rate: an update changes every component of a vector by about this much; never rescaled.",
    1e-6,
    1.0,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DirectionalTraining(Training):
    """Settings of `dti`; the defaults are the paper's for SDXL."""

    learning_rate: Annotated[
        float,
        SettingSpec("Every update rotates a direction by atan(learning_rate) radians; never rescaled.", 1e-6, 1.0),
    ] = 0.04
    kappa: Annotated[
        float,
        SettingSpec(
            "Strength of the von Mises-Fisher prior towards the class word, applied to the raw gradient as published: "
            "its effect depends on magnitude, loss scale, batch size and resolution.",
            0.0,
            1.0,
        ),
    ] = 1e-4
    magnitude: Annotated[
        Magnitude,
        SettingSpec(
            "Fixed norm of the vectors: a statistic of the vocabulary's non-zero rows, or a number.", 1e-6, 1e3
        ),
    ] = "mean"


@dataclass(frozen=True, kw_only=True, slots=True)
class TextualInversionTraining(Training):
    """Settings of `ti`; the defaults are those of the `dti` paper's baseline on SDXL."""

    learning_rate: Annotated[float, _ADAMW_RATE] = 0.02


@dataclass(frozen=True, kw_only=True, slots=True)
class RescaledTraining(TextualInversionTraining):
    """Settings of `ti-rescaled`."""

    magnitude: Annotated[
        Magnitude,
        SettingSpec(
            "Norm to which the learned vectors are rescaled: a statistic of the vocabulary's non-zero rows, "
            "or a number.",
            1e-6,
            1e3,
        ),
    ] = "mean"


@dataclass(frozen=True, kw_only=True, slots=True)
class NormedTraining(Training):
    """Settings of `ti-norm`."""

    learning_rate: Annotated[float, _ADAMW_RATE] = 2e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class CrossInitTraining(Training):
    """Settings of `crossinit`; the defaults are the authors'."""

    steps: Annotated[int, SettingSpec("Number of optimiser updates.", 1, 5000)] = 320
    learning_rate: Annotated[float, _ADAMW_RATE] = 5e-3
    batch_size: Annotated[int, SettingSpec("Training images per update.", 1, 64)] = 8
    regularization: Annotated[
        float,
        SettingSpec("Weight of the loss term for the vectors' mean distance from their initial values.", 0.0, 1.0),
    ] = 1e-5


@dataclass(frozen=True, kw_only=True, slots=True)
class SubspaceTraining(Training):
    """Settings of `subspace`; the defaults are the authors'."""

    steps: Annotated[int, SettingSpec("Number of optimiser updates.", 1, 5000)] = 1000
    learning_rate: Annotated[
        float,
        SettingSpec(
            "AdamW's learning rate: an update changes the weight of every basis row by about this much; "
            "never rescaled.",
            1e-6,
            1.0,
        ),
    ] = 2e-3
    basis_size: Annotated[
        int | None,
        SettingSpec(
            "Number of vocabulary rows nearest the class word that span the learnable subspace; "
            "null for seven eighths of the encoder's width.",
            1,
            8192,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendering:
    """Settings of a generation. Null means the model's own default."""

    num_images: Annotated[int, SettingSpec("Number of images; the i-th uses seed + i.", 1, 16)] = 1
    width: Annotated[int | None, SettingSpec("Width in pixels.", 32, 2048)] = None
    height: Annotated[int | None, SettingSpec("Height in pixels.", 32, 2048)] = None
    steps: Annotated[int | None, SettingSpec("Denoising steps.", 1, 150)] = None
    guidance_scale: Annotated[
        float | None,
        SettingSpec(
            "Classifier-free guidance scale; 1 and below disable guidance, except on Z-Image, where 0 does.", 0.0, 50.0
        ),
    ] = None
    guidance_rescale: Annotated[
        float,
        SettingSpec(
            "Share of the guided prediction that is rescaled to the prompt's own spread, against overexposure; "
            "about 0.7 for models of v prediction with zero terminal SNR.",
            0.0,
            1.0,
        ),
    ] = 0.0
    scheduler: Annotated[str | None, SettingSpec("Sampler: one of the model's schedulers.")] = None
    seed: Annotated[int | None, SettingSpec("Seed of reproducible images; random if null.", 0, SEED_LIMIT)] = None
    prompt_syntax: Annotated[
        PromptSyntax,
        SettingSpec(
            "Syntax of the prompts: a1111 reads (word:1.2), (word), [word], BREAK and escaped brackets as A1111, "
            "plain as text. For models with CLIP text encoders."
        ),
    ] = "plain"
    clip_skip: Annotated[
        int,
        SettingSpec(
            "Layer of the text encoder that conditions the denoiser, counted from the last (1), as in AUTOMATIC1111; "
            "diffusers counts from 0. For Stable Diffusion 1.x and 2.x.",
            1,
            12,
        ),
    ] = 1
    strict: Annotated[
        bool,
        SettingSpec(
            "Refuse concepts that were trained on another checkpoint of the model's family, instead of a warning."
        ),
    ] = False
    format: Annotated[PictureFormat, SettingSpec("File format of the images.")] = "png"


@dataclass(frozen=True, kw_only=True, slots=True)
class CompleteRendering(Rendering):
    """A rendering whose every setting is filled in."""

    width: int
    height: int
    steps: int
    guidance_scale: float
    scheduler: str
    seed: int

    @property
    def calls(self) -> int:
        """Denoiser calls of one picture, the steps of its progress."""
        return 2 * self.steps - 1 if self.scheduler in TWO_CALL_SAMPLERS else self.steps


@dataclass(frozen=True, kw_only=True, slots=True)
class Interpolation:
    """Settings of an interpolation between two concepts and of its assembled outputs."""

    frames: Annotated[
        int,
        SettingSpec("Number of evenly spaced shares from 0 to 1, inclusive; ignored where shares are given.", 2, 64),
    ] = 8
    method: Annotated[
        Mixing, SettingSpec("slerp follows the sphere's great circle; lerp follows the chord, for comparison.")
    ] = "slerp"
    animation: Annotated[
        AnimationFormat | None, SettingSpec("Also assemble the frames into an animation of this format.")
    ] = None
    contact_sheet: Annotated[bool, SettingSpec("Also assemble the frames into a contact sheet.")] = False


def setting_specs(kind: type) -> dict[str, tuple[object, SettingSpec]]:
    """Type and spec of every setting of a dataclass in this module."""
    annotated = typing.get_type_hints(kind, include_extras=True)
    return {name: typing.get_args(hint)[:2] for name, hint in annotated.items()}


def complete(kind: type[S], given: Mapping[str, object], defaults: Mapping[str, object] | None = None) -> S:
    """Validated settings: the given values, then `defaults`, then the dataclass's own defaults.

    Raises:
        InvalidSettingError: a name is unknown, a type is wrong, or a value is out of bounds or not finite.
    """
    merged = {**(defaults or {}), **given}
    known = setting_specs(kind)
    for name, value in merged.items():
        if name not in known:
            raise InvalidSettingError(name, f"there is no such setting. Known: {', '.join(known)}.")
        _check(name, value, *known[name])
    return kind(**merged)


def _check(name: str, value: object, hint: object, spec: SettingSpec) -> None:
    alternatives = _alternatives(hint)
    if not any(_fits(value, alternative) for alternative in alternatives):
        choices = ", ".join(_spell(alternative) for alternative in alternatives)
        raise InvalidSettingError(name, f"{value!r} is not allowed. {spec.description} Allowed: {choices}.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        raise InvalidSettingError(name, f"{value!r} is not a finite number.")
    if (spec.minimum is not None and value < spec.minimum) or (spec.maximum is not None and value > spec.maximum):
        raise InvalidSettingError(name, f"{value} lies outside {spec.minimum} … {spec.maximum}. {spec.description}")


def _alternatives(hint: object) -> tuple[object, ...]:
    """Members of a union, literals expanded to their values."""
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
