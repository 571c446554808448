"""The event stream of jobs: one poller a process reads new events from the database for all subscriptions.

Subscriptions hold no transaction and no thread while they wait. An event is encoded for `text/event-stream` (SSE) here,
once, and shared by all subscriptions to its job.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api import serializers
from api.schemas import responses
from service import jobs
from service.context import Service
from service.database import tables
from service.errors import UnavailableError

_POLL_INTERVAL_S = 0.05
_RETRY_DELAY_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRef:
    """A job and its owner; `with_data` is False where only the names of its events matter."""

    owner_id: str
    job_id: str
    with_data: bool = True


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event of a job, encoded for a stream."""

    number: int
    name: tables.EventName
    encoded: bytes


@dataclass(slots=True)
class Subscription:
    """The events of one job after a position, for one listener."""

    position: int
    closed: bool = False
    _pending: deque[StreamEvent] = field(default_factory=deque)
    _available: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self, timeout_s: float) -> list[StreamEvent]:
        """The events since the last call, as soon as there are any; none at the timeout or once it is closed."""
        if not self._pending and not self.closed:
            try:
                await asyncio.wait_for(self._available.wait(), timeout_s)
            except TimeoutError:
                return []
        self._available.clear()
        events = list(self._pending)
        self._pending.clear()
        return events

    def push(self, events: Sequence[StreamEvent]) -> None:
        """Append the events after its position."""
        new = [event for event in events if event.number > self.position]
        if new:
            self.position = new[-1].number
            self._pending.extend(new)
            self._available.set()

    def close(self) -> None:
        """Mark the end of its events."""
        self.closed = True
        self._available.set()


class EventPoller:
    """Polls the database for new events while there are subscriptions, and not at all while there are none."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._subscriptions: dict[JobRef, list[Subscription]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._closing = False

    @contextmanager
    def subscribe(self, job: JobRef, position: int) -> Iterator[Subscription]:
        """A subscription to a job's events after a number; 0 for all of them."""
        subscription = Subscription(position)
        self._subscriptions.setdefault(job, []).append(subscription)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        try:
            yield subscription
        finally:
            self._subscriptions[job].remove(subscription)
            if not self._subscriptions[job]:
                del self._subscriptions[job]

    async def wait_until_done(self, job: JobRef, timeout_s: float) -> bool:
        """Wait for a job to end; whether it did within the timeout."""
        with self.subscribe(replace(job, with_data=False), 0) as subscription:
            try:
                async with asyncio.timeout(timeout_s):
                    while not subscription.closed:
                        if any(event.name == "done" for event in await subscription.next(timeout_s)):
                            return True
            except TimeoutError:
                pass
        return False

    def close(self) -> None:
        """Close all subscriptions; safe in a signal handler, since the poller does the work."""
        self._closing = True

    async def _poll(self) -> None:
        try:
            while self._subscriptions and not self._closing:
                await self._poll_once()
        finally:
            for subscription in list(chain.from_iterable(self._subscriptions.values())):
                subscription.close()

    async def _poll_once(self) -> None:
        positions = {
            job: min(subscription.position for subscription in subscriptions)
            for job, subscriptions in self._subscriptions.items()
        }
        try:
            events_by_job = await asyncio.to_thread(self._new_events, positions)
        except UnavailableError:
            _log.warning("The database does not answer. Event streams are paused until it does.")
            await asyncio.sleep(_RETRY_DELAY_S)
            return
        for job, events in events_by_job.items():
            for subscription in self._subscriptions.get(job, ()):
                if events is None:
                    subscription.close()
                else:
                    subscription.push(events)
        await asyncio.sleep(_POLL_INTERVAL_S)

    def _new_events(self, positions: Mapping[JobRef, int]) -> dict[JobRef, list[StreamEvent] | None]:
        """New events by job; None for a job that cannot be read any more."""
        with self._service.database.reading() as session:
            newest = jobs.last_events(session, {job.job_id for job in positions})
            return {
                job: self._events_or_none(session, job, position)
                for job, position in positions.items()
                if newest.get(job.job_id) != position
            }

    def _events_or_none(self, session: Session, job: JobRef, position: int) -> list[StreamEvent] | None:
        """New events of a job. A job that cannot be read ends its own subscriptions and no others."""
        try:
            return self._stream_events(session, job, position) or None
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - all subscriptions share the poller
            _log.warning("The events of %s can no longer be read: %s", job.job_id, type(error).__name__)
            return None

    def _stream_events(self, session: Session, job: JobRef, position: int) -> list[StreamEvent]:
        events = jobs.events_after(session, job.job_id, position)
        if not job.with_data:
            return [StreamEvent(event.number, event.name, b"") for event in events]
        row = jobs.get(session, job.owner_id, job.job_id)
        envelope = serializers.job(self._service, session, row, with_urls=True)
        return [StreamEvent(event.number, event.name, _encode(event, row, envelope)) for event in events]


def _encode(event: tables.Event, row: tables.Job, envelope: responses.Job) -> bytes:
    """An event in the text/event-stream format; a preview of a deleted image keeps its number and carries null."""
    lines = [f"id: {event.number}", f"event: {event.name}", f"data: {_data(event, row, envelope)}"]
    return ("\n".join(lines) + "\n\n").encode()


def _data(event: tables.Event, row: tables.Job, envelope: responses.Job) -> str:
    match event.name:
        case "progress":
            return json.dumps({**event.data, "queue_position": None, "workers": None})
        case "preview":
            images = (image for image in envelope.output.images if image.id == event.data["image"])
            return next((image.model_dump_json() for image in images), "null")
        case _:
            newest = event.number == row.last_event_number
            return serializers.job_at(envelope, jobs.JobState.at(event, row), newest=newest).model_dump_json()
