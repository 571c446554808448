"""The kinds of jobs: THE list, with the input of each. It knows no rule of the queue.

A line of KINDS says all about a kind: its input, its priority class, the worker's handler, and the route that clients
make it with. `CONTRIBUTING.md`, "A kind of job", says which files a new one needs.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, Self

from dti.spec.registry import METHODS
from dti.spec.settings import CompleteRendering, Interpolation, LearnableProperty, Training
from service.kinds.rpc import RpcInput
from service.kinds.versioned import Input, Json, Versioned

Start = Literal["class_word", "current"]
"""The start of a training: the rows of the class word, or the concept's present embedding."""

Engine = Literal["renderer", "trainer"]


@dataclass(frozen=True, kw_only=True)
class TrainInput(Input):
    """Learn a concept from its pictures."""

    concept_id: str
    name: str
    class_word: str
    learnable_property: LearnableProperty
    method: str
    start: Start
    training: Training

    @property
    def total(self) -> int:
        """Updates."""
        return self.training.steps

    def values(self) -> dict[str, object]:
        """The fields as JSON values, under the names that the API shows."""
        return {
            "concept": self.concept_id,
            "name": self.name,
            "class_word": self.class_word,
            "learnable_property": self.learnable_property,
            "method": self.method,
            "from": self.start,
            "training": asdict(self.training),
        }

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`; settings that the method did not have then take its defaults."""
        return cls(
            concept_id=values["concept"],
            name=values["name"],
            class_word=values["class_word"],
            learnable_property=values["learnable_property"],
            method=values["method"],
            start=values["from"],
            training=METHODS[values["method"]].settings(**values["training"]),
        )


@dataclass(frozen=True, kw_only=True)
class PicturesInput(Input):
    """Render pictures: the common base of generations and interpolations."""

    prompt: str
    negative_prompt: str
    model: str
    rendering: CompleteRendering

    VERSION = 2
    """Version 1 lacks settings of the rendering, which take their defaults."""


@dataclass(frozen=True, kw_only=True)
class GenerateInput(PicturesInput):
    """Render a prompt; the i-th picture uses seed + i."""

    @property
    def total(self) -> int:
        """Denoising steps of all pictures, counted as calls of the denoiser."""
        return self.rendering.calls * self.rendering.num_images

    @property
    def slots(self) -> int:
        """All pictures can be rendered at once."""
        return self.rendering.num_images

    def values(self) -> dict[str, object]:
        """The fields as JSON values, the rendering's settings beside the others."""
        own = {"prompt": self.prompt, "negative_prompt": self.negative_prompt, "model": self.model}
        return own | asdict(self.rendering)

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`."""
        own = {name: values[name] for name in ("prompt", "negative_prompt", "model")}
        return cls(**own, rendering=CompleteRendering(**_without(values, own)))


@dataclass(frozen=True, kw_only=True)
class InterpolateInput(PicturesInput):
    """Render a prompt at points between two concepts, all from the same noise.

    Args:
        start: the name of the concept at share 0.
        end: the name of the concept at share 1.
        interpolation: how; `frames` is the number of shares.
        shares: the points, 0 to 1.
        rendering: of each point; `num_images` stays 1.
    """

    start: str
    end: str
    interpolation: Interpolation
    shares: tuple[float, ...]

    @property
    def total(self) -> int:
        """Denoising steps of all frames, counted as calls of the denoiser."""
        return self.rendering.calls * len(self.shares)

    @property
    def slots(self) -> int:
        """All frames can be rendered at once."""
        return len(self.shares)

    def values(self) -> dict[str, object]:
        """The fields as JSON values, all settings beside the others."""
        return {
            "from": self.start,
            "to": self.end,
            "prompt": self.prompt,
            "negative_prompt": self.negative_prompt,
            "model": self.model,
            **asdict(self.interpolation),
            "shares": list(self.shares),
            **_without(asdict(self.rendering), {"num_images"}),
        }

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`."""
        own = {name: values[name] for name in ("prompt", "negative_prompt", "model")}
        interpolation = {name: values[name] for name in Interpolation.__dataclass_fields__}
        settings = _without(values, {*own, *interpolation, "from", "to", "shares"})
        return cls(
            **own,
            start=values["from"],
            end=values["to"],
            interpolation=Interpolation(**interpolation),
            shares=tuple(values["shares"]),
            rendering=CompleteRendering(**settings),
        )


@dataclass(frozen=True, kw_only=True)
class TrainingImage:
    """The assessment of a training image; see `dti.training.selection.PictureAssessment`.

    Args:
        duplicate_of: the id of the better picture that shows nearly the same.
    """

    id: str
    filename: str
    kept: bool
    sharpness: float
    size: float
    agreement: float | None
    score: float
    duplicate_of: str | None
    reason: Literal["near_duplicate", "blurred", "odd_one_out"] | None


@dataclass(frozen=True, kw_only=True)
class TrainResult(Versioned):
    """The result of a training beside its embedding and its metrics."""

    training_images: tuple[TrainingImage, ...]

    def values(self) -> dict[str, object]:
        """The fields as JSON values."""
        return {"training_images": [asdict(image) for image in self.training_images]}

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`."""
        return cls(training_images=tuple(TrainingImage(**image) for image in values["training_images"]))


@dataclass(frozen=True)
class PriorityClass:
    """Kinds that are claimed in one order and share one capacity of a worker.

    Args:
        number: the order in which classes are claimed; stands in the jobs' rows.
        engine: limits how many run at once, by the loaded models; None where `at_once` does.
        at_once: how many jobs a worker takes at once where no engine limits them.
    """

    number: int
    engine: Engine | None = None
    at_once: int = 0


@dataclass(frozen=True)
class Kind:
    """A kind of job.

    Args:
        input: its class; `total` and `slots` count its progress and its share of the class's capacity.
        priority_class: a name of PRIORITY_CLASSES.
        handler: the worker's class, as "module:Class".
        operation: the route that clients make it with, which is the client's method as well; None where no client
            sees such jobs.
        result: its result beside pictures and embeddings; None for nothing. Those of RPCs are in TASKS.
    """

    input: type[Input]
    priority_class: str
    handler: str
    operation: str | None = None
    result: type[Versioned] | None = None

    @property
    def listed(self) -> bool:
        """Whether clients make and see such jobs."""
        return self.operation is not None

    @property
    def number(self) -> int:
        """The number of its priority class."""
        return PRIORITY_CLASSES[self.priority_class].number


PRIORITY_CLASSES: Mapping[str, PriorityClass] = {
    "rpcs": PriorityClass(-1, at_once=4),
    "pictures": PriorityClass(0, engine="renderer"),
    "trainings": PriorityClass(1, engine="trainer"),
}
"""The priority classes by name, in the order in which they are claimed."""

KINDS: Mapping[str, Kind] = {
    "train": Kind(TrainInput, "trainings", "worker.handlers.train:TrainHandler", "create_concept", TrainResult),
    "generate": Kind(GenerateInput, "pictures", "worker.handlers.generate:GenerateHandler", "create_generation"),
    "interpolate": Kind(
        InterpolateInput, "pictures", "worker.handlers.interpolate:InterpolateHandler", "create_interpolation"
    ),
    "rpc": Kind(RpcInput, "rpcs", "worker.handlers.rpc:RpcHandler"),
}
"""The kinds of jobs by name: a line here makes one claimable, counted and listed, and puts it under the tests' laws."""

LISTED: tuple[str, ...] = tuple(name for name, kind in KINDS.items() if kind.listed)
"""The kinds that clients see."""


def kind_of(job_input: Input | type[Input]) -> str:
    """The name of an input's kind."""
    found = job_input if isinstance(job_input, type) else type(job_input)
    return next(name for name, kind in KINDS.items() if issubclass(found, kind.input))


def read_input(kind: str, stored: Json) -> Input:
    """The input of a job's row.

    Raises:
        ValueError: there is no such kind, or it cannot be read; see `Versioned.from_json`.
    """
    if kind not in KINDS:
        raise ValueError(f"There is no kind of job {kind!r}.")
    return KINDS[kind].input.from_json(stored)


def _without(values: Json, names: "Mapping[str, object] | set[str]") -> Json:
    return {name: value for name, value in values.items() if name not in names}
