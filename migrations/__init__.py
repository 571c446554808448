"""The database's history: brings any database to today's tables. `service/database/tables.py` says what those are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from service.database.engine import Database
from service.errors import DowngradeImpossibleError

_LOCK = 7_305_803
"""An arbitrary number, the key of this advisory lock in PostgreSQL."""

_DANGLING = "PRAGMA foreign_key_check"


def upgrade(url: str, revision: str = "head") -> None:
    """Upgrade a database to a revision; concurrent calls wait for each other.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    with _migrating(url) as connection:
        command.upgrade(config(connection=connection), revision)


def downgrade(url: str) -> str:
    """Undo the newest migration of a database, with the data that only it can hold.

    Returns:
        The revision afterwards.

    Raises:
        DatabaseUnavailableError: the database does not answer.
        DowngradeImpossibleError: there is no migration, or its newest one cannot be undone.
    """
    with _migrating(url) as connection:
        settings = config(connection=connection)
        found = MigrationContext.configure(connection).get_current_revision()
        try:
            newest = ScriptDirectory.from_config(settings).get_revision(found) if found else None
        except CommandError as error:
            raise DowngradeImpossibleError(found) from error
        if newest is None or not hasattr(newest.module, "downgrade"):
            raise DowngradeImpossibleError(found)
        command.downgrade(settings, "-1")
        return str(newest.down_revision)


@contextmanager
def _migrating(url: str) -> Iterator[Connection]:
    """The connection of a migration, in one transaction; concurrent migrations wait for each other."""
    database = Database(url)
    if database.url.get_backend_name() == "sqlite":
        event.listen(database.engine, "connect", _let_tables_be_made_anew)
    try:
        with database.writing() as session:
            connection = session.connection()
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            yield connection
            if connection.dialect.name == "sqlite" and (broken := connection.exec_driver_sql(_DANGLING).all()):
                raise RuntimeError(f"A migration left rows that refer to nothing: {broken[:3]}")
    finally:
        database.close()


def config(**attributes: object) -> Config:
    """Alembic's configuration, without a file; the connection to work on is an attribute."""
    made = Config(attributes=attributes)
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("path_separator", "os")
    return made


def _let_tables_be_made_anew(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    """Disable SQLite's foreign keys during a migration; possible outside of transactions only.

    It changes a constraint by making the table anew, and dropping the old one would take along what refers to it.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = OFF")
    cursor.close()
