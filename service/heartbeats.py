"""Heartbeats of processes that are no workers, such as the maintenance: the time when each was last seen."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import ProcessHeartbeat

MAINTENANCE = "maintenance"

SILENT_S = 30.0
"""Seconds without a heartbeat after which a process counts as stopped."""


def beat(session: Session, name: str) -> None:
    """Record that a process is alive."""
    session.merge(ProcessHeartbeat(name=name, seen_at=now(session)))


def seen_at(session: Session, name: str) -> datetime | None:
    """When a process was last seen; None if it never was."""
    return session.scalars(select(ProcessHeartbeat.seen_at).where(ProcessHeartbeat.name == name)).one_or_none()


def age_s(session: Session, name: str) -> float | None:
    """Seconds since a process was last seen; None if it never was."""
    seen = seen_at(session, name)
    return None if seen is None else (now(session) - seen).total_seconds()
