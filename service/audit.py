"""The audit log: keys, webhooks, deletions and retention, each with its time, caller and subject.

An entry is written in the transaction of its act: there is none without the other. It holds no secret, and of an
address only the host, since paths of webhooks are often secrets.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from service import correlation
from service.database.clock import now
from service.database.ids import new_id
from service.database.paging import Page, keyset
from service.database.tables import LOCAL_OWNER_ID, AuditAction, AuditEntry, Owner
from service.settings import Retention

_RETENTION = "retention"
"""The subject of changed retention."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """The caller of an act: an owner, by one of its keys; the owner of this installation without one."""

    owner_id: str = LOCAL_OWNER_ID
    key_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Restrictions of a list; None is none.

    Args:
        owner: name of the caller's owner.
    """

    owner: str | None = None
    action: AuditAction | None = None


def record(
    session: Session, actor: Actor, action: AuditAction, subject: str, details: Mapping[str, object] | None = None
) -> None:
    """Record an act on a subject, by its id, in the act's transaction; details are JSON values without secrets."""
    session.add(
        AuditEntry(
            id=new_id("aud"),
            owner_id=actor.owner_id,
            key_id=actor.key_id,
            action=action,
            subject=subject,
            details=dict(details or {}),
            request_id=correlation.request_id(),
            created_at=now(session),
        )
    )


def record_retention(session: Session, retention: Retention) -> None:
    """Record the retention that deletions follow from now on, if it is not that of its newest entry."""
    newest = select(AuditEntry.details).where(AuditEntry.action == "retention.changed").order_by(AuditEntry.id.desc())
    details = asdict(retention)
    if session.scalars(newest.limit(1)).first() != details:
        record(session, Actor(), "retention.changed", _RETENTION, details)


def page(session: Session, filters: Filters, cursor: str | None, limit: int) -> Page[AuditEntry]:
    """Entries of all callers, newest first.

    Raises:
        InvalidInputError: the cursor is invalid.
    """
    query = select(AuditEntry)
    if filters.owner is not None:
        query = query.join(Owner, Owner.id == AuditEntry.owner_id).where(Owner.name == filters.owner)
    if filters.action is not None:
        query = query.where(AuditEntry.action == filters.action)
    return keyset(session, query, AuditEntry.id, "aud", cursor=cursor, limit=limit)


def owner_names(session: Session, ids: Collection[str]) -> dict[str, str]:
    """The names of owners by their ids."""
    return {row.id: row.name for row in session.scalars(select(Owner).where(Owner.id.in_(ids)))}
