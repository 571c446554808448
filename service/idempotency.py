"""Idempotency keys: the response to the first of several equal requests, stored for a day under the caller's key.

A key is reserved before the work and completed in the transaction that does it, so that both are committed or neither.
An incomplete reservation expires after LEASE: another request may then take over, and the first one can no longer
complete. Requests and responses are opaque here.
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
LEASE = timedelta(seconds=20)
"""After the death of an API process, so long do repetitions of its requests get 409 with Retry-After."""

_SLOWEST = timedelta(minutes=30)
"""The longest time to accept a request. One with many pictures may outlast its lease; it still completes if no other
request has taken over."""

_BATCH = 1000
"""Rows per transaction."""


@dataclass(frozen=True)
class Reservation:
    """The right to complete a key; `token` tells it from other reservations of the same key."""

    owner_id: str
    key: str
    token: str


@dataclass(frozen=True)
class StoredResponse:
    """The response to the first of several equal requests: its status, and the id of its result."""

    status: int
    reference: str


@dataclass(frozen=True)
class StoredReference:
    """The id of the result that is stored under a key."""

    owner_id: str
    key: str
    reference: str


def reserve(session: Session, owner_id: str, key: str, fingerprint: str) -> Reservation | StoredResponse:
    """Reserve a key, or return the stored response of an equal request.

    Raises:
        IdempotencyKeyReusedError: the key belongs to a request of other content.
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
        # Another request has inserted the key since the SELECT.
        raise IdempotencyInFlightError from error
    return Reservation(owner_id, key, row.token)


def complete(session: Session, reservation: Reservation, response: StoredResponse) -> None:
    """Store a response in the transaction of the request's work; again, if its status changes later.

    Raises:
        IdempotencyInFlightError: another request has taken over the key; this one must roll back.
    """
    query = update(IdempotencyKey).filter_by(**vars(reservation))
    values = {"status": response.status, "reference": response.reference, "expires_at": now(session) + RETENTION}
    # The token is a fence: the row has another one after a takeover, and no row is changed.
    changed = session.execute(query.values(**values))
    if not isinstance(changed, CursorResult) or changed.rowcount == 0:
        raise IdempotencyInFlightError


def release(session: Session, reservation: Reservation) -> None:
    """Free the key of a request without a result."""
    session.execute(
        sqlalchemy.delete(IdempotencyKey).filter_by(**vars(reservation)).where(IdempotencyKey.status.is_(None))
    )


def delete(session: Session, reservation: Reservation) -> None:
    """Free a key although it has a result: the request failed after its commit."""
    session.execute(sqlalchemy.delete(IdempotencyKey).filter_by(**vars(reservation)))


def delete_stored(session: Session, stored: StoredReference) -> None:
    """Free a key whose result has come to nothing, unless another request has reserved it since."""
    session.execute(sqlalchemy.delete(IdempotencyKey).filter_by(**vars(stored)))


def delete_expired(session: Session) -> None:
    """Delete a batch of expired keys, except reservations that may still be completed."""
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
