"""What the service answers. Every key is always there, null where nothing is known, so nothing here has a default."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from dti.spec.settings import LearnableProperty
from service.database.tables import EventName


class ResponseModel(BaseModel):
    """The root of all answers."""

    model_config = ConfigDict(extra="forbid")


class Safety(ResponseModel):
    """What the safety check thought of a picture; its score is from 0 to 1."""

    checker: str
    score: float
    flagged: bool


class Image(ResponseModel):
    """A picture that was uploaded or made."""

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


class JobConcept(ResponseModel):
    """A concept in a job, with the embedding that it had when the job was made."""

    id: str
    name: str
    embedding_sha256: str | None


class TrainingImage(ResponseModel):
    """What a training thought of a picture before it learned; sizes and sharpness in shares of what is usual."""

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
    """How far a job is: updates of a training, else denoising steps of all its pictures."""

    step: int
    total: int
    loss: float | None
    eta_s: float | None
    queue_position: int | None


class JobError(ResponseModel):
    """Why a job failed."""

    code: str
    message: str


class Links(ResponseModel):
    """Where to go on from a job."""

    self: str
    events: str
    cancel: str


class Job(ResponseModel):
    """The one envelope round all work."""

    id: str
    kind: Literal["train", "generate", "interpolate"]
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    model: str
    concepts: list[JobConcept]
    input: dict[str, Any]
    output: Output
    progress: Progress
    error: JobError | None
    attempt: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    links: Links


class JobPage(ResponseModel):
    """Some jobs, newest first; `next` is the cursor of what follows."""

    items: list[Job]
    next: str | None


class JobEvent(ResponseModel):
    """One event of a stream; `data` is JSON: a Job, its progress, or an Image, by what the event is called."""

    id: str
    event: EventName
    data: str


class Curve(ResponseModel):
    """A training's course, one entry a step; angles in radians from the start."""

    step: list[int]
    loss: list[float | None]
    angle: list[float | None]


class EncoderRows(ResponseModel):
    """What an embedding holds for one text encoder."""

    vectors: int
    dim: int
    magnitude: float


class Embedding(ResponseModel):
    """What was learned."""

    sha256: str
    encoders: dict[str, EncoderRows]


class Concept(ResponseModel):
    """Something that was or will be learned from pictures."""

    id: str
    name: str
    trigger: str
    class_word: str
    learnable_property: LearnableProperty
    model: str
    method: str
    training: dict[str, Any]
    ready: bool
    job: str | None
    images: list[Image]
    embedding: Embedding | None
    created_at: datetime
    updated_at: datetime


class Norms(ResponseModel):
    """How long an encoder's rows were in the file, and are now."""

    before: list[float]
    after: list[float]


class ImportedConcept(Concept):
    """A concept made of a file, with its rows' norms by encoder."""

    norms: dict[str, Norms]


class Neighbour(ResponseModel):
    """A word of a model's vocabulary, and the cosine between its direction and a concept's."""

    token: str
    cosine: float


class Neighbours(ResponseModel):
    """Per encoder, for each vector in order, the nearest words, nearest first."""

    embedding_sha256: str
    encoders: dict[str, list[list[Neighbour]]]


class ConceptPage(ResponseModel):
    """Some concepts, newest first; `next` is the cursor of what follows."""

    items: list[Concept]
    next: str | None


class ConceptAndJob(ResponseModel):
    """A concept and the training that was queued for it."""

    concept: Concept
    job: Job


class EncoderCard(ResponseModel):
    """A text encoder of a model."""

    width: int
    token_limit: int
    magnitude: float


class ModelDefaults(ResponseModel):
    """What is used where a request says nothing; of trainings, by method."""

    width: int
    height: int
    steps: int
    guidance_scale: float
    scheduler: str
    training: dict[str, dict[str, Any]]


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


class ModelPage(ResponseModel):
    """All models."""

    items: list[Model]
    next: None


class Live(ResponseModel):
    """The process answers."""

    status: Literal["ok"]


class Ready(ResponseModel):
    """What the service stands on; a broker that is down makes nothing fail, work only starts later."""

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
