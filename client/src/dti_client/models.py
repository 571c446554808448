"""The responses of the service, as dataclasses. Fields that a newer service adds are ignored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from dti_client import notebook

T = TypeVar("T")

Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Safety:
    """The safety checker's assessment of a picture; score from 0 to 1."""

    checker: str
    score: float
    flagged: bool


@dataclass(frozen=True)
class Image:
    """An uploaded picture or a generated image; its signed URL expires, and lists have none."""

    id: str
    url: str | None
    content_type: str
    width: int
    height: int
    bytes: int
    sha256: str
    seed: int | None
    prompt: str | None
    share: float | None
    safety: Safety | None

    def _repr_html_(self) -> str:
        return notebook.image(self)


@dataclass(frozen=True)
class GalleryImage(Image):
    """A generated image of the gallery, with its job."""

    job: str
    kind: str
    model: str
    concepts: list[str]
    favourite: bool
    created_at: datetime


@dataclass(frozen=True)
class ConceptImage(Image):
    """A training picture of a concept."""

    filename: str
    caption: str | None


@dataclass(frozen=True)
class JobConcept:
    """A concept in a job, with its embedding at the time of submission."""

    id: str
    name: str
    embedding_sha256: str | None


@dataclass(frozen=True)
class TrainingImage:
    """A training's assessment of a picture before its first step."""

    id: str
    filename: str
    kept: bool
    reason: str | None
    score: float
    sharpness: float
    size: float
    agreement: float | None
    duplicate_of: str | None


@dataclass(frozen=True)
class Output:
    """The results of a job so far."""

    images: list[Image]
    animation: Image | None
    contact_sheet: Image | None
    training_images: list[TrainingImage] | None


@dataclass(frozen=True)
class Progress:
    """Progress of a job: updates of a training, else denoising steps of all its images."""

    step: int
    total: int
    loss: float | None
    eta_s: float | None
    queue_position: int | None
    workers: int | None


@dataclass(frozen=True)
class JobError:
    """The error of a failed job."""

    code: str
    message: str


@dataclass(frozen=True)
class JobInterruption:
    """The reason for which a job returned to the queue: worker_lost, device_lost, step_timeout or interrupted."""

    code: str
    message: str


@dataclass(frozen=True)
class Warning:  # noqa: A001 - the API's word
    """A part of a request that has no effect, or not the one that its author may expect."""

    code: str
    message: str
    subjects: list[str]


@dataclass(frozen=True)
class Links:
    """URLs of a job's operations."""

    self: str
    events: str
    cancel: str


@dataclass(frozen=True)
class Job:
    """A job: one envelope for trainings, generations and interpolations."""

    id: str
    kind: str
    status: Status
    model: str
    concepts: list[JobConcept]
    input: dict[str, Any]
    output: Output
    progress: Progress
    error: JobError | None
    interruption: JobInterruption | None
    warnings: list[Warning]
    attempt: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    device_s: float
    request_id: str | None
    links: Links

    @property
    def ended(self) -> bool:
        """Whether it has succeeded, failed or been cancelled."""
        return self.status in ENDED

    @property
    def pictures(self) -> list[Image]:
        """All its images, including animation and contact sheet."""
        extras = (self.output.animation, self.output.contact_sheet)
        return [*self.output.images, *(image for image in extras if image is not None)]

    def _repr_html_(self) -> str:
        return notebook.job(self)


@dataclass(frozen=True)
class JobEvent:
    """An event of a job; `data` is JSON: a Job, its progress, or an Image, depending on the event's name."""

    id: str
    event: Literal["status", "progress", "preview", "done"]
    data: str


@dataclass(frozen=True)
class Curve:
    """Metrics of a training, one entry a step; angles in radians from the start."""

    step: list[int]
    loss: list[float | None]
    angle: list[float | None]


@dataclass(frozen=True)
class EncoderRows:
    """The rows of an embedding for one text encoder."""

    vectors: int
    dim: int
    magnitude: float


@dataclass(frozen=True)
class Embedding:
    """The embedding of a trained concept."""

    sha256: str
    encoders: dict[str, EncoderRows]


@dataclass(frozen=True)
class Concept:
    """A concept, trained or to be trained on pictures; prompts contain its `trigger`."""

    id: str
    name: str
    trigger: str
    class_word: str
    learnable_property: Literal["object", "style"]
    model: str
    method: str
    training: dict[str, Any]
    ready: bool
    job: str | None
    images: list[ConceptImage]
    embedding: Embedding | None
    version: int | None
    tags: list[str]
    cover: Image | None
    created_at: datetime
    updated_at: datetime

    def _repr_html_(self) -> str:
        return notebook.concept(self)


@dataclass(frozen=True)
class ConceptWithWarnings(Concept):
    """A concept whose training pictures have changed; `skipped` names the uploaded files that are not used."""

    skipped: list[str]
    warnings: list[Warning]


@dataclass(frozen=True)
class Norms:
    """The norms of an encoder's rows, in the file and after the import."""

    before: list[float]
    after: list[float]


@dataclass(frozen=True)
class ImportedConcept(Concept):
    """An imported concept, with the norms of its rows by encoder."""

    norms: dict[str, Norms]


@dataclass(frozen=True)
class ConceptVersion:
    """An embedding of a concept, and the training that made it."""

    number: int
    current: bool
    embedding: Embedding
    steps: int
    job: str | None
    method: str | None
    training: dict[str, Any] | None
    created_at: datetime


@dataclass(frozen=True)
class ConceptAndJob:
    """A concept and its queued training; `skipped` names the uploaded files that are not used."""

    concept: Concept
    job: Job
    skipped: list[str]


@dataclass(frozen=True)
class Neighbour:
    """A word of a model's vocabulary, and the cosine between its direction and a concept's."""

    token: str
    cosine: float


@dataclass(frozen=True)
class Neighbours:
    """By encoder and vector, the nearest words, nearest first."""

    embedding_sha256: str
    encoders: dict[str, list[list[Neighbour]]]


@dataclass(frozen=True)
class EncoderCard:
    """A text encoder of a model."""

    width: int
    token_limit: int
    magnitude: float


@dataclass(frozen=True)
class ModelDefaults:
    """Defaults of a model; those of trainings by method."""

    width: int
    height: int
    steps: int
    guidance_scale: float
    scheduler: str
    training: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Model:
    """A text-to-image model; encoders and their limits are known once a worker has loaded it."""

    name: str
    family: str
    default: bool
    size_multiple_px: int
    max_px: int
    schedulers: list[str]
    methods: list[str]
    defaults: ModelDefaults
    encoders: dict[str, EncoderCard] | None
    token_limit: int | None
    loaded: bool
    workers: int


@dataclass(frozen=True)
class ModelDetails(Model):
    """A text-to-image model with the words that it knows; None for a large vocabulary, or before it was loaded."""

    words: list[str] | None


@dataclass(frozen=True)
class OpenAIModel:
    """A model as OpenAI's clients list it."""

    id: str
    object: str
    created: int
    owned_by: str


@dataclass(frozen=True)
class EncoderTokens:
    """The tokens of a prompt for one text encoder."""

    tokens: int
    limit: int


@dataclass(frozen=True)
class TokenCount:
    """The tokens of a prompt, by text encoder; None while no worker has reported the model's tokenizers."""

    model: str
    concepts: list[str]
    encoders: dict[str, EncoderTokens] | None
    fits: bool | None


@dataclass(frozen=True)
class OpenAIImage:
    """An image, as a URL or in base64."""

    url: str | None
    b64_json: str | None
    revised_prompt: None


@dataclass(frozen=True)
class ImagesAnswer:
    """Generated images; `created` in seconds since 1970."""

    created: int
    size: str
    output_format: str
    data: list[OpenAIImage]
    warnings: list[Warning]


@dataclass(frozen=True)
class Live:
    """The process answers."""

    status: str


@dataclass(frozen=True)
class Ready:
    """The state of the parts; `workers` counts the active ones by model."""

    status: str
    database: str
    storage: str
    schema_revision: str
    maintenance: str
    workers: dict[str, int]


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list, newest first; `next` is the cursor of the next page, None at the end."""

    items: list[T]
    next: str | None
