"""What clients send. Defaults that a model may set for itself are those of its catalogue entry, not the ones shown."""

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import UploadFile
from pydantic import Field, Json

from api.schema_fields import Given, RequestModel, Text, with_method_settings, with_settings
from api.schemas.webhooks import WebhookRequest
from dti.spec.prompts import NAME_PATTERN
from dti.spec.registry import METHODS
from dti.spec.settings import Interpolation, LearnableProperty, Rendering

# The pattern itself keeps out what cannot be stored, and stands in the OpenAPI document only where it comes first.
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", description="In prompts it stands between < and >.")]
Reference = Annotated[Text, Field(description="A concept's id or name.")]
Webhook = Annotated[WebhookRequest | None, Field(description="Whom to tell of the job.")]


class TrainingSettings(RequestModel):
    """How a concept is learned."""


class GenerationRequest(RequestModel):
    """Pictures to be made from a prompt."""

    prompt: Annotated[Text, Field(description="Concepts stand in it as <name>, as many as are wanted.")]
    negative_prompt: Annotated[Text, Field(description="What to move away from; concepts may stand in it too.")] = ""
    model: Annotated[Text | None, Field(description="By default that of the prompt's concepts.")] = None
    webhook: Webhook = None


class InterpolationRequest(RequestModel):
    """Pictures on the way from one concept to another, all from the same noise."""

    start: Annotated[Reference, Field(alias="from")]
    end: Annotated[Reference, Field(alias="to")]
    shares: Annotated[
        list[Annotated[float, Field(ge=0, le=1)]] | None,
        Field(
            min_length=1, max_length=64, description="Points on the way, 0 at `from`; by default `frames` even ones."
        ),
    ] = None
    prompt: Annotated[Text | None, Field(description="With one {} where the concepts stand.")] = None
    negative_prompt: Text = ""
    model: Text | None = None
    webhook: Webhook = None


if not TYPE_CHECKING:
    TrainingSettings = with_method_settings(TrainingSettings)
    GenerationRequest = with_settings(GenerationRequest, Rendering)
    InterpolationRequest = with_settings(
        InterpolationRequest, Rendering, Interpolation, without=frozenset({"num_images"})
    )


class NewConcept(RequestModel):
    """A concept to be learned from pictures."""

    name: Name
    class_word: Annotated[Given, Field(description='What kind of thing it is, in the model\'s words: "dog".')]
    images: Annotated[
        list[UploadFile], Field(default_factory=list, description="JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF.")
    ]
    archive: Annotated[
        UploadFile | None, Field(description="A zip of pictures; NAME.txt beside a picture is its caption.")
    ] = None
    model: Annotated[Text | None, Field(description="One of /v1/models; by default the service's own default.")] = None
    method: Annotated[Text, Field(description=f"What is learned, and how: {', '.join(METHODS)}.")] = "dti"
    learnable_property: Annotated[
        LearnableProperty, Field(description="Whether the pictures show a thing or a style.")
    ] = "object"
    training: Annotated[Json[TrainingSettings] | None, Field(description="How it is learned, as a JSON object.")] = None
    webhook: Annotated[Json[WebhookRequest] | None, Field(description="Whom to tell, as a JSON object.")] = None


class NewImport(RequestModel):
    """A concept to be made of a file that this or another tool has written."""

    name: Name
    class_word: Annotated[Given, Field(description='What kind of thing it is, in the model\'s words: "dog".')]
    model: Annotated[Given, Field(description="The model that it was made for, one of /v1/models.")]
    file: Annotated[
        UploadFile, Field(description="Of this service, diffusers, A1111, ComfyUI, kohya or Replicate; it is detected.")
    ]
    normalize: Annotated[
        bool,
        Field(strict=False, description="Give rows the vocabulary's mean norm: repairs an inflated embedding."),
    ] = False


class BlendPart(RequestModel):
    """A concept in a blend."""

    concept: Reference
    weight: Annotated[float, Field(ge=1e-6, le=1e6, description="Beside those of the other parts.")]


class BlendRequest(RequestModel):
    """A concept to be made as the mean of others; class word and learnable property are those of the first."""

    name: Name
    parts: Annotated[list[BlendPart], Field(min_length=1, max_length=16)]


class RetrainRequest(RequestModel):
    """Another training of a concept; what is not said stays as it was, except the seed.

    By another method it starts from that one's own defaults.
    """

    training: TrainingSettings | None = None
    method: Text | None = None
    webhook: Webhook = None
    start: Annotated[
        Literal["current", "class_word"],
        Field(alias="from", description="Go on from the present embedding, or begin anew at the class word."),
    ] = "class_word"
