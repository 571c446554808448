"""The revision of the schema that this version of the service needs, and that of a database."""

import importlib.util
from functools import cache
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.orm import Session

from service.errors import SchemaRevisionError

_MIGRATIONS = "migrations"


@cache
def needed_revision() -> str:
    """The newest migration: the files of the package are named after their revisions. It is not imported."""
    spec = importlib.util.find_spec(_MIGRATIONS)
    folders = (spec and spec.submodule_search_locations) or ()
    return max(path.name.partition("_")[0] for folder in folders for path in Path(folder, "versions").glob("[0-9]*.py"))


def revision_of(session: Session) -> str | None:
    """The revision of a database; None where it was never migrated."""
    if not inspect(session.connection()).has_table("alembic_version"):
        return None
    found: str | None = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return found


def is_readable(revision: str | None) -> bool:
    """Whether this version of the service runs on a database of a revision.

    It runs on newer ones as well: a migration only adds what the version before does not need (docs/operations.md,
    "Upgrade").
    """
    return revision is not None and revision >= needed_revision()


def check(session: Session) -> None:
    """Check that this version of the service runs on a database.

    Raises:
        SchemaRevisionError: its schema is too old, or it was never migrated.
    """
    found = revision_of(session)
    if not is_readable(found):
        raise SchemaRevisionError(found, needed_revision())
