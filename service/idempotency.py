"""Requests that may be sent again: what the first of several equal ones made, kept for a day under the caller's key.

A key is reserved before the work and completed in the transaction that makes the thing, so that both are there or
neither. A reservation that nobody completes ends after a minute: whoever comes then may begin anew, and the first one,
should it still live, can complete nothing any more. What a request said, and how it is answered, is not known here.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy
from sqlalchemy import CursorResult, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import IdempotencyKey
from service.errors import IdempotencyInFlightError, IdempotencyKeyReusedError

RETENTION = timedelta(hours=24)
LEASE = timedelta(seconds=60)

_SLOWEST = timedelta(hours=1)
"""No request takes longer to be accepted. One that many pictures keep busy may outlast its lease, and is completed then
where nobody has taken over."""

_BATCH = 1000
"""Rows that one transaction sweeps."""


@dataclass(frozen=True)
class Reservation:
    """The right to complete a key; `token` tells it from an earlier or later one of the same key."""

    owner_id: str
    key: str
    token: str


@dataclass(frozen=True)
class StoredResponse:
    """What the first of several equal requests was answered with, and what it made."""

    status: int
    reference: str


def reserve(session: Session, owner_id: str, key: str, fingerprint: str) -> Reservation | StoredResponse:
    """Begin a request, or find out what it made the first time.

    Raises:
        IdempotencyKeyReusedError: the key stands for a request of other content.
        IdempotencyInFlightError: the first of the equal requests is still being accepted.
    """
    row = session.scalars(select(IdempotencyKey).filter_by(owner_id=owner_id, key=key).with_for_update()).one_or_none()
    if row is not None and row.expires_at > now(session):
        return _stored_response(row, fingerprint)
    if row is None:
        row = IdempotencyKey(owner_id=owner_id, key=key)
        session.add(row)
    row.fingerprint, row.token = fingerprint, secrets.token_hex(16)
    row.status = row.reference = None
    row.expires_at = now(session) + LEASE
    try:
        session.flush()
    except IntegrityError as error:
        # Somebody reserved it between our question and our answer.
        raise IdempotencyInFlightError from error
    return Reservation(owner_id, key, row.token)


def complete(session: Session, reservation: Reservation, response: StoredResponse) -> None:
    """Keep what a request made, in the transaction that makes it; and its status, should that change afterwards.

    Raises:
        IdempotencyInFlightError: the reservation has ended and another request began; this one must make nothing.
    """
    query = update(IdempotencyKey).filter_by(**vars(reservation))
    values = {"status": response.status, "reference": response.reference, "expires_at": now(session) + RETENTION}
    changed = session.execute(query.values(**values))
    if not isinstance(changed, CursorResult) or changed.rowcount == 0:
        raise IdempotencyInFlightError


def release(session: Session, reservation: Reservation) -> None:
    """Let go of a key whose request made nothing."""
    session.execute(
        sqlalchemy.delete(IdempotencyKey).filter_by(**vars(reservation)).where(IdempotencyKey.status.is_(None))
    )


def delete(session: Session, reservation: Reservation) -> None:
    """Let go of a key although its request made something: nothing that can be answered came of it."""
    session.execute(sqlalchemy.delete(IdempotencyKey).filter_by(**vars(reservation)))


def delete_expired(session: Session) -> None:
    """Forget some of what is kept for no longer, but no reservation that may still be completed."""
    over = or_(IdempotencyKey.status.is_not(None), IdempotencyKey.expires_at <= now(session) - _SLOWEST)
    expired = (
        select(IdempotencyKey)
        .where(IdempotencyKey.expires_at <= now(session), over)
        .order_by(IdempotencyKey.expires_at)
    )
    for row in session.scalars(expired.limit(_BATCH).with_for_update(skip_locked=True)).all():
        session.delete(row)


def _stored_response(row: IdempotencyKey, fingerprint: str) -> StoredResponse:
    if row.fingerprint != fingerprint:
        raise IdempotencyKeyReusedError(row.key)
    if row.status is None or row.reference is None:
        raise IdempotencyInFlightError
    return StoredResponse(row.status, row.reference)
