"""What workers say of themselves: that they are there, what they have loaded, what a model turned out to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import ModelCard, Worker

SILENT_S = 30.0
"""A worker that said nothing for so long does not count as there."""

_FORGOTTEN = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Presence:
    """A worker now.

    Args:
        worker_id: names it among all workers.
        device: "cpu" or a device's name.
        models: those that are loaded.
        training_steps: updates of a training since it started, and below how long they took together.
        training_s: seconds.
        picture_steps: denoising steps of a picture since it started, and below how long they took together.
        picture_s: seconds.
    """

    worker_id: str
    device: str
    models: Sequence[str]
    training_steps: int = 0
    training_s: float = 0.0
    picture_steps: int = 0
    picture_s: float = 0.0


def heartbeat(session: Session, presence: Presence) -> None:
    """Note that a worker is there; rows of workers that are long gone are removed."""
    worker = Worker(**{**vars(presence), "models": list(presence.models)}, last_heartbeat_at=now(session))
    session.merge(worker)
    session.execute(delete(Worker).where(Worker.last_heartbeat_at < now(session) - _FORGOTTEN))


def unregister(session: Session, worker_id: str) -> None:
    """Note that a worker has stopped."""
    session.execute(delete(Worker).where(Worker.worker_id == worker_id))


def active(session: Session) -> Sequence[Worker]:
    """The workers that are there."""
    query = (
        select(Worker)
        .where(Worker.last_heartbeat_at >= now(session) - timedelta(seconds=SILENT_S))
        .order_by(Worker.worker_id)
    )
    return session.scalars(query).all()


def loaded_models(session: Session) -> set[str]:
    """The models that some worker has loaded."""
    return {model for worker in active(session) for model in worker.models}


def publish_card(session: Session, model: str, card: Mapping[str, Any]) -> None:
    """Keep what a worker found out about a model: {"fingerprint", "encoders": {name: {"width", "token_limit", …}}}."""
    session.merge(ModelCard(name=model, card=dict(card), published_at=now(session)))


def cards(session: Session) -> dict[str, dict[str, Any]]:
    """What is known about models, by name; a model that no worker has loaded yet is not among them."""
    return {row.name: row.card for row in session.scalars(select(ModelCard))}
