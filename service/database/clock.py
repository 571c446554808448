"""The service's one clock: that of the database, which every process shares.

A rule asks its transaction for the time, so that no caller has to pass it. The clocks of machines differ; a lease that
one of them writes and another judges would be lost or kept by their difference. The time is read once per transaction:
all rows that a transaction writes agree, as with `now()` in PostgreSQL.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.orm import Session

Clock = Callable[[], datetime]

MAX_SKEW_S = 2.0
"""A larger difference between a machine's clock and the database's is reported: signatures and signed URLs depend on
the machine's."""

_CLOCK = "dti_clock"
_NOW = "dti_now"

_SQLITE_NOW = text("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')")
# Not now(): that is the beginning of the transaction, which may have waited for locks since.
_POSTGRESQL_NOW = text("SELECT clock_timestamp()")


def utc_now() -> datetime:
    """The time of this machine, aware, in UTC."""
    return datetime.now(UTC)


def attach(session: Session, clock: Clock | None) -> None:
    """Have `now` read a clock for a session; None is the database's."""
    session.info[_CLOCK] = clock


def now(session: Session) -> datetime:
    """The time of a session's transaction, in UTC: the same from its first call to the transaction's end."""
    moment = session.info.get(_NOW)
    if not isinstance(moment, datetime):
        clock = session.info[_CLOCK]
        moment = session.info[_NOW] = clock() if clock is not None else _database_now(session)
    return moment


def skew_s(session: Session) -> float:
    """Seconds by which this machine's clock is ahead of the database's; negative where it is behind."""
    return (utc_now() - _database_now(session)).total_seconds()


def _database_now(session: Session) -> datetime:
    # Beside the session, which would flush rows that are not complete yet.
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        return datetime.fromisoformat(connection.execute(_SQLITE_NOW).scalar_one()).replace(tzinfo=UTC)
    moment: datetime = connection.execute(_POSTGRESQL_NOW).scalar_one()
    return moment.astimezone(UTC)
