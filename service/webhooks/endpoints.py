"""Webhook endpoints: registered addresses, and each owner's default webhook, which signs for addresses in requests.

The default webhook is called "default", has no address, and is created at its first use.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.accounts import owners
from service.database.clock import now
from service.database.ids import new_id
from service.database.paging import Page, keyset
from service.database.tables import Delivery, Webhook
from service.errors import NotFoundError, TooManyWebhooksError
from service.settings import Settings
from service.webhooks import addresses
from service.webhooks.events import ENDS, EventType
from service.webhooks.outbox import default_id, enqueue_test
from service.webhooks.signatures import new_secret

DEFAULT = "default"

OLD_SECRET_KEPT = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class WebhookParams:
    """An address and its events: of one job, or of all jobs for a registered webhook."""

    url: str
    events: Sequence[EventType] = ENDS

    def to_json(self) -> dict[str, object]:
        """The value in a job's row."""
        return {"url": self.url, "events": list(self.events)}


@dataclass(frozen=True, kw_only=True)
class WebhookChange:
    """A change of a webhook; None keeps a field."""

    url: str | None = None
    events: Sequence[EventType] | None = None
    enabled: bool | None = None


def check(settings: Settings, webhook: WebhookParams | None) -> None:
    """Check the address of a webhook in a request.

    Raises:
        InvalidInputError: the address is not allowed.
    """
    if webhook is not None:
        addresses.read(webhook.url, settings.webhook_private_networks)


def create(settings: Settings, session: Session, owner_id: str, new: WebhookParams) -> Webhook:
    """Register a webhook with a secret of its own.

    Raises:
        InvalidInputError: the address is not allowed.
        TooManyWebhooksError: the owner has the allowed number of webhooks.
    """
    check(settings, new)
    owners.lock(session, owner_id)
    limit = settings.limits.webhooks
    standing = select(func.count()).select_from(Webhook).where(Webhook.owner_id == owner_id, Webhook.url.is_not(None))
    if session.scalars(standing).one() >= limit:
        raise TooManyWebhooksError(limit)
    return _add(session, new_id("whk"), owner_id, url=new.url, events=list(new.events))


def get(session: Session, owner_id: str, webhook_id: str) -> Webhook:
    """A registered webhook.

    Raises:
        NotFoundError: it does not exist, or belongs to another owner.
    """
    return _get(session, owner_id, webhook_id)


def get_default(session: Session, owner_id: str) -> Webhook:
    """The default webhook of an owner.

    Raises:
        NotFoundError: it has not been used yet.
    """
    webhook = session.get(Webhook, default_id(owner_id))
    if webhook is None:
        raise NotFoundError("webhook", DEFAULT)
    return webhook


def page(session: Session, owner_id: str, cursor: str | None, limit: int) -> Page[Webhook]:
    """An owner's registered webhooks, newest first.

    Raises:
        InvalidInputError: the cursor is invalid.
    """
    query = select(Webhook).where(Webhook.owner_id == owner_id, Webhook.url.is_not(None))
    return keyset(session, query, Webhook.id, "whk", cursor=cursor, limit=limit)


def update(settings: Settings, session: Session, owner_id: str, webhook_id: str, change: WebhookChange) -> Webhook:
    """Change a registered webhook. Pending deliveries go to its new address.

    Raises:
        NotFoundError: there is none.
        InvalidInputError: the address is not allowed.
    """
    given = {name: value for name, value in asdict(change).items() if value is not None}
    webhook = _get(session, owner_id, webhook_id, lock=True)
    if change.url is not None:
        addresses.read(change.url, settings.webhook_private_networks)
    for name, value in given.items():
        setattr(webhook, name, value)
    if change.enabled:
        webhook.disabled_reason = webhook.failing_since = None
        webhook.failures = 0
    webhook.updated_at = now(session)
    return webhook


def delete(session: Session, owner_id: str, webhook_id: str) -> Webhook:
    """Delete a registered webhook with its deliveries; returns what it was.

    Raises:
        NotFoundError: there is none.
    """
    webhook = _get(session, owner_id, webhook_id, lock=True)
    session.delete(webhook)
    return webhook


def rotate(session: Session, owner_id: str, webhook_id: str) -> Webhook:
    """Replace the secret of a webhook; messages are signed with the old one, too, for a day.

    Raises:
        NotFoundError: there is none.
    """
    default = webhook_id == DEFAULT
    webhook = ensure_default(session, owner_id) if default else _get(session, owner_id, webhook_id, lock=True)
    webhook.old_secret, webhook.old_secret_until = webhook.secret, now(session) + OLD_SECRET_KEPT
    webhook.secret, webhook.updated_at = new_secret(), now(session)
    return webhook


def send_test(session: Session, owner_id: str, webhook_id: str) -> Delivery:
    """Send a test message.

    Raises:
        NotFoundError: there is no such webhook.
    """
    webhook = _get(session, owner_id, webhook_id, lock=True)
    return enqueue_test(session, webhook, webhook.url or "")


def signing_secrets(webhook: Webhook, moment: datetime) -> tuple[str, ...]:
    """The secrets that sign a message: the present one, and the old one while it is valid."""
    if webhook.old_secret is None or webhook.old_secret_until is None or webhook.old_secret_until <= moment:
        return (webhook.secret,)
    return webhook.secret, webhook.old_secret


def ensure_default(session: Session, owner_id: str) -> Webhook:
    """The default webhook of an owner, created if it is missing."""
    owners.lock(session, owner_id)
    found = session.get(Webhook, default_id(owner_id))
    return found or _add(session, default_id(owner_id), owner_id, url=None, events=[])


def _add(session: Session, webhook_id: str, owner_id: str, **fields: object) -> Webhook:
    made = Webhook(
        id=webhook_id,
        owner_id=owner_id,
        secret=new_secret(),
        enabled=True,
        failures=0,
        created_at=now(session),
        updated_at=now(session),
        **fields,
    )
    session.add(made)
    session.flush()  # the row must exist before rows that refer to it
    return made


def _get(session: Session, owner_id: str, webhook_id: str, *, lock: bool = False) -> Webhook:
    query = select(Webhook).where(Webhook.id == webhook_id, Webhook.owner_id == owner_id, Webhook.url.is_not(None))
    if lock:
        # FOR NO KEY UPDATE: the outbox, which locks FOR KEY SHARE, does not wait for it.
        query = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    webhook = session.scalars(query).one_or_none()
    if webhook is None:
        raise NotFoundError("webhook", webhook_id)
    return webhook
