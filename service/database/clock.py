"""The service's one clock. A rule asks its transaction for the time, so that no caller has to pass it.

The time is read once per transaction: all rows that a transaction writes agree, as with `now()` in PostgreSQL.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from sqlalchemy.orm import Session

Clock = Callable[[], datetime]

_CLOCK = "dti_clock"
_NOW = "dti_now"


def utc_now() -> datetime:
    """The time of this machine, aware, in UTC."""
    return datetime.now(UTC)


def attach(session: Session, clock: Clock) -> None:
    """Have `now` read a clock for a session."""
    session.info[_CLOCK] = clock


def now(session: Session) -> datetime:
    """The time of a session's transaction, in UTC: the same from its first call to the transaction's end."""
    moment = session.info.get(_NOW)
    if not isinstance(moment, datetime):
        moment = session.info[_NOW] = session.info[_CLOCK]()
    return moment
