"""The optional fields of requests as typed keywords, so that editors complete and type checkers check them.

A test compares them with the service's own document.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict


class RenderingFields(TypedDict, total=False):
    """The settings of images; those left out are the model's defaults."""

    negative_prompt: str
    model: str
    width: int
    height: int
    steps: int
    guidance_scale: float
    guidance_rescale: float
    scheduler: str
    seed: int
    prompt_syntax: Literal["plain", "a1111"]
    clip_skip: int
    strict: bool
    format: Literal["png", "webp", "jpeg"]
    webhook: Mapping[str, Any]


class GenerationFields(RenderingFields, total=False):
    """The optional fields of a generation."""

    num_images: int


class InterpolationFields(RenderingFields, total=False):
    """The optional fields of an interpolation."""

    prompt: str
    frames: int
    shares: Sequence[float]
    method: Literal["slerp", "lerp"]
    animation: Literal["gif", "webp", "mp4"]
    contact_sheet: bool


class ImagesFields(TypedDict, total=False):
    """The optional fields of OpenAI's images endpoint."""

    model: str
    n: int
    size: str
    response_format: Literal["url", "b64_json"]
    output_format: Literal["png", "webp", "jpeg"]
    user: str
    stream: Literal[False]
    webhook: Mapping[str, Any]
