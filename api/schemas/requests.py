"""Schemas of requests. Defaults that a model may override are those of its catalogue entry, not the ones shown."""

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import UploadFile
from pydantic import Field, Json

from api.schema_fields import Given, RequestModel, Text, with_method_settings, with_settings
from api.schemas.webhooks import WebhookRequest
from dti.spec.prompts import NAME_PATTERN
from dti.spec.registry import METHODS
from dti.spec.settings import Interpolation, LearnableProperty, Rendering
from service import rpc
from service.concepts.concepts import ConceptParams, RetrainParams
from service.concepts.editing import UNCHANGED, ConceptChanges
from service.concepts.generations import GenerateParams, InterpolateParams
from service.rpc import BlendParams, ImportParams
from service.webhooks.endpoints import WebhookParams

# The pattern excludes unstorable text, and appears in the OpenAPI document only as the first annotation.
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", description="In prompts it is written as <name>.")]
Reference = Annotated[Text, Field(description="A concept's id or name.")]
Webhook = Annotated[WebhookRequest | None, Field(description="A webhook for the events of this job.")]


class TrainingSettings(RequestModel):
    """Settings of a training."""


class GenerationRequest(RequestModel):
    """Images to generate from a prompt."""

    prompt: Annotated[Text, Field(description="May contain any number of concepts as <name>.")]
    negative_prompt: Annotated[
        Text, Field(description="The prompt to steer away from; it may contain concepts too.")
    ] = ""
    model: Annotated[Text | None, Field(description="Default: the model of the prompt's concepts.")] = None
    webhook: Webhook = None

    def params(self) -> GenerateParams:
        """The request as the service takes it."""
        return GenerateParams(
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            model=self.model,
            rendering=self.given_settings(Rendering),
            webhook=_webhook(self.webhook),
        )


class InterpolationRequest(RequestModel):
    """Images between two concepts, all from the same noise."""

    start: Annotated[Reference, Field(alias="from")]
    end: Annotated[Reference, Field(alias="to")]
    shares: Annotated[
        list[Annotated[float, Field(ge=0, le=1)]] | None,
        Field(
            min_length=1,
            max_length=64,
            description="Interpolation weights, from 0 (`from`) to 1 (`to`); default: `frames` evenly spaced.",
        ),
    ] = None
    prompt: Annotated[Text | None, Field(description="With one {} in place of the concepts.")] = None
    negative_prompt: Annotated[
        Text, Field(description="The prompt to steer away from; it may contain concepts too.")
    ] = ""
    model: Annotated[Text | None, Field(description="Default: the model of the concepts.")] = None
    webhook: Webhook = None

    def params(self) -> InterpolateParams:
        """The request as the service takes it."""
        return InterpolateParams(
            start=self.start,
            end=self.end,
            shares=self.shares,
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            model=self.model,
            interpolation=self.given_settings(Interpolation),
            rendering=self.given_settings(Rendering),
            webhook=_webhook(self.webhook),
        )


if not TYPE_CHECKING:
    TrainingSettings = with_method_settings(TrainingSettings)
    GenerationRequest = with_settings(GenerationRequest, Rendering)
    InterpolationRequest = with_settings(
        InterpolationRequest, Rendering, Interpolation, without=frozenset({"num_images"})
    )


class NewConcept(RequestModel):
    """A concept to train on pictures."""

    name: Name
    class_word: Annotated[Given, Field(description='A word of the model\'s vocabulary for its class: "dog".')]
    images: Annotated[
        list[UploadFile], Field(default_factory=list, description="JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF.")
    ]
    archive: Annotated[
        UploadFile | None, Field(description="A ZIP of pictures; NAME.txt beside a picture is its caption.")
    ] = None
    model: Annotated[Text | None, Field(description="One of /v1/models; default: the service's default model.")] = None
    method: Annotated[Text, Field(description=f"The training method: {', '.join(METHODS)}.")] = "dti"
    learnable_property: Annotated[
        LearnableProperty, Field(description="Whether to learn the object or the style of the pictures.")
    ] = "object"
    training: Annotated[
        Json[TrainingSettings] | None, Field(description="Settings of the training, as a JSON object.")
    ] = None
    webhook: Annotated[
        Json[WebhookRequest] | None, Field(description="A webhook for the events of the job, as a JSON object.")
    ] = None

    def params(self) -> ConceptParams:
        """The request as the service takes it, without the pictures."""
        return ConceptParams(
            name=self.name,
            class_word=self.class_word,
            model=self.model,
            method=self.method,
            learnable_property=self.learnable_property,
            training=self.training.given() if self.training else {},
            webhook=_webhook(self.webhook),
        )


class NewImport(RequestModel):
    """A concept to import from an embedding file of this or another tool."""

    name: Name
    class_word: Annotated[Given, Field(description='A word of the model\'s vocabulary for its class: "dog".')]
    model: Annotated[Given, Field(description="The model that it was trained for, one of /v1/models.")]
    file: Annotated[
        UploadFile,
        Field(description="Of this service, diffusers, A1111, ComfyUI, kohya or Replicate; the format is detected."),
    ]
    normalize: Annotated[
        bool,
        Field(
            strict=False, description="Rescale rows to the vocabulary's mean norm, which repairs an inflated embedding."
        ),
    ] = False

    def params(self) -> ImportParams:
        """The request as the service takes it, without the file."""
        return ImportParams(name=self.name, class_word=self.class_word, model=self.model, normalize=self.normalize)


class BlendPart(RequestModel):
    """A concept in a blend."""

    concept: Reference
    weight: Annotated[float, Field(ge=1e-6, le=1e6, description="Relative to the weights of the other parts.")]


class BlendRequest(RequestModel):
    """A concept to make as the mean of others; class word and learnable property are those of the first."""

    name: Name
    parts: Annotated[list[BlendPart], Field(min_length=1, max_length=16, description="The concepts and their weights.")]

    def params(self) -> BlendParams:
        """The request as the service takes it."""
        return BlendParams(
            name=self.name, parts=[rpc.BlendPart(concept=part.concept, weight=part.weight) for part in self.parts]
        )


class RetrainRequest(RequestModel):
    """Another training of a concept; settings left out stay as they were, except the seed.

    With another method they start from its defaults.
    """

    training: Annotated[
        TrainingSettings | None, Field(description="Settings that differ from those of the last training.")
    ] = None
    method: Annotated[Text | None, Field(description="Default: the method of the last training.")] = None
    webhook: Webhook = None
    start: Annotated[
        Literal["current", "class_word"],
        Field(alias="from", description="Start from the present embedding, or from the class word."),
    ] = "class_word"

    def params(self) -> RetrainParams:
        """The request as the service takes it."""
        return RetrainParams(
            training=self.training.given() if self.training else {},
            method=self.method,
            start=self.start,
            webhook=_webhook(self.webhook),
        )


class ConceptChangeRequest(RequestModel):
    """Changes of a concept; fields left out stay as they are."""

    name: Annotated[
        Name | None, Field(description="The new name; jobs that are queued or running keep the old one.")
    ] = None
    class_word: Annotated[Given | None, Field(description="The class word of later trainings.")] = None
    tags: Annotated[
        list[Text] | None, Field(max_length=1000, description="All its tags, each 1 to 32 characters of a-z, 0-9, -.")
    ] = None
    cover: Annotated[
        Text | None,
        Field(description="The id of a training picture or a generated image; null for the first training picture."),
    ] = None
    version: Annotated[
        int | None, Field(ge=1, description="The version to use from now on, one of /v1/concepts/{reference}/versions.")
    ] = None

    def params(self) -> ConceptChanges:
        """The request as the service takes it."""
        cover = self.cover if "cover" in self.model_fields_set else UNCHANGED
        return ConceptChanges(
            name=self.name, class_word=self.class_word, tags=self.tags, cover=cover, version=self.version
        )


class NewConceptImages(RequestModel):
    """Training pictures to add to a concept."""

    images: Annotated[
        list[UploadFile], Field(default_factory=list, description="JPEG, PNG, WebP, GIF, HEIC, AVIF, TIFF.")
    ]
    archive: Annotated[
        UploadFile | None, Field(description="A ZIP of pictures; NAME.txt beside a picture is its caption.")
    ] = None


class ConceptImageChangeRequest(RequestModel):
    """Changes of a training picture."""

    caption: Annotated[Text | None, Field(description="Its caption for later trainings; null or empty for none.")]


class TokenCountRequest(RequestModel):
    """A prompt whose tokens are to be counted."""

    prompt: Annotated[Text, Field(description="May contain any number of concepts as <name>.")]
    model: Annotated[Text | None, Field(description="Default: the model of the prompt's concepts.")] = None


class ImageChangeRequest(RequestModel):
    """Changes of a generated image."""

    favourite: Annotated[bool, Field(description="Whether the image is a favourite.")]


def _webhook(request: WebhookRequest | None) -> WebhookParams | None:
    return request.params() if request else None
