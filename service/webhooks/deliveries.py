"""Deliveries of webhook messages: claimed by senders, retried on a schedule, given up, redelivered, deleted.

A claim gives a message to one sender for a minute; its outcome is recorded only while the claim holds. A message is
sent once if it succeeds, and again if its sender crashes (at least once).
"""

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, Subquery, func, select
from sqlalchemy.orm import Session

from service import counters
from service.database.clock import now
from service.database.paging import Page, keyset
from service.database.tables import Delivery, Webhook
from service.errors import NotFoundError
from service.webhooks.endpoints import DEFAULT, signing_secrets
from service.webhooks.outbox import default_id

LEASE = timedelta(seconds=60)
"""How long a claim holds; longer than any attempt takes."""

MAX_ATTEMPTS = 12
_FIRST_DELAY_S = 5.0
_GROWTH = 2.5
_JITTER = 0.2
"""Twelve attempts take 22 hours: each delay is two and a half times the previous one."""

DISABLE_AFTER = timedelta(hours=17)
DISABLE_AFTER_FAILURES = 10
"""A webhook is disabled after so many failed attempts in a row over at least DISABLE_AFTER. One message that always
fails is enough, even if the jitter shortens all its delays."""

RETENTION = timedelta(days=14)

_BATCH = 1000
_GONE = 410
"""The status by which a receiver unsubscribes."""


@dataclass(frozen=True, kw_only=True)
class ClaimedDelivery:
    """A claimed delivery, with all that a sender needs, independent of a session."""

    id: str
    webhook_id: str
    attempt: int
    claimed_at: datetime
    url: str
    body: bytes
    secrets: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of an attempt; `error` is the reason for a missing response."""

    status: int | None = None
    response: str | None = None
    error: str | None = None

    @property
    def delivered(self) -> bool:
        """Whether the receiver has accepted the message."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers

    @property
    def reason(self) -> str:
        """The reason of a failure."""
        return self.error or f"The response was {self.status}."


def any_due(session: Session) -> bool:
    """Whether a claim could find a delivery; a read, cheap enough to be polled."""
    due = (
        select(Delivery.id)
        .join(Webhook)
        .where(Delivery.status == "pending", Delivery.due_at <= now(session), Webhook.enabled)
    )
    return session.scalars(due.limit(1)).first() is not None


def claim(session: Session, limit: int) -> list[ClaimedDelivery]:
    """Claim due deliveries, in turns of the webhooks: a slow one delays no other."""
    due = _due(session)
    # The turns are ranked in a sub-query, since PostgreSQL allows no FOR UPDATE beside a window function. Both check
    # `due`: another sender may claim a row between the ranking and the lock.
    first_of_all = select(_in_turns(due, limit).c.id)
    rows = select(Delivery, Webhook).join(Webhook).where(due, Delivery.id.in_(first_of_all))
    return [
        _claimed(delivery, webhook, now(session))
        for delivery, webhook in session.execute(rows.with_for_update(of=Delivery, skip_locked=True))
    ]


def record(session: Session, claimed: ClaimedDelivery, outcome: Outcome) -> None:
    """Record the outcome of an attempt, unless its claim has expired."""
    # The webhook is locked before its deliveries, in the order of `endpoints.delete`: the other order could deadlock.
    locked = select(Webhook).where(Webhook.id == claimed.webhook_id).with_for_update(key_share=True)
    webhook = session.scalars(locked).one_or_none()
    query = select(Delivery).where(
        Delivery.id == claimed.id, Delivery.attempts == claimed.attempt, Delivery.status == "pending"
    )
    delivery = session.scalars(query.with_for_update()).one_or_none()
    if webhook is None or delivery is None:
        return
    delivery.attempted_at = now(session)
    delivery.response_status, delivery.response = outcome.status, outcome.response
    delivery.error = None if outcome.delivered else outcome.reason
    if outcome.delivered:
        delivery.status, delivery.due_at, delivery.delivered_at = "delivered", None, now(session)
        webhook.failures, webhook.failing_since = 0, None
    else:
        _schedule_retry(delivery, outcome, now(session))
        if delivery.status == "failed":
            reason = "gone" if outcome.status == _GONE else "attempts"
            counters.increment(session, "deliveries_failed", model="", kind="", code=reason)
        _note_failure(webhook, outcome, now(session))


def page(session: Session, owner_id: str, webhook_id: str, cursor: str | None, limit: int) -> Page[Delivery]:
    """The deliveries of a webhook, newest first; of "default": those to addresses in requests.

    Raises:
        NotFoundError: there is no such webhook.
        InvalidInputError: the cursor is invalid.
    """
    if webhook_id != DEFAULT:
        _check_owned(session, owner_id, webhook_id)
    query = select(Delivery).where(Delivery.webhook_id == _row_id(owner_id, webhook_id))
    return keyset(session, query, Delivery.id, "dlv", cursor=cursor, limit=limit)


def get(session: Session, owner_id: str, webhook_id: str, delivery_id: str) -> Delivery:
    """A delivery.

    Raises:
        NotFoundError: it does not exist, or belongs to another owner or webhook.
    """
    return _one(session, _owned(owner_id, webhook_id, delivery_id), delivery_id)


def redeliver(session: Session, owner_id: str, webhook_id: str, delivery_id: str) -> Delivery:
    """Send a message again, with a schedule of its own; it keeps its id, by which receivers recognise it.

    Raises:
        NotFoundError: there is no such delivery.
    """
    query = _owned(owner_id, webhook_id, delivery_id).with_for_update(of=Delivery)
    delivery = _one(session, query, delivery_id)
    delivery.attempts_before = delivery.attempts
    delivery.status, delivery.due_at, delivery.delivered_at = "pending", now(session), None
    return delivery


def delete_expired(session: Session) -> None:
    """Delete a batch of deliveries that are older than their retention."""
    old = select(Delivery).where(Delivery.created_at < now(session) - RETENTION)
    for row in session.scalars(old.order_by(Delivery.created_at).limit(_BATCH).with_for_update(skip_locked=True)):
        session.delete(row)


def retry_delay_s(attempts: int) -> float:
    """Seconds to wait after an attempt, with jitter: deliveries that fail together are not retried together."""
    return _FIRST_DELAY_S * _GROWTH ** (attempts - 1) * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - no secret


def _due(session: Session) -> ColumnElement[bool]:
    return (Delivery.status == "pending") & (Delivery.due_at <= now(session))


def _in_turns(due: ColumnElement[bool], limit: int) -> Subquery:
    turn = func.row_number().over(partition_by=Delivery.webhook_id, order_by=(Delivery.due_at, Delivery.id))
    ranked = (
        select(Delivery.id, Delivery.due_at, turn.label("turn")).join(Webhook).where(due, Webhook.enabled).subquery()
    )
    return select(ranked.c.id).order_by(ranked.c.turn, ranked.c.due_at, ranked.c.id).limit(limit).subquery()


def _claimed(delivery: Delivery, webhook: Webhook, moment: datetime) -> ClaimedDelivery:
    delivery.attempts += 1
    delivery.due_at = moment + LEASE
    delivery.url = webhook.url or delivery.url
    return ClaimedDelivery(
        id=delivery.id,
        webhook_id=webhook.id,
        attempt=delivery.attempts,
        claimed_at=moment,
        url=delivery.url,
        body=delivery.body.encode(),
        secrets=signing_secrets(webhook, moment),
    )


def _schedule_retry(delivery: Delivery, outcome: Outcome, moment: datetime) -> None:
    attempts = delivery.attempts - delivery.attempts_before
    if attempts >= MAX_ATTEMPTS or outcome.status == _GONE:
        delivery.status, delivery.due_at = "failed", None
    else:
        delivery.due_at = moment + timedelta(seconds=retry_delay_s(attempts))


def _note_failure(webhook: Webhook, outcome: Outcome, moment: datetime) -> None:
    """Count a failure, and disable a failing webhook; the default webhook, which has no address, is never disabled."""
    if webhook.url is None:
        return
    webhook.failures += 1
    webhook.failing_since = webhook.failing_since or moment
    lasts = webhook.failures >= DISABLE_AFTER_FAILURES and moment - webhook.failing_since >= DISABLE_AFTER
    if webhook.enabled and (lasts or outcome.status == _GONE):
        webhook.enabled = False
        webhook.disabled_reason = (
            f"{webhook.failures} attempts in a row failed since {webhook.failing_since:%Y-%m-%d %H:%M} UTC. "
            f"Last failure: {outcome.reason}"
        )


def _check_owned(session: Session, owner_id: str, webhook_id: str) -> None:
    owned = select(Webhook.id).where(Webhook.id == webhook_id, Webhook.owner_id == owner_id)
    if session.scalars(owned).one_or_none() is None:
        raise NotFoundError("webhook", webhook_id)


def _row_id(owner_id: str, webhook_id: str) -> str:
    return default_id(owner_id) if webhook_id == DEFAULT else webhook_id


def _owned(owner_id: str, webhook_id: str, delivery_id: str) -> Select[Delivery]:
    query = select(Delivery).join(Webhook).where(Webhook.owner_id == owner_id)
    return query.where(Delivery.id == delivery_id, Delivery.webhook_id == _row_id(owner_id, webhook_id))


def _one(session: Session, query: Select[Delivery], delivery_id: str) -> Delivery:
    delivery = session.scalars(query).one_or_none()
    if delivery is None:
        raise NotFoundError("delivery", delivery_id)
    return delivery
