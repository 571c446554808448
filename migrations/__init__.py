"""The database's history: brings any database to today's tables. `service/database/tables.py` says what those are."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from service.database.engine import Database

_LOCK = 7_305_803
"""An arbitrary number, the key of this advisory lock in PostgreSQL."""

_DANGLING = "PRAGMA foreign_key_check"


def upgrade(url: str) -> None:
    """Upgrade a database; concurrent calls wait for each other.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    database = Database(url)
    if database.url.get_backend_name() == "sqlite":
        event.listen(database.engine, "connect", _let_tables_be_made_anew)
    try:
        with database.writing() as session:
            connection = session.connection()
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            command.upgrade(config(connection=connection), "head")
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
