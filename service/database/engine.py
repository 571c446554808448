"""The database: engines, short transactions, and what happens after a commit. Knows no table and no rule.

Two verbs: `reading` and `writing`. On SQLite a writing transaction begins with BEGIN IMMEDIATE: a transaction that
starts by reading and then wants to write would lose updates or fail at once where two processes do so.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from service.database.clock import Clock, attach, utc_now
from service.errors import DatabaseUnavailableError

BUSY_TIMEOUT_MS = 10_000
"""How long an SQLite writer waits for the one before it."""

CONNECT_TIMEOUT_S = 5

_AFTER_COMMIT = "dti_after_commit"


class Database:
    """One database; safe to share between threads, not across a fork.

    Args:
        url: SQLAlchemy's, or plain `postgres://`.
        clock: tells the time to all transactions; see `service.database.clock`.
    """

    def __init__(self, url: str, clock: Clock = utc_now) -> None:
        self.url = address(url)
        self.clock = clock
        self.engine = _engine(self.url)
        self._reader = self.engine.execution_options(postgresql_readonly=True)
        self._writer = self.engine.execution_options(sqlite_begin="IMMEDIATE")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A short transaction that writes nothing; what it loaded stays readable after it.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        with _translated(), self._session(self._reader) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that is committed at the end, or rolled back when an error passes through.

        What was registered with `after_commit` runs then, outside the transaction.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        with _translated(), self._session(self._writer) as session:
            yield session
            session.commit()
        for action in session.info.get(_AFTER_COMMIT, ()):
            action()

    def with_clock(self, clock: Clock) -> "Database":
        """The same database and connections, told the time by another clock."""
        seen = copy.copy(self)
        seen.clock = clock
        return seen

    def check(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            DatabaseUnavailableError: there is none.
        """
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _session(self, engine: Engine) -> Session:
        session = Session(engine, expire_on_commit=False)
        attach(session, self.clock)
        return session


def after_commit(session: Session, action: Callable[[], object]) -> None:
    """Have something done once the transaction is committed; never where it is rolled back."""
    session.info.setdefault(_AFTER_COMMIT, []).append(action)


def address(url: str) -> URL:
    """A database's address with the driver that is used here; plain `postgres://` is understood."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _engine(url: URL) -> Engine:
    """Its errors hold no values: they are logged, and a value may be a secret."""
    if url.get_backend_name() != "sqlite":
        waiting = {"connect_timeout": CONNECT_TIMEOUT_S}
        return create_engine(url, pool_pre_ping=True, connect_args=waiting, hide_parameters=True)
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Leave BEGIN to us: the driver's own comes too late, at the first write."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = NORMAL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise DatabaseUnavailableError("The database does not answer. Try again in a moment.") from error
