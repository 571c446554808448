"""The event stream of a job: parses server-sent events, keeps the job's newest state, resumes and gives up.

It decides when to resume a broken stream after its last event, and when to poll instead. It opens no connection and
does not sleep.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx

from dti_client.decoding import decode
from dti_client.errors import JobCancelledError, JobFailedError, WaitTimeoutError
from dti_client.models import Job, JobEvent, Progress

POLL_INTERVAL_S = 1.0
_READ_TIMEOUT_S = 30.0
"""The service sends a comment every ten seconds; a longer silence means that the connection is lost."""
_MAX_SILENT_STREAMS = 2
"""So many in a row without an event: a proxy buffers the stream."""


@dataclass
class JobStream:
    """The events of a job over one or several connections."""

    job_id: str
    timeout_s: float | None = None
    last_event_id: str = ""
    job: Job | None = None
    _silent_streams: int = 0
    _started_at: float = field(default_factory=time.monotonic)
    _fields: dict[str, str] = field(default_factory=dict)

    def request(self) -> dict[str, Any]:
        """The keyword arguments of httpx's `stream`."""
        headers = {"Accept": "text/event-stream"} | (
            {"Last-Event-ID": self.last_event_id} if self.last_event_id else {}
        )
        remaining_s = _READ_TIMEOUT_S if self.timeout_s is None else self.timeout_s - self._elapsed_s()
        timeout = httpx.Timeout(min(_READ_TIMEOUT_S, max(remaining_s, POLL_INTERVAL_S)))
        return {"url": f"/v1/jobs/{quote(self.job_id, safe='')}/events", "headers": headers, "timeout": timeout}

    def check_timeout(self) -> None:
        """Check the timeout.

        Raises:
            WaitTimeoutError: it is over.
        """
        if self.timeout_s is not None and self._elapsed_s() > self.timeout_s:
            raise WaitTimeoutError(f"{self.job_id} has not ended in {self.timeout_s:g} s. It goes on; wait again.")

    @property
    def usable(self) -> bool:
        """Whether to open another stream; otherwise the job is polled."""
        return self._silent_streams < _MAX_SILENT_STREAMS

    def opened(self) -> None:
        """Start a new connection; it counts as silent until its first event."""
        self._silent_streams += 1
        self._fields = {}

    def feed(self, line: str) -> Iterator[JobEvent]:
        """Parse a line of the stream; yields the event that it completes.

        Raises:
            WaitTimeoutError: the timeout is over.
        """
        self.check_timeout()
        if line:
            name, _, value = line.partition(":")
            # The name of a comment is empty.
            self._fields[name] = value.removeprefix(" ")
            return
        fields, self._fields = self._fields, {}
        if "data" in fields:
            self._silent_streams = 0
            self.last_event_id = fields.get("id", self.last_event_id)
            yield JobEvent(self.last_event_id, fields["event"], fields["data"])  # type: ignore[arg-type]  # the service's own

    def update(self, event: JobEvent) -> Job | None:
        """The job after an event; None while its state is unknown."""
        if event.event in {"status", "done"}:
            self.job = decode(Job, json.loads(event.data))
        elif event.event == "progress" and self.job is not None:
            self.job = replace(self.job, progress=decode(Progress, json.loads(event.data)))
        return self.job

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started_at


def check_succeeded(job: Job) -> Job:
    """The job itself.

    Raises:
        JobFailedError: it failed.
        JobCancelledError: it was cancelled.
    """
    if job.status == "succeeded":
        return job
    raise (JobCancelledError if job.status == "cancelled" else JobFailedError)(job)


def id_of(job: Job | str) -> str:
    """The id of a job, which may be given as the id itself."""
    return job.id if isinstance(job, Job) else job
