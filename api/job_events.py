"""What happens to jobs, for all who wait: one poller a process asks the database once for everybody.

Listeners hold no transaction and no thread while they wait. How a happening is written for a stream stands here too,
because it is written once and shared by all who listen to the same job.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api import serializers
from api.schemas import responses
from service import jobs
from service.context import Service
from service.database import tables
from service.errors import UnavailableError

_EVERY_S = 0.05
_AFTER_FAILURE_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRef:
    """A job and whose it is; nobody is told of one of which only the end matters."""

    owner_id: str
    job_id: str
    told: bool = True


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """An event of a job as a stream carries it."""

    number: int
    name: tables.EventName
    frame: bytes


@dataclass(slots=True)
class Subscription:
    """Somebody who waits for what happens to a job after a certain event."""

    position: int
    over: bool = False
    _arrived: deque[StreamEvent] = field(default_factory=deque)
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    async def next(self, timeout_s: float) -> list[StreamEvent]:
        """What happened since the last call, as soon as there is anything; nothing at the time limit or the end."""
        if not self._arrived and not self.over:
            try:
                await asyncio.wait_for(self._woken.wait(), timeout_s)
            except TimeoutError:
                return []
        self._woken.clear()
        arrived = list(self._arrived)
        self._arrived.clear()
        return arrived

    def tell(self, happenings: Sequence[StreamEvent]) -> None:
        """Hand over what the listener does not have yet."""
        fresh = [happening for happening in happenings if happening.number > self.position]
        if fresh:
            self.position = fresh[-1].number
            self._arrived.extend(fresh)
            self._woken.set()

    def end(self) -> None:
        """Tell that nothing more will come."""
        self.over = True
        self._woken.set()


class EventPoller:
    """Asks the database what is new while somebody listens, and not at all while nobody does."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._listeners: dict[JobRef, list[Subscription]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._closing = False

    @contextmanager
    def listening(self, watched: JobRef, position: int) -> Iterator[Subscription]:
        """A listener for what happens after an event's number; 0 for everything."""
        listener = Subscription(position)
        self._listeners.setdefault(watched, []).append(listener)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.get_running_loop().create_task(self._poll())
        try:
            yield listener
        finally:
            self._listeners[watched].remove(listener)
            if not self._listeners[watched]:
                del self._listeners[watched]

    async def until_done(self, watched: JobRef, timeout_s: float) -> bool:
        """Wait for a job's end; whether it came in time."""
        with self.listening(replace(watched, told=False), 0) as listener:
            try:
                async with asyncio.timeout(timeout_s):
                    while not listener.over:
                        if any(happening.name == "done" for happening in await listener.next(timeout_s)):
                            return True
            except TimeoutError:
                pass
        return False

    def close(self) -> None:
        """Let everybody go; safe to call from a signal handler, for the poller does the work."""
        self._closing = True

    async def _poll(self) -> None:
        try:
            while self._listeners and not self._closing:
                await self._tell_what_is_new()
        finally:
            for listener in [one for some in self._listeners.values() for one in some]:
                listener.end()

    async def _tell_what_is_new(self) -> None:
        positions = {watched: min(one.position for one in some) for watched, some in self._listeners.items()}
        try:
            news = await asyncio.to_thread(self._news, positions)
        except UnavailableError:
            _log.warning("The database does not answer; listeners wait.")
            await asyncio.sleep(_AFTER_FAILURE_S)
            return
        for watched, happenings in news.items():
            for listener in self._listeners.get(watched, ()):
                if happenings is None:
                    listener.end()
                else:
                    listener.tell(happenings)
        await asyncio.sleep(_EVERY_S)

    def _news(self, positions: Mapping[JobRef, int]) -> dict[JobRef, list[StreamEvent] | None]:
        """What is new of some jobs; None of one of which nothing can be told any more."""
        with self._service.database.reading() as session:
            newest = jobs.last_events(session, {watched.job_id for watched in positions})
            return {
                watched: self._tellable(session, watched, position)
                for watched, position in positions.items()
                if newest.get(watched.job_id) != position
            }

    def _tellable(self, session: Session, watched: JobRef, position: int) -> list[StreamEvent] | None:
        """What is new of a job. One that cannot be told ends its own listeners and nobody else's."""
        try:
            return self._happenings(session, watched, position) or None
        except SQLAlchemyError:
            raise
        except Exception as error:  # noqa: BLE001 - the poller is everybody's
            _log.warning("%s can no longer be told: %s", watched.job_id, type(error).__name__)
            return None

    def _happenings(self, session: Session, watched: JobRef, position: int) -> list[StreamEvent]:
        events = jobs.events_after(session, watched.job_id, position)
        if not watched.told:
            return [StreamEvent(event.number, event.name, b"") for event in events]
        row = jobs.get(session, watched.owner_id, watched.job_id)
        envelope = serializers.job(self._service, session, row, with_urls=True)
        return [StreamEvent(event.number, event.name, _frame(event, envelope)) for event in events]


def _frame(event: tables.Event, job: responses.Job) -> bytes:
    """An event in the text/event-stream format; a preview whose picture is gone keeps its number and says nothing."""
    lines = [f"id: {event.number}", f"event: {event.name}", f"data: {_data(event, job)}"]
    return ("\n".join(lines) + "\n\n").encode()


def _data(event: tables.Event, job: responses.Job) -> str:
    match event.name:
        case "progress":
            return json.dumps({**event.data, "queue_position": None})
        case "preview":
            pictures = (picture for picture in job.output.images if picture.id == event.data["image"])
            return next((picture.model_dump_json() for picture in pictures), "null")
        case _:
            return job.model_dump_json()
