"""Keyset pagination: every page costs the same, and new rows shift none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute, Session

from service.database.ids import Prefix, is_id
from service.database.tables import AuditEntry, Concept, Delivery, Image, Job, Key, Webhook
from service.errors import InvalidInputError

T = TypeVar("T", AuditEntry, Concept, Delivery, Image, Job, Key, Webhook)


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page of a list, newest first, and the cursor of the next one; None at the end."""

    items: Sequence[T]
    next: str | None


def keyset(
    session: Session,
    query: Select[T],
    ids: InstrumentedAttribute[str],
    kind: Prefix,
    *,
    cursor: str | None,
    limit: int,
) -> Page[T]:
    """The page of a query after a cursor.

    Raises:
        InvalidInputError: the cursor is invalid.
    """
    if cursor is not None:
        if not is_id(kind, cursor):
            raise InvalidInputError(
                "cursor", f"{cursor!r} is not a cursor of this list. Use `next` of the previous page."
            )
        query = query.where(ids < cursor)
    rows = session.scalars(query.order_by(ids.desc()).limit(limit + 1)).all()
    return Page(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


def keyset_ascending(
    session: Session, query: Select[T], column: InstrumentedAttribute[str], *, cursor: str | None, limit: int
) -> Page[T]:
    """The page of a query after a cursor, in the order of a column without equal values; the cursor is a value of it.

    The order is that of code points on both databases, whatever the locale of a PostgreSQL server.
    """
    ordered = column.collate("C" if session.get_bind().dialect.name == "postgresql" else "BINARY")
    if cursor is not None:
        query = query.where(ordered > cursor)
    rows = session.scalars(query.order_by(ordered).limit(limit + 1)).all()
    return Page(rows[:limit], getattr(rows[limit - 1], column.key) if len(rows) > limit else None)
