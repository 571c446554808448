"""The database's history: brings any database to today's tables. `service/tables.py` says what those are."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from service.db import Database

_LOCK = 7_305_803
"""Any number that nobody else locks in PostgreSQL."""


def upgrade(url: str) -> None:
    """Bring a database up to date; two who do it at once wait for each other.

    Raises:
        DatabaseUnavailableError: the database does not answer.
    """
    database = Database(url)
    try:
        with database.writing() as session:
            connection = session.connection()
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            command.upgrade(config(connection=connection), "head")
    finally:
        database.close()


def config(**attributes: object) -> Config:
    """Alembic's configuration, without a file; the connection to work on is an attribute."""
    made = Config(attributes=attributes)
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.set_main_option("path_separator", "os")
    return made
