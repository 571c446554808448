"""Schemas of responses. Every key is always present, null where the value is unknown: no field has a default."""

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from dti.spec.settings import LearnableProperty
from service.database.tables import EventName, Interruption
from service.health import MaintenanceState
from service.kinds.jobs import LISTED
from service.kinds.warnings import WarningCode

if TYPE_CHECKING:
    ListedKind = str
else:
    ListedKind = Literal[LISTED]


class ResponseModel(BaseModel):
    """Base of all response bodies; the docstring of a field is its description in the OpenAPI document."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Safety(ResponseModel):
    """The safety checker's assessment of a picture; score from 0 to 1."""

    checker: str
    """The name of the checker."""
    score: float
    """From 0, harmless, to 1."""
    flagged: bool
    """Whether the score is at or above the checker's threshold."""


class Image(ResponseModel):
    """An uploaded picture or a generated image."""

    id: str
    """The image's id."""
    url: str | None
    """A signed URL, which expires; null in lists that carry none."""
    content_type: str
    """The media type of the file."""
    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""
    bytes: int
    """Size of the file in bytes."""
    sha256: str
    """SHA-256 of the file, in hexadecimal."""
    seed: int | None
    """The seed of its noise; null for an uploaded picture."""
    prompt: str | None
    """The prompt that it was generated from; null for an uploaded picture."""
    share: float | None
    """The interpolation weight, from 0 to 1; null outside of interpolations."""
    safety: Safety | None
    """The safety checker's assessment; null where there was none."""


class GalleryImage(Image):
    """A generated image of the gallery, with its job."""

    job: str
    """The id of its job."""
    kind: ListedKind
    """The kind of its job."""
    model: str
    """The model that rendered it."""
    concepts: list[str]
    """The names of the concepts in its prompt, at the time of submission."""
    favourite: bool
    """Whether it is marked as a favourite."""
    created_at: datetime
    """When it was generated."""


class ImagePage(ResponseModel):
    """A page of images, newest first; `next` is the cursor of the next page."""

    items: list[GalleryImage]
    """The items of this page."""
    next: str | None
    """The cursor of the next page; null at the end."""


class ConceptImage(Image):
    """A training picture of a concept."""

    filename: str
    """The name of the uploaded file."""
    caption: str | None
    """Its caption; null where the training uses templates."""


class JobConcept(ResponseModel):
    """A concept in a job, with its embedding at the time of submission."""

    id: str
    """The concept's id."""
    name: str
    """The concept's name at the time of submission."""
    embedding_sha256: str | None
    """SHA-256 of the embedding that the job uses; null for a first training."""


class TrainingImage(ResponseModel):
    """A training's assessment of a picture before its first step; sizes and sharpness relative to the usual ones."""

    id: str
    """The picture's id."""
    filename: str
    """The name of the uploaded file."""
    kept: bool
    """Whether it is trained on."""
    reason: Literal["near_duplicate", "blurred", "odd_one_out"] | None
    """Why it is left out; null for a kept picture."""
    score: float
    """From 0 to 1: how much it helps the training."""
    sharpness: float
    """Relative to the usual sharpness of the pictures."""
    size: float
    """Relative to the usual size of the pictures."""
    agreement: float | None
    """Similarity to the other pictures; null where it was not measured."""
    duplicate_of: str | None
    """The id of the picture that it nearly equals; null if there is none."""


class Output(ResponseModel):
    """Results of a job so far: images, previews of a training, and the assessment of its training images."""

    images: list[Image]
    """Generated images, or the previews of a training, in order."""
    animation: Image | None
    """The animation of an interpolation; null if there is none."""
    contact_sheet: Image | None
    """All frames of an interpolation on one sheet; null if there is none."""
    training_images: list[TrainingImage] | None
    """The assessment of each training picture; null before a training has started and for other kinds."""


class Progress(ResponseModel):
    """Progress of a job: updates of a training, else denoising steps of all its images.

    `workers` is the number of active workers that serve the model of a queued job; with 0, it waits for one to start.
    """

    step: int
    """Completed steps."""
    total: int
    """Steps in all."""
    loss: float | None
    """The loss of the last step; null outside of trainings."""
    eta_s: float | None
    """Estimated seconds to the end; null while unknown."""
    queue_position: int | None
    """Jobs before it in the queue; null for a job that is not queued."""
    workers: int | None
    """Active workers that serve its model; null for a job that is not queued."""


class JobError(ResponseModel):
    """The error of a failed job."""

    code: str
    """A stable code."""
    message: str
    """What happened, and what to do."""


class JobInterruption(ResponseModel):
    """The reason for which a job returned to the queue."""

    code: Interruption
    """`interrupted`: its worker stopped, or a store was down; the others are lost attempts."""
    message: str
    """What happened."""


class Warning(ResponseModel):  # noqa: A001 - the API's word
    """A part of a request that has no effect, or not the one that its author may expect."""

    code: WarningCode
    """A stable code."""
    message: str
    """What has no effect, and why."""
    subjects: list[str]
    """The settings, concepts or words that it is about."""


class Links(ResponseModel):
    """URLs of a job's operations."""

    self: str
    """The job."""
    events: str
    """The stream of its events."""
    cancel: str
    """POST here to cancel it."""


class Job(ResponseModel):
    """A job: one envelope for trainings, generations and interpolations."""

    id: str
    """The job's id."""
    kind: ListedKind
    """What it makes."""
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    """Its state; the last three are final."""
    model: str
    """The model that it runs on."""
    concepts: list[JobConcept]
    """The concepts that it uses or trains."""
    input: dict[str, object]
    """The request with every default filled in."""
    output: Output
    """Its results so far."""
    progress: Progress
    """How far it is."""
    error: JobError | None
    """Why it failed; null for a job that did not."""
    interruption: JobInterruption | None
    """Why it returned to the queue last; null if it never did since its submission or retry."""
    warnings: list[Warning]
    """Parts of the request that have no effect."""
    attempt: int
    """Number of attempts so far; a lost worker costs one."""
    cancel_requested: bool
    """Whether it was asked to stop."""
    created_at: datetime
    """When it was submitted."""
    started_at: datetime | None
    """When a worker first took it; null before."""
    finished_at: datetime | None
    """When it ended; null before."""
    device_s: float
    """Seconds of the device that it has used."""
    request_id: str | None
    """The id of the request that submitted it."""
    links: Links
    """URLs of its operations."""


class JobPage(ResponseModel):
    """A page of jobs, newest first; `next` is the cursor of the next page."""

    items: list[Job]
    """The items of this page."""
    next: str | None
    """The cursor of the next page; null at the end."""


class JobEvent(ResponseModel):
    """An event of a stream; `data` is JSON: a Job in its state at that event, its progress, or an Image, by name."""

    id: str
    """The number of the event, from 1; send it as `Last-Event-ID` to resume."""
    event: EventName
    """The name of the event."""
    data: str
    """JSON: a Job, its progress, or an Image."""


class Curve(ResponseModel):
    """Metrics of a training, one entry a step; angles in radians from the start."""

    step: list[int]
    """The steps, from 1."""
    loss: list[float | None]
    """The loss of each step; null where it was not finite."""
    angle: list[float | None]
    """The angle in radians between the direction and its start, at each step."""


class EncoderRows(ResponseModel):
    """The rows of an embedding for one text encoder."""

    vectors: int
    """Number of vectors."""
    dim: int
    """Width of a vector."""
    magnitude: float
    """Mean norm of the vectors."""


class Embedding(ResponseModel):
    """The embedding of a trained concept."""

    sha256: str
    """SHA-256 of the embedding file."""
    encoders: dict[str, EncoderRows]
    """The rows by text encoder."""


class Concept(ResponseModel):
    """A concept, trained or to be trained on pictures."""

    id: str
    """The concept's id, which never changes."""
    name: str
    """Its name, unique for the owner."""
    trigger: str
    """The name as prompts contain it."""
    class_word: str
    """The word for its class, such as "dog"."""
    learnable_property: LearnableProperty
    """Whether the object or the style of the pictures is learned."""
    model: str
    """The model that it belongs to."""
    method: str
    """The method of its last training, or `import` or `blend`."""
    training: dict[str, object]
    """The settings of its last training."""
    ready: bool
    """Whether it has an embedding, so that prompts can name it."""
    job: str | None
    """The id of its newest training; null if there is none."""
    images: list[ConceptImage]
    """Its training pictures, in order."""
    embedding: Embedding | None
    """The embedding in use; null until the first training has succeeded."""
    version: int | None
    """The number of the embedding in use; null until the first training has succeeded."""
    tags: list[str]
    """Its tags, in alphabetical order."""
    cover: Image | None
    """The picture that stands for it; null if there is none."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime
    """When it was last changed or trained."""


class ConceptWithWarnings(Concept):
    """A concept whose training pictures have changed."""

    skipped: list[str]
    """Uploaded files that are not used: neither pictures nor their captions or masks."""
    warnings: list[Warning]
    """The parts of the request that have no effect."""


class Norms(ResponseModel):
    """The norms of an encoder's rows, in the file and after the import."""

    before: list[float]
    """The norm of each row in the file."""
    after: list[float]
    """The norm of each row after the import."""


class ImportedConcept(Concept):
    """An imported concept, with the norms of its rows by encoder."""

    norms: dict[str, Norms]
    """The norms of its rows by text encoder."""


class Neighbour(ResponseModel):
    """A word of a model's vocabulary, and the cosine between its direction and a concept's."""

    token: str
    """The word."""
    cosine: float
    """The cosine of the angle between the two directions, from -1 to 1."""


class Neighbours(ResponseModel):
    """By encoder and vector, the nearest words, nearest first."""

    embedding_sha256: str
    """SHA-256 of the embedding that was compared."""
    encoders: dict[str, list[list[Neighbour]]]
    """By text encoder, and by vector: the nearest words."""


class ConceptPage(ResponseModel):
    """A page of concepts, newest first; `next` is the cursor of the next page."""

    items: list[Concept]
    """The items of this page."""
    next: str | None
    """The cursor of the next page; null at the end."""


class ConceptVersion(ResponseModel):
    """An embedding of a concept, and the training that made it."""

    number: int
    """The number of the version, from 1."""
    current: bool
    """Whether the concept uses it."""
    embedding: Embedding
    """Its embedding."""
    steps: int
    """Steps of its training; 0 for an imported or blended one."""
    job: str | None
    """The id of its training; null for an imported or blended one, or where the job was deleted."""
    method: str | None
    """The method of its training; null where that is unknown."""
    training: dict[str, object] | None
    """The settings of its training; null where they are unknown."""
    created_at: datetime
    """When it was made."""


class ConceptVersionPage(ResponseModel):
    """All versions of a concept, newest first."""

    items: list[ConceptVersion]
    """The items of this page."""
    next: None
    """The cursor of the next page; null at the end."""


class ConceptAndJob(ResponseModel):
    """A concept and its queued training."""

    concept: Concept
    """The concept."""
    job: Job
    """Its training."""
    skipped: list[str]
    """Uploaded files that are not used: neither pictures nor their captions or masks."""


class EncoderCard(ResponseModel):
    """A text encoder of a model."""

    width: int
    """Width of its token embeddings."""
    token_limit: int
    """Most tokens of a prompt, special tokens included."""
    magnitude: float
    """Mean norm of the vocabulary's embeddings."""


class ModelDefaults(ResponseModel):
    """Defaults of a model; those of trainings by method."""

    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""
    steps: int
    """Denoising steps."""
    guidance_scale: float
    """Guidance scale."""
    scheduler: str
    """The sampler."""
    training: dict[str, dict[str, object]]
    """The settings of a training, by method."""


class Model(ResponseModel):
    """A text-to-image model; encoders and their limits are known once a worker has loaded it."""

    name: str
    """Its name in requests."""
    family: str
    """The family of its architecture."""
    default: bool
    """Whether requests use it where they name no model."""
    size_multiple_px: int
    """Widths and heights are multiples of it."""
    max_px: int
    """The longest side of an image."""
    schedulers: list[str]
    """The samplers that it can use."""
    methods: list[str]
    """The methods that it can be trained with."""
    defaults: ModelDefaults
    """The settings of requests that leave them out."""
    encoders: dict[str, EncoderCard] | None
    """Its text encoders; null until a worker has loaded it."""
    token_limit: int | None
    """Most tokens of a prompt, over all encoders; null until a worker has loaded it."""
    loaded: bool
    """Whether a worker has it in memory now."""
    workers: int
    """Active workers that serve it; without any, its jobs wait."""


class ModelDetails(Model):
    """A text-to-image model with its words."""

    words: list[str] | None
    """The words that it knows; null for a large vocabulary, and until a worker has loaded it."""


class OpenAIModel(ResponseModel):
    """A model as OpenAI's clients list it."""

    id: str
    """Its name in requests."""
    object: Literal["model"]
    """Always `model`."""
    created: int
    """Always 0: the catalogue knows no time."""
    owned_by: Literal["dti"]
    """Always `dti`."""


class ModelPage(ResponseModel):
    """All models; `object` and `data` list them as OpenAI's clients read them."""

    items: list[Model]
    """The models."""
    next: None
    """Always null: this list has one page."""
    object: Literal["list"]
    """Always `list`, for OpenAI's clients."""
    data: list[OpenAIModel]
    """The same models in OpenAI's shape."""


class EncoderTokens(ResponseModel):
    """The tokens of a prompt for one text encoder."""

    tokens: int
    """Tokens of the prompt, special tokens included."""
    limit: int
    """Most tokens that the encoder takes."""


class TokenCount(ResponseModel):
    """The tokens of a prompt, by text encoder."""

    model: str
    """The model that renders the prompt."""
    concepts: list[str]
    """The names of the concepts in the prompt."""
    encoders: dict[str, EncoderTokens] | None
    """The count by text encoder; null until a worker has loaded the model."""
    fits: bool | None
    """Whether no encoder has too many; null until a worker has loaded the model."""


class Live(ResponseModel):
    """The process answers."""

    status: Literal["ok"]
    """Always `ok`."""


class Ready(ResponseModel):
    """The state of the parts; `workers` counts the active ones by model. Without maintenance or workers jobs wait."""

    status: Literal["ok"]
    """Always `ok`; otherwise the answer is 503."""
    database: Literal["up"]
    """Always `up`."""
    storage: Literal["up"]
    """Always `up`."""
    schema_revision: str
    """The newest migration of the database."""
    maintenance: MaintenanceState
    """Whether maintenance was seen in the last half minute."""
    workers: dict[str, int]
    """The number of active workers by model."""


class Problem(ResponseModel):
    """RFC 9457, with a stable code; some codes bring members of their own."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    type: str
    """Always `about:blank`."""
    title: str
    """The name of the HTTP status."""
    status: int
    """The HTTP status."""
    code: str
    """A stable code; branch on this."""
    detail: str
    """What happened, and what to do."""
