"""What clients ask for, as the HTTP edge hands it on: typed, not yet checked against catalogue and limits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from service.webhooks.endpoints import WebhookParams

Given = Mapping[str, object]
"""The settings of `dti.spec` that a request gives, by name; `dti.spec.settings.complete` checks and completes them."""


@dataclass(frozen=True, kw_only=True)
class GenerateParams:
    """Pictures of a prompt; None for the model's or the service's default."""

    prompt: str
    negative_prompt: str = ""
    model: str | None = None
    rendering: Given = field(default_factory=dict)
    webhook: WebhookParams | None = None


@dataclass(frozen=True, kw_only=True)
class InterpolateParams:
    """Pictures between two concepts, named by id or name; None for a default."""

    start: str
    end: str
    shares: Sequence[float] | None = None
    prompt: str | None = None
    negative_prompt: str = ""
    model: str | None = None
    interpolation: Given = field(default_factory=dict)
    rendering: Given = field(default_factory=dict)
    webhook: WebhookParams | None = None


@dataclass(frozen=True, kw_only=True)
class ConceptParams:
    """A concept to be learned; None for the catalogue's default."""

    name: str
    class_word: str
    model: str | None = None
    method: str = "dti"
    learnable_property: str = "object"
    training: Given = field(default_factory=dict)
    webhook: WebhookParams | None = None


@dataclass(frozen=True, kw_only=True)
class RetrainParams:
    """Another training of a concept; None for the method of the training before."""

    training: Given = field(default_factory=dict)
    method: str | None = None
    start: str = "class_word"
    webhook: WebhookParams | None = None


@dataclass(frozen=True, kw_only=True)
class ImportParams:
    """A concept to be made of an uploaded file."""

    name: str
    class_word: str
    model: str
    normalize: bool = False


@dataclass(frozen=True, kw_only=True)
class BlendPart:
    """A concept in a blend, by id or name, and its weight beside the others'."""

    concept: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class BlendParams:
    """A concept to be made as the mean of others."""

    name: str
    parts: Sequence[BlendPart]
