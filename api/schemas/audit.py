"""Schemas of the audit log."""

from datetime import datetime

from api.schemas.responses import ResponseModel
from service.database.tables import AuditAction


class AuditEntry(ResponseModel):
    """An act on keys, webhooks, data or retention."""

    id: str
    """The entry's id."""
    action: AuditAction
    """The kind of the act."""
    subject: str
    """The id of the key, webhook, concept, picture, image or job; `retention` for the service's retention."""
    details: dict[str, object]
    """More about the act, without secrets; of a webhook's address only the host."""
    owner: str
    """The name of the caller's owner; `local` for the command line and the service itself."""
    key: str | None
    """The id of the caller's key; null for the admin key, the command line and the service itself."""
    request_id: str | None
    """The id of its request; null for the command line and the service itself."""
    created_at: datetime
    """When it happened."""


class AuditPage(ResponseModel):
    """A page of the audit log, newest first; `next` is the cursor of the next page."""

    items: list[AuditEntry]
    """The items of this page."""
    next: str | None
    """The cursor of the next page; null at the end."""
