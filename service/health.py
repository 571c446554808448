"""Readiness: the state of the parts that requests need, and of those that jobs need.

Requests need a database of the right schema that can be written, and the object store: without them a process is not
ready. Jobs need maintenance and workers: without them requests are answered, and jobs wait.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text
from sqlalchemy.orm import Session

from service import heartbeats, workers
from service.context import Service
from service.database import schema
from service.errors import ObjectMissingError, UnavailableError

MaintenanceState = Literal["up", "silent", "never_seen"]


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """The state of one process and of the service.

    Args:
        down: the parts without which requests cannot be answered: "database", "schema", "storage", "draining".
        revision: of the database's schema; None where it could not be read.
        maintenance: whether maintenance was seen lately; None where that could not be read.
        workers: active workers by the models that they serve, every model of the catalogue included.
    """

    down: tuple[str, ...]
    revision: str | None
    maintenance: MaintenanceState | None
    workers: Mapping[str, int]


def readiness(service: Service, *, draining: bool) -> Readiness:
    """The readiness of a process; a draining one is about to stop."""
    found = _Found()
    down = [
        name
        for name, check in (("database", lambda: found.read(service)), ("storage", service.storage.check))
        if not _is_up(check)
    ]
    if "database" not in down and not schema.is_readable(found.revision):
        down.append("schema")
    if draining:
        down.append("draining")
    return Readiness(down=tuple(down), revision=found.revision, maintenance=found.maintenance, workers=found.workers)


def serving(session: Session, models: Iterable[str]) -> dict[str, int]:
    """The number of active workers that serve each model."""
    active = workers.active(session)
    return {model: sum(workers.serves(worker, model) for worker in active) for model in models}


class _Found:
    """The part of the readiness that is in the database."""

    def __init__(self) -> None:
        self.revision: str | None = None
        self.maintenance: MaintenanceState | None = None
        self.workers: Mapping[str, int] = {}

    def read(self, service: Service) -> None:
        """Read it in a transaction that could write.

        Raises:
            DatabaseUnavailableError: the database does not answer, or is read-only.
        """
        with service.database.writing() as session:
            self.revision = schema.revision_of(session)
            if not schema.is_readable(self.revision):
                return
            # An update of no row needs the right to write, and changes nothing.
            session.execute(text("UPDATE process_heartbeats SET seen_at = seen_at WHERE name = ''"))
            self.maintenance = _maintenance(heartbeats.age_s(session, heartbeats.MAINTENANCE))
            self.workers = serving(session, service.catalogue)


def _maintenance(age_s: float | None) -> MaintenanceState:
    if age_s is None:
        return "never_seen"
    return "up" if age_s <= heartbeats.SILENT_S else "silent"


def _is_up(check: Callable[[], None]) -> bool:
    try:
        check()
    except (UnavailableError, ObjectMissingError):
        return False
    return True
