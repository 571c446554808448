"""The database: engines, short transactions, and actions after a commit. It knows no table and no rule.

Two verbs: `reading` and `writing`. On SQLite a writing transaction begins with BEGIN IMMEDIATE: one that reads before
it writes would lose updates, or fail at once, beside another process that does so.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from service.database.clock import Clock, attach
from service.errors import DatabaseUnavailableError

BUSY_TIMEOUT_MS = 5_000
"""How long an SQLite writer waits for another one."""

CONNECT_TIMEOUT_S = 5

LOCK_TIMEOUT_S = 3
"""How long a PostgreSQL statement waits for a row that another transaction has locked."""

STATEMENT_TIMEOUT_S = 30
"""Longer than any statement of the service takes; maintenance reads large tables in batches."""

IDLE_IN_TRANSACTION_TIMEOUT_S = 10
"""PostgreSQL ends the transaction of a process that stopped within it, which frees the rows that it locked."""

POOL_SIZE = 5
POOL_OVERFLOW = 20
POOL_TIMEOUT_S = 5
"""Connections of one process that are kept, those beyond, and how long a caller waits for one."""

_POSTGRESQL = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "options": f"-c lock_timeout={LOCK_TIMEOUT_S}s -c statement_timeout={STATEMENT_TIMEOUT_S}s "
    f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_TIMEOUT_S}s",
    # A database that has vanished without closing its connections is noticed within 10 s.
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Parameters of libpq."""

_LOCK_NOT_AVAILABLE = "55P03"
_IDLE_IN_TRANSACTION = "25P03"
"""PostgreSQL's code for a connection that it closed after IDLE_IN_TRANSACTION_TIMEOUT_S."""

_READ_ONLY = "25006"
"""PostgreSQL's code for a write on a standby, as after a failover, or on a database that was set to read-only."""

_UNAVAILABLE = frozenset({_IDLE_IN_TRANSACTION, _READ_ONLY})

_AFTER_COMMIT = "dti_after_commit"
_KEPT = "dti_kept"

T = TypeVar("T")


class Database:
    """A database; thread-safe, not to be used across a fork.

    Args:
        url: SQLAlchemy's, or plain `postgres://`.
        clock: tells the time to all transactions; None is the database's own, see `service.database.clock`.
    """

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        self.url = address(url)
        self.clock = clock
        self.engine = _engine(self.url)
        self._kept: dict[type, object] = {}
        self._reader = self.engine.execution_options(postgresql_readonly=True)
        self._writer = self.engine.execution_options(sqlite_begin="IMMEDIATE")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A short read-only transaction; loaded rows stay readable after it.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        with _translated(), self._session(self._reader) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction: committed at the end, or rolled back by an error.

        Actions of `after_commit` run after it, outside the transaction.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        with _translated(), self._session(self._writer) as session:
            yield session
            session.commit()
        for action in session.info.get(_AFTER_COMMIT, ()):
            action()

    def with_clock(self, clock: Clock) -> "Database":
        """The same database and connections with another clock."""
        seen = copy.copy(self)
        seen.clock = clock
        return seen

    def check(self) -> None:
        """Check that the database answers.

        Raises:
            DatabaseUnavailableError: it does not.
        """
        with self.reading() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _session(self, engine: Engine) -> Session:
        session = Session(engine, expire_on_commit=False)
        attach(session, self.clock)
        session.info[_KEPT] = self._kept
        return session


def after_commit(session: Session, action: Callable[[], object]) -> None:
    """Register an action to run after the commit; a rollback drops it."""
    session.info.setdefault(_AFTER_COMMIT, []).append(action)


def kept(session: Session, kind: type[T]) -> T:
    """The object of a class, such as a cache, that this process keeps beside the database; made at the first call."""
    found = session.info[_KEPT].setdefault(kind, kind())
    if not isinstance(found, kind):
        raise TypeError(f"{found!r} is no {kind.__name__}.")
    return found


def address(url: str) -> URL:
    """The URL of a database with the driver used here; plain `postgres://` is accepted."""
    parsed = make_url(url)
    if parsed.drivername in {"postgres", "postgresql"}:
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def _engine(url: URL) -> Engine:
    """An engine without parameter values in its errors, which are logged: a value may be a secret."""
    if url.get_backend_name() != "sqlite":
        return create_engine(
            url,
            pool_pre_ping=True,
            pool_size=POOL_SIZE,
            max_overflow=POOL_OVERFLOW,
            pool_timeout=POOL_TIMEOUT_S,
            connect_args=_POSTGRESQL,
            hide_parameters=True,
        )
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Configure a connection, and take BEGIN over from the driver, which sends it only at the first write."""
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
        raise DatabaseUnavailableError(_reason(error)) from error
    except DBAPIError as error:
        # Other errors are faults of a statement, except where the database has closed the connection or cannot write.
        if error.connection_invalidated or getattr(error.orig, "sqlstate", None) in _UNAVAILABLE:
            raise DatabaseUnavailableError(_reason(error)) from error
        raise


def _reason(error: Exception) -> str:
    """The message of an unavailable database."""
    if getattr(getattr(error, "orig", None), "sqlstate", None) == _LOCK_NOT_AVAILABLE:
        return f"Another transaction has held a lock for {LOCK_TIMEOUT_S} s. Try again in a moment."
    if "unable to open database file" in str(getattr(error, "orig", "")):
        return (
            "The database's file cannot be opened: its folder is missing, or closed to this user. "
            "Start `dti serve` once, or set DTI_HOME to its folder."
        )
    return "The database does not answer. Try again in a moment."
