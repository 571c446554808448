"""The worker registry: heartbeats of workers, their loaded models and rates, and the cards of models."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, TypedDict, cast

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import ModelCard, Worker

SILENT_S = 30.0
"""Seconds without a heartbeat after which a worker no longer counts as active."""

_FORGOTTEN = timedelta(days=1)


CARD_VERSION = 3
"""Version of the cards' members; those of version 1 had none."""


class EncoderCard(TypedDict):
    """Facts about a text encoder of a model; `tokenizer` is None where it is too large to be published."""

    width: int
    token_limit: int
    frame_tokens: int
    lead: str
    magnitude: float
    zero_rows: list[int]
    tokenizer: str | None
    chunk_tokens: int | None
    comma: int | None


class Card(TypedDict):
    """Facts about a model, found by loading it: see `dti.families.base.Family.card`."""

    version: int
    fingerprint: str
    takes_guidance: bool
    encoders: dict[str, EncoderCard]


@dataclass(frozen=True, kw_only=True)
class EngineLoad:
    """The work of one engine since the start of its worker.

    Args:
        steps: one for each picture or training in a batch.
        batches: steps of whole batches.
        seconds: that they took.
    """

    steps: int = 0
    batches: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class ModelLoad:
    """The work on one model since the start of its worker.

    Args:
        loads: how often the model was loaded.
        rendering: denoising steps.
        training: updates.
    """

    loads: int = 0
    rendering: EngineLoad = field(default_factory=EngineLoad)
    training: EngineLoad = field(default_factory=EngineLoad)


@dataclass(frozen=True, kw_only=True)
class WorkerLoad:
    """The load of a worker, for metrics.

    Args:
        device_bytes: memory of the device that is in use; 0 on a CPU.
        device_limit_bytes: memory of the device; 0 on a CPU.
        models: the work by model.
    """

    device_bytes: int = 0
    device_limit_bytes: int = 0
    models: Mapping[str, ModelLoad] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return {**asdict(self), "models": {name: asdict(load) for name, load in self.models.items()}}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "WorkerLoad":
        """The inverse of `to_json`; what a worker of another version did not report is 0."""
        models = {
            name: ModelLoad(
                loads=load["loads"], rendering=EngineLoad(**load["rendering"]), training=EngineLoad(**load["training"])
            )
            for name, load in values.get("models", {}).items()
        }
        return cls(
            device_bytes=values.get("device_bytes", 0),
            device_limit_bytes=values.get("device_limit_bytes", 0),
            models=models,
        )


@dataclass(frozen=True, kw_only=True)
class Presence:
    """The state of a worker in a heartbeat.

    Args:
        worker_id: unique among all workers.
        device: "cpu" or the name of a GPU.
        models: the loaded ones.
        served_models: those whose jobs it claims.
        load: its work so far, for metrics.
        training_steps: updates since its start.
        training_s: seconds that they took.
        picture_steps: denoising steps since its start.
        picture_s: seconds that they took.
        stalled_s: seconds since its loop last moved; 0 without work.
    """

    worker_id: str
    device: str
    models: Sequence[str]
    served_models: Sequence[str] = ()
    load: WorkerLoad = field(default_factory=WorkerLoad)
    training_steps: int = 0
    training_s: float = 0.0
    picture_steps: int = 0
    picture_s: float = 0.0
    stalled_s: float = 0.0


def heartbeat(session: Session, presence: Presence) -> None:
    """Record a worker's heartbeat; rows of workers without one for a day are deleted."""
    values = {name: value for name, value in vars(presence).items() if name != "load"}
    lists = {"models": list(presence.models), "served_models": list(presence.served_models)}
    worker = Worker(**{**values, **lists}, gauges=presence.load.to_json(), last_heartbeat_at=now(session))
    session.merge(worker)
    session.execute(delete(Worker).where(Worker.last_heartbeat_at < now(session) - _FORGOTTEN))


def unregister(session: Session, worker_id: str) -> None:
    """Delete the row of a stopped worker."""
    session.execute(delete(Worker).where(Worker.worker_id == worker_id))


def active(session: Session) -> Sequence[Worker]:
    """The active workers."""
    query = (
        select(Worker)
        .where(Worker.last_heartbeat_at >= now(session) - timedelta(seconds=SILENT_S))
        .order_by(Worker.worker_id)
    )
    return session.scalars(query).all()


def loaded_models(session: Session) -> set[str]:
    """The models that an active worker has loaded."""
    return {model for worker in active(session) for model in worker.models}


def serves(worker: Worker, model: str) -> bool:
    """Whether a worker claims jobs of a model."""
    return model in worker.served_models


def publish_card(session: Session, model: str, card: Mapping[str, object]) -> None:
    """Store a model's card, made by loading it; its members are those of `Card`."""
    session.merge(ModelCard(name=model, card={**card, "version": CARD_VERSION}, published_at=now(session)))


def takes_guidance(session: Session, model: str) -> bool:
    """Whether some guidance scale has an effect with a model; True as long as its card is unknown."""
    card = session.scalars(select(ModelCard.card).where(ModelCard.name == model)).one_or_none()
    return card is None or not _is_present(card) or cast("Card", card)["takes_guidance"]


def cards(session: Session) -> dict[str, Card]:
    """The cards of all models that a worker of this version has ever loaded, by name."""
    return {row.name: cast("Card", row.card) for row in session.scalars(select(ModelCard)) if _is_present(row.card)}


def _is_present(card: Mapping[str, object]) -> bool:
    """Whether a card has the members of `Card`; one of another version is replaced when its model is next loaded."""
    return card.get("version") == CARD_VERSION
