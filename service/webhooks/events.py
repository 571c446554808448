"""Webhook events and their messages. A message names the event; details are read from the API.

Source: Standard Webhooks, https://www.standardwebhooks.com, payload structure.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, get_args

from service.database.tables import Job

EventType = Literal["job.running", "job.succeeded", "job.failed", "job.cancelled"]

EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
ENDS: Sequence[EventType] = ("job.succeeded", "job.failed", "job.cancelled")
"""The default events of a subscription."""

TEST = "webhook.test"


def event_type(job: Job) -> str | None:
    """The event type of a job's present status; None if there is none."""
    found = f"job.{job.status}"
    return found if found in EVENT_TYPES else None


def payload(job: Job) -> dict[str, object]:
    """The data of a message about a job."""
    url = f"/v1/jobs/{job.id}"
    links = {"self": url, "events": f"{url}/events", "cancel": f"{url}/cancel"}
    return {"job": job.id, "kind": job.kind, "status": job.status, "request_id": job.request_id, "links": links}


def message(type_: str, data: Mapping[str, object], moment: datetime) -> str:
    """The body of a message; it is stored, signed and sent unchanged."""
    return json.dumps({"type": type_, "timestamp": moment.isoformat().replace("+00:00", "Z"), "data": data})
