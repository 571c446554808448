"""What the service answers, as dataclasses. A field that a newer service adds is passed over."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

Kind = Literal["train", "generate", "interpolate"]
Status = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: frozenset[Status] = frozenset({"succeeded", "failed", "cancelled"})


@dataclass(frozen=True)
class Safety:
    """What the safety check thought of a picture; its score is from 0 to 1."""

    checker: str
    score: float
    flagged: bool


@dataclass(frozen=True)
class Image:
    """A picture that was uploaded or made; its address works for a while, and lists have none."""

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


@dataclass(frozen=True)
class JobConcept:
    """A concept in a job, with the embedding that it had when the job was made."""

    id: str
    name: str
    embedding_sha256: str | None


@dataclass(frozen=True)
class TrainingImage:
    """What a training thought of a picture before it learned."""

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
    """What a job has made so far."""

    images: list[Image]
    animation: Image | None
    contact_sheet: Image | None
    training_images: list[TrainingImage] | None


@dataclass(frozen=True)
class Progress:
    """How far a job is: updates of a training, else denoising steps of all its pictures."""

    step: int
    total: int
    loss: float | None
    eta_s: float | None
    queue_position: int | None


@dataclass(frozen=True)
class JobError:
    """Why a job failed."""

    code: str
    message: str


@dataclass(frozen=True)
class Links:
    """Where to go on from a job."""

    self: str
    events: str
    cancel: str


@dataclass(frozen=True)
class Job:
    """The one envelope round all work."""

    id: str
    kind: Kind
    status: Status
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

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in ENDED

    @property
    def pictures(self) -> list[Image]:
        """Everything that it has made, animation and contact sheet included."""
        more = (self.output.animation, self.output.contact_sheet)
        return [*self.output.images, *(one for one in more if one is not None)]


@dataclass(frozen=True)
class JobEvent:
    """One event of a job; `data` is JSON: a Job, its progress, or an Image, by what the event is called."""

    id: str
    event: Literal["status", "progress", "preview", "done"]
    data: str


@dataclass(frozen=True)
class Curve:
    """A training's course, one entry a step; angles in radians from the start."""

    step: list[int]
    loss: list[float | None]
    angle: list[float | None]


@dataclass(frozen=True)
class EncoderRows:
    """What an embedding holds for one text encoder."""

    vectors: int
    dim: int
    magnitude: float


@dataclass(frozen=True)
class Embedding:
    """What was learned."""

    sha256: str
    encoders: dict[str, EncoderRows]


@dataclass(frozen=True)
class Concept:
    """Something that was or will be learned from pictures; in prompts it is its `trigger`."""

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
    images: list[Image]
    embedding: Embedding | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Norms:
    """How long an encoder's rows were in a file, and are now."""

    before: list[float]
    after: list[float]


@dataclass(frozen=True)
class ImportedConcept(Concept):
    """A concept made of a file, with its rows' norms by encoder."""

    norms: dict[str, Norms]


@dataclass(frozen=True)
class ConceptAndJob:
    """A concept and the training that was queued for it."""

    concept: Concept
    job: Job


@dataclass(frozen=True)
class Neighbour:
    """A word of a model's vocabulary, and the cosine between its direction and a concept's."""

    token: str
    cosine: float


@dataclass(frozen=True)
class Neighbours:
    """Per encoder, for each vector in order, the nearest words, nearest first."""

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
    """What is used where a request says nothing; of trainings, by method."""

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


@dataclass(frozen=True)
class OpenAIImage:
    """A picture as OpenAI's clients get it: its address or, in base64, itself."""

    url: str | None
    b64_json: str | None
    revised_prompt: None


@dataclass(frozen=True)
class ImagesAnswer:
    """Pictures as OpenAI's clients get them; `created` in seconds since 1970."""

    created: int
    size: str
    output_format: str
    data: list[OpenAIImage]


@dataclass(frozen=True)
class Live:
    """The process answers."""

    status: str


@dataclass(frozen=True)
class Ready:
    """What the service stands on."""

    status: str
    database: str
    storage: str


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some of a list, newest first; `next` is the cursor of what follows, None at the end."""

    items: list[T]
    next: str | None
