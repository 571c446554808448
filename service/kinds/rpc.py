"""RPC tasks: the one table of the work that requests submit to workers, with the input and the result of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypedDict

from dti.spec.settings import EmbeddingFormat, LearnableProperty
from service.kinds.versioned import Input, Json, Versioned
from service.safety import SafetyVerdict


class RpcInput(Input):
    """The input of any RPC; its JSON names the task."""

    def to_json(self) -> dict[str, object]:
        """The JSON object of today's version, with the task."""
        return {"task": task_of(self), **super().to_json()}

    @classmethod
    def from_json(cls, stored: Json) -> Self:
        """The input of the task that a JSON object names; raises as `Versioned.from_json` does."""
        values = {name: value for name, value in stored.items() if name != "task"}
        task = TASKS.get(stored.get("task", ""))
        if task is None or not issubclass(task.input, cls):
            raise ValueError(f"{stored.get('task')!r} is not a task of {cls.__name__}.")
        return super(RpcInput, task.input).from_json(values)


@dataclass(frozen=True, kw_only=True)
class ImportInput(RpcInput):
    """Make a concept of an uploaded file.

    Args:
        normalize: whether every row gets the vocabulary's mean norm.
    """

    name: str
    class_word: str
    learnable_property: LearnableProperty = "object"
    normalize: bool

    @classmethod
    def upgraded(cls, values: Json) -> Json:
        """Version 0 held the whole row of the concept to be made."""
        return {**_concept_fields(values), "normalize": values["normalize"]}


@dataclass(frozen=True, kw_only=True)
class BlendInput(RpcInput):
    """Make a concept as the weighted spherical mean of the pinned concepts; one weight each."""

    name: str
    class_word: str
    learnable_property: LearnableProperty
    weights: tuple[float, ...]

    def values(self) -> dict[str, object]:
        """The fields as JSON values."""
        return {**super().values(), "weights": list(self.weights)}

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`."""
        return cls(**{**values, "weights": tuple(values["weights"])})

    @classmethod
    def upgraded(cls, values: Json) -> Json:
        """Version 0 held the whole row of the concept to be made."""
        return {**_concept_fields(values), "weights": values["weights"]}


@dataclass(frozen=True, kw_only=True)
class ExportInput(RpcInput):
    """Write the pinned concept's embedding as another tool reads it."""

    format: EmbeddingFormat


@dataclass(frozen=True, kw_only=True)
class NeighboursInput(RpcInput):
    """Find the vocabulary's words nearest to the pinned concept's rows."""


@dataclass(frozen=True, kw_only=True)
class InspectInput(RpcInput):
    """Run the safety check on stored pictures."""

    picture_keys: tuple[str, ...]

    def values(self) -> dict[str, object]:
        """The fields as JSON values."""
        return {"picture_keys": list(self.picture_keys)}

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`."""
        return cls(picture_keys=tuple(values["picture_keys"]))

    @classmethod
    def upgraded(cls, values: Json) -> Json:
        """Version 0 called the keys `pictures`."""
        return {"picture_keys": values["pictures"]}


class Neighbour(TypedDict):
    """A word of the vocabulary, and the cosine between its direction and a row's."""

    token: str
    cosine: float


NeighboursByEncoder = dict[str, list[list[Neighbour]]]
"""Per encoder, for each vector in order, the nearest words, nearest first."""


@dataclass(frozen=True, kw_only=True)
class Norms:
    """The norms of an encoder's rows in an imported file, and after the import."""

    before: list[float]
    after: list[float]


@dataclass(frozen=True, kw_only=True)
class ImportResult(Versioned):
    """The concept that was made, by its id, and its rows' norms by encoder."""

    concept_id: str
    norms: dict[str, Norms]

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`."""
        norms = {encoder: Norms(**both) for encoder, both in values["norms"].items()}
        return cls(concept_id=values["concept_id"], norms=norms)

    @classmethod
    def upgraded(cls, values: Json) -> Json:
        """Version 0 called the id `concept`."""
        return {"concept_id": values["concept"], "norms": values["norms"]}


@dataclass(frozen=True, kw_only=True)
class BlendResult(Versioned):
    """The concept that was made, by its id."""

    concept_id: str

    @classmethod
    def upgraded(cls, values: Json) -> Json:
        """Version 0 called the id `concept`."""
        return {"concept_id": values["concept"]}


@dataclass(frozen=True, kw_only=True)
class ExportResult(Versioned):
    """The extension of the file that lies in the storage, with its dot."""

    extension: str


@dataclass(frozen=True, kw_only=True)
class NeighboursResult(Versioned):
    """The words that were found."""

    encoders: NeighboursByEncoder

    @classmethod
    def upgraded(cls, values: Json) -> Json:
        """Version 0 was the mapping itself."""
        return {"encoders": values}


@dataclass(frozen=True, kw_only=True)
class InspectResult(Versioned):
    """The verdict on each picture, in the order of their keys."""

    verdicts: tuple[SafetyVerdict, ...]

    def values(self) -> dict[str, object]:
        """The fields as JSON values."""
        return {"verdicts": [verdict.to_json() for verdict in self.verdicts]}

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`."""
        return cls(verdicts=tuple(SafetyVerdict(**verdict) for verdict in values["verdicts"]))


@dataclass(frozen=True)
class Task:
    """An RPC task.

    Args:
        input: its class.
        result: its class.
        function: does it, as "module:function" of the worker.
        operation: the route that waits for it, which is the client's method as well.
    """

    input: type[RpcInput]
    result: type[Versioned]
    function: str
    operation: str


TASKS: Mapping[str, Task] = {
    "import": Task(ImportInput, ImportResult, "worker.handlers.rpc:import_embedding", "import_concept"),
    "blend": Task(BlendInput, BlendResult, "worker.handlers.rpc:blend_embeddings", "blend_concepts"),
    "export": Task(ExportInput, ExportResult, "worker.handlers.rpc:export_embedding", "read_embedding"),
    "neighbours": Task(NeighboursInput, NeighboursResult, "worker.handlers.rpc:find_neighbours", "read_neighbours"),
    "inspect": Task(InspectInput, InspectResult, "worker.handlers.rpc:inspect_pictures", "create_concept"),
}
"""The tasks by name: a line here puts one under the tests' laws."""


def task_of(rpc: RpcInput) -> str:
    """The name of an input's task."""
    return next(name for name, task in TASKS.items() if isinstance(rpc, task.input))


def _concept_fields(values: Json) -> Json:
    concept = values["concept"]
    return {name: concept[name] for name in ("name", "class_word", "learnable_property")}
