"""Webhooks over the wire: what clients ask for, and what they are told; a secret is told where it is made."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schema_fields import RequestModel, Text
from api.schemas.responses import ResponseModel
from service.database.tables import DeliveryStatus
from service.webhooks.events import ENDS, EventType

Url = Annotated[Text, Field(description="An https:// address of a public machine, at port 443 or one from 1024 up.")]
Events = Annotated[
    list[EventType],
    Field(min_length=1, max_length=4, description="What is told; by default how jobs end, whichever way."),
]


class WebhookRequest(RequestModel):
    """Whom to tell: of the one job, or, for a standing webhook, of all jobs from now on."""

    url: Url
    events: Events = Field(default_factory=lambda: list(ENDS))


class WebhookChangeRequest(RequestModel):
    """What shall be otherwise with a standing webhook; what is not said stays."""

    url: Url | None = None
    events: Events | None = None
    enabled: bool | None = None


class Webhook(ResponseModel):
    """A standing webhook; where the service has disabled it, with the reason."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class WebhookPage(ResponseModel):
    """Some webhooks, newest first; `next` is the cursor of what follows."""

    items: list[Webhook]
    next: str | None


class WebhookAndSecret(ResponseModel):
    """A webhook whose secret was just made."""

    webhook: Webhook
    secret: str


class WebhookSecret(ResponseModel):
    """A secret, and until when messages are signed with the one before it, too."""

    secret: str
    old_secret_until: datetime | None


class Delivery(ResponseModel):
    """A message to a webhook, with what came of the last attempt; `id` is its `webhook-id`."""

    id: str
    type: str
    job: str | None
    url: str
    status: DeliveryStatus
    attempts: int
    next_attempt_at: datetime | None
    attempted_at: datetime | None
    delivered_at: datetime | None
    response_status: int | None
    response: str | None
    error: str | None
    created_at: datetime


class DeliveryPage(ResponseModel):
    """Some messages, newest first; `next` is the cursor of what follows."""

    items: list[Delivery]
    next: str | None
