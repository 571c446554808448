"""What webhooks can tell, and the messages that tell it. A message names what happened; the rest is read from the API.

Source: Standard Webhooks, https://www.standardwebhooks.com, payload structure.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, get_args

from service.database.tables import Job

EventType = Literal["job.running", "job.succeeded", "job.failed", "job.cancelled"]

EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
ENDS: Sequence[EventType] = ("job.succeeded", "job.failed", "job.cancelled")
"""What is told where nobody says what to tell."""

TEST = "webhook.test"


def event_type(job: Job) -> str | None:
    """What a job's present state is called; None where nobody can be told of it."""
    found = f"job.{job.status}"
    return found if found in EVENT_TYPES else None


def payload(job: Job) -> dict[str, Any]:
    """What a message says of a job."""
    url = f"/v1/jobs/{job.id}"
    links = {"self": url, "events": f"{url}/events", "cancel": f"{url}/cancel"}
    return {"job": job.id, "kind": job.kind, "status": job.status, "links": links}


def message(type_: str, data: Mapping[str, Any], moment: datetime) -> str:
    """A message's body, which never changes again: it is sent and signed as it stands."""
    return json.dumps({"type": type_, "timestamp": moment.isoformat().replace("+00:00", "Z"), "data": data})
