"""Schemas of responses. Every key is always present, null where the value is unknown: no field has a default."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from dti.spec.settings import LearnableProperty
from service.database.tables import EventName
from service.kinds.jobs import LISTED
from service.kinds.warnings import WarningCode

if TYPE_CHECKING:
    ListedKind = str
else:
    ListedKind = Literal[LISTED]


class ResponseModel(BaseModel):
    """Base of all response bodies."""

    model_config = ConfigDict(extra="forbid")


class Safety(ResponseModel):
    """The safety checker's assessment of a picture; score from 0 to 1."""

    checker: str
    score: float
    flagged: bool


class Image(ResponseModel):
    """An uploaded picture or a generated image."""

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


class GalleryImage(Image):
    """A generated image of the gallery, with its job."""

    job: str
    kind: ListedKind
    model: str
    concepts: list[str]
    favourite: bool
    created_at: datetime


class ImagePage(ResponseModel):
    """A page of images, newest first; `next` is the cursor of the next page."""

    items: list[GalleryImage]
    next: str | None


class ConceptImage(Image):
    """A training picture of a concept."""

    filename: str
    caption: str | None


class JobConcept(ResponseModel):
    """A concept in a job, with its embedding at the time of submission."""

    id: str
    name: str
    embedding_sha256: str | None


class TrainingImage(ResponseModel):
    """A training's assessment of a picture before its first step; sizes and sharpness relative to the usual ones."""

    id: str
    filename: str
    kept: bool
    reason: Literal["near_duplicate", "blurred", "odd_one_out"] | None
    score: float
    sharpness: float
    size: float
    agreement: float | None
    duplicate_of: str | None


class Output(ResponseModel):
    """Results of a job so far: images, previews of a training, and the assessment of its training images."""

    images: list[Image]
    animation: Image | None
    contact_sheet: Image | None
    training_images: list[TrainingImage] | None


class Progress(ResponseModel):
    """Progress of a job: updates of a training, else denoising steps of all its images."""

    step: int
    total: int
    loss: float | None
    eta_s: float | None
    queue_position: int | None


class JobError(ResponseModel):
    """The error of a failed job."""

    code: str
    message: str


class Warning(ResponseModel):  # noqa: A001 - the API's word
    """A part of a request that has no effect, or not the one that its author may expect."""

    code: WarningCode
    message: str
    subjects: list[str]


class Links(ResponseModel):
    """URLs of a job's operations."""

    self: str
    events: str
    cancel: str


class Job(ResponseModel):
    """A job: one envelope for trainings, generations and interpolations."""

    id: str
    kind: ListedKind
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    model: str
    concepts: list[JobConcept]
    input: dict[str, object]
    output: Output
    progress: Progress
    error: JobError | None
    warnings: list[Warning]
    attempt: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    device_s: float
    request_id: str | None
    links: Links


class JobPage(ResponseModel):
    """A page of jobs, newest first; `next` is the cursor of the next page."""

    items: list[Job]
    next: str | None


class JobEvent(ResponseModel):
    """An event of a stream; `data` is JSON: a Job in its state at that event, its progress, or an Image, by name."""

    id: str
    event: EventName
    data: str


class Curve(ResponseModel):
    """Metrics of a training, one entry a step; angles in radians from the start."""

    step: list[int]
    loss: list[float | None]
    angle: list[float | None]


class EncoderRows(ResponseModel):
    """The rows of an embedding for one text encoder."""

    vectors: int
    dim: int
    magnitude: float


class Embedding(ResponseModel):
    """The embedding of a trained concept."""

    sha256: str
    encoders: dict[str, EncoderRows]


class Concept(ResponseModel):
    """A concept, trained or to be trained on pictures."""

    id: str
    name: str
    trigger: str
    class_word: str
    learnable_property: LearnableProperty
    model: str
    method: str
    training: dict[str, object]
    ready: bool
    job: str | None
    images: list[ConceptImage]
    embedding: Embedding | None
    version: int | None
    tags: list[str]
    cover: Image | None
    created_at: datetime
    updated_at: datetime


class Norms(ResponseModel):
    """The norms of an encoder's rows, in the file and after the import."""

    before: list[float]
    after: list[float]


class ImportedConcept(Concept):
    """An imported concept, with the norms of its rows by encoder."""

    norms: dict[str, Norms]


class Neighbour(ResponseModel):
    """A word of a model's vocabulary, and the cosine between its direction and a concept's."""

    token: str
    cosine: float


class Neighbours(ResponseModel):
    """By encoder and vector, the nearest words, nearest first."""

    embedding_sha256: str
    encoders: dict[str, list[list[Neighbour]]]


class ConceptPage(ResponseModel):
    """A page of concepts, newest first; `next` is the cursor of the next page."""

    items: list[Concept]
    next: str | None


class ConceptVersion(ResponseModel):
    """An embedding of a concept, and the training that made it."""

    number: int
    current: bool
    embedding: Embedding
    steps: int
    job: str | None
    method: str | None
    training: dict[str, object] | None
    created_at: datetime


class ConceptVersionPage(ResponseModel):
    """All versions of a concept, newest first."""

    items: list[ConceptVersion]
    next: None


class ConceptAndJob(ResponseModel):
    """A concept and its queued training."""

    concept: Concept
    job: Job


class EncoderCard(ResponseModel):
    """A text encoder of a model."""

    width: int
    token_limit: int
    magnitude: float


class ModelDefaults(ResponseModel):
    """Defaults of a model; those of trainings by method."""

    width: int
    height: int
    steps: int
    guidance_scale: float
    scheduler: str
    training: dict[str, dict[str, object]]


class Model(ResponseModel):
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


class OpenAIModel(ResponseModel):
    """A model as OpenAI's clients list it."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["dti"]


class ModelPage(ResponseModel):
    """All models; `object` and `data` list them as OpenAI's clients read them."""

    items: list[Model]
    next: None
    object: Literal["list"]
    data: list[OpenAIModel]


class EncoderTokens(ResponseModel):
    """The tokens of a prompt for one text encoder."""

    tokens: int
    limit: int


class TokenCount(ResponseModel):
    """The tokens of a prompt, by text encoder."""

    model: str
    concepts: list[str]
    encoders: dict[str, EncoderTokens] | None
    fits: bool | None


class Live(ResponseModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(ResponseModel):
    """The state of database and object store; without the broker, jobs only start later."""

    status: Literal["ok"]
    database: Literal["up"]
    storage: Literal["up"]


class Problem(ResponseModel):
    """RFC 9457, with a stable code; some codes bring members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    code: str
    detail: str
