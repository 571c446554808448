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

    url: Annotated[Url | None, Field(description="The new URL; pending messages go there, too.")] = None
    events: Annotated[Events | None, Field(description="All events to be subscribed to.")] = None
    enabled: Annotated[bool | None, Field(description="Whether messages are sent.")] = None

    def params(self) -> WebhookChange:
        """The request as the service takes it."""
        return WebhookChange(url=self.url, events=self.events, enabled=self.enabled)


class Webhook(ResponseModel):
    """A webhook; with the reason, where the service has disabled it."""

    id: str
    """The webhook's id."""
    url: str
    """Where its messages go."""
    events: list[str]
    """The events that it is subscribed to."""
    enabled: bool
    """Whether messages are sent."""
    disabled_reason: str | None
    """Why the service has disabled it; null if it has not."""
    failing_since: datetime | None
    """Since when every delivery has failed; null if the last one succeeded."""
    created_at: datetime
    """When it was created."""
    updated_at: datetime
    """When it was last changed."""


class WebhookPage(ResponseModel):
    """A page of webhooks, newest first; `next` is the cursor of the next page."""

    items: list[Webhook]
    """The items of this page."""
    next: str | None
    """The cursor of the next page; null at the end."""


class WebhookAndSecret(ResponseModel):
    """A new webhook and its secret."""

    webhook: Webhook
    """The webhook."""
    secret: str
    """The secret that signs its messages, `whsec_…`."""


class WebhookSecret(ResponseModel):
    """A secret, and until when deliveries are also signed with the previous one."""

    secret: str
    """The secret that signs messages, `whsec_…`."""
    old_secret_until: datetime | None
    """Until when the previous secret signs as well; null if there is none."""


class Delivery(ResponseModel):
    """A delivery to a webhook, with the result of its last attempt; `id` is its `webhook-id`."""

    id: str
    """The id of the message."""
    type: str
    """The event."""
    job: str | None
    """The id of the job; null for a test."""
    url: str
    """Where it is sent."""
    status: DeliveryStatus
    """Its state."""
    attempts: int
    """Number of attempts so far."""
    next_attempt_at: datetime | None
    """When it is sent next; null for never."""
    attempted_at: datetime | None
    """The last attempt; null if there was none."""
    delivered_at: datetime | None
    """When it was accepted; null if it was not."""
    response_status: int | None
    """The HTTP status of the last response; null if there was none."""
    response: str | None
    """The beginning of the last response's body; null if there was none."""
    error: str | None
    """Why the last attempt failed; null if it did not."""
    created_at: datetime
    """When the event happened."""


class DeliveryPage(ResponseModel):
    """A page of deliveries, newest first; `next` is the cursor of the next page."""

    items: list[Delivery]
    """The items of this page."""
    next: str | None
    """The cursor of the next page; null at the end."""
