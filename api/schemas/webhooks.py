"""Schemas of webhooks. A secret is shown only where it is made."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schema_fields import RequestModel, Text
from api.schemas.responses import ResponseModel
from service.database.tables import DeliveryStatus
from service.webhooks.endpoints import WebhookChange, WebhookParams
from service.webhooks.events import ENDS, EventType

Url = Annotated[Text, Field(description="An https:// URL of a public host, at port 443 or from 1024 up.")]
Events = Annotated[
    list[EventType],
    Field(min_length=1, max_length=4, description="Subscribed events; default: all ends of jobs."),
]


class WebhookRequest(RequestModel):
    """A subscription to the events of one job, or of all jobs from now on."""

    url: Url
    events: Events = Field(default_factory=lambda: list(ENDS))

    def params(self) -> WebhookParams:
        """The request as the service takes it."""
        return WebhookParams(url=self.url, events=self.events)


class WebhookChangeRequest(RequestModel):
    """Changes of a webhook; fields left out stay as they are."""

    url: Url | None = None
    events: Events | None = None
    enabled: bool | None = None

    def params(self) -> WebhookChange:
        """The request as the service takes it."""
        return WebhookChange(url=self.url, events=self.events, enabled=self.enabled)


class Webhook(ResponseModel):
    """A webhook; with the reason, where the service has disabled it."""

    id: str
    url: str
    events: list[str]
    enabled: bool
    disabled_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime


class WebhookPage(ResponseModel):
    """A page of webhooks, newest first; `next` is the cursor of the next page."""

    items: list[Webhook]
    next: str | None


class WebhookAndSecret(ResponseModel):
    """A new webhook and its secret."""

    webhook: Webhook
    secret: str


class WebhookSecret(ResponseModel):
    """A secret, and until when deliveries are also signed with the previous one."""

    secret: str
    old_secret_until: datetime | None


class Delivery(ResponseModel):
    """A delivery to a webhook, with the result of its last attempt; `id` is its `webhook-id`."""

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
    """A page of deliveries, newest first; `next` is the cursor of the next page."""

    items: list[Delivery]
    next: str | None
