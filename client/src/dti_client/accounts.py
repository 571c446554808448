"""Keys, the audit log, usage and webhooks, as dataclasses; all other responses are in models."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal


@dataclass(frozen=True)
class KeyQuotas:
    """Quotas of a key; None for the service's quota, 0 for no limit."""

    requests_per_minute: int | None
    unfinished_jobs: int | None
    device_s_per_day: int | None
    stored_bytes: int | None


@dataclass(frozen=True)
class Key:
    """An API key, without its secret."""

    id: str
    owner: str
    name: str
    prefix: str
    scopes: list[str]
    quotas: KeyQuotas
    safety: str | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True)
class MintedKey:
    """A new key and its secret, which is shown only here."""

    key: Key
    secret: str


@dataclass(frozen=True)
class AuditEntry:
    """An act on keys, webhooks, data or retention, with its caller; `key` is None without a key in the table."""

    id: str
    action: str
    subject: str
    details: dict[str, Any]
    owner: str
    key: str | None
    request_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class Limits:
    """The limits of the caller; None for no limit."""

    requests_per_minute: int | None
    unfinished_jobs: int | None
    device_s_per_day: int | None
    stored_bytes: int | None


@dataclass(frozen=True)
class Usage:
    """An owner's usage: of today (UTC), and unfinished jobs and stored bytes now."""

    owner: str
    day: date
    device_s: float
    jobs: int
    pictures: int
    unfinished_jobs: int
    stored_bytes: int
    limits: Limits


@dataclass(frozen=True)
class Webhook:
    """A webhook; with the reason, where the service has disabled it."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class WebhookAndSecret:
    """A new webhook and its secret."""

    webhook: Webhook
    secret: str


@dataclass(frozen=True)
class WebhookSecret:
    """A secret, and until when deliveries are also signed with the previous one."""

    secret: str
    old_secret_until: datetime | None


@dataclass(frozen=True)
class Delivery:
    """A delivery to a webhook, with the result of its last attempt."""

    id: str
    type: str
    job: str | None
    url: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    next_attempt_at: datetime | None
    attempted_at: datetime | None
    delivered_at: datetime | None
    response_status: int | None
    response: str | None
    error: str | None
    created_at: datetime
