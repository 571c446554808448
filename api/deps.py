"""What routes ask for: who calls, the parts of the service, and how long the caller wants to wait.

A transaction is opened and committed inside the function that needs it, never around an answer: what is answered is
committed, and nothing is open while somebody waits.
"""

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, Header, Path, Query, Request, Response

from api.fields import Words
from api.watching import Watched, Watcher
from service.context import Service
from service.tables import LOCAL_OWNER_ID

T = TypeVar("T")

_UPLOADS_AT_ONCE = 4
"""Uploads that are being cleaned; they take turns at decoding, and threads of other requests are not theirs to hold."""

_LONGEST_WAIT_S = 60
_WAIT = re.compile(r"wait(?:\s*=\s*\"?(\d{1,4})\"?)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Parts:
    """What one process has to answer requests with."""

    service: Service
    watcher: Watcher
    uploads: CapacityLimiter
    storing: threading.Lock
    """Held from the first object that is stored to the commit that refers to it, and while objects are deleted: equal
    bytes are one object, and a refused request must not take away what an accepted one has just stored."""

    @classmethod
    def around(cls, service: Service) -> "Parts":
        """The parts around an open service."""
        return cls(service, Watcher(service), CapacityLimiter(_UPLOADS_AT_ONCE), threading.Lock())


@dataclass(frozen=True)
class Call(Parts):
    """A request by somebody."""

    owner_id: str


def _call(request: Request) -> Call:
    """While nobody needs a key everything belongs to one owner."""
    parts: Parts = request.app.state.parts
    return Call(**vars(parts), owner_id=LOCAL_OWNER_ID)


Caller = Annotated[Call, Depends(_call)]

ConceptReference = Annotated[Words, Path(description="A concept's id or name.")]
JobId = Annotated[Words, Path(description="A job's id.")]
Cursor = Annotated[Words | None, Query(description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=100, description="How many at most.")]


def wait_s(prefer: str) -> int | None:
    """How long a `Prefer` header asks to wait; None where it does not, or not in a way that is understood."""
    found = (_WAIT.fullmatch(preference.strip()) for preference in re.split("[,;]", prefer))
    asked = next((match for match in found if match), None)
    if asked is None:
        return None
    return min(int(asked[1] or _LONGEST_WAIT_S), _LONGEST_WAIT_S) or None


@dataclass(frozen=True)
class Wait:
    """How an answer that begins a job is given: at once, or when the job has ended."""

    limit_s: int | None
    watcher: Watcher
    response: Response

    async def until_done(self, job: Watched) -> None:
        """Hold the answer as long as the caller prefers, and say in its status and headers what came of it."""
        self.response.headers["Location"] = f"/v1/jobs/{job.job_id}"
        if self.limit_s is None:
            return
        self.response.headers["Preference-Applied"] = f"wait={self.limit_s}"
        if await self.watcher.until_done(job, self.limit_s):
            self.response.status_code = HTTPStatus.CREATED


def _wait(
    call: Caller,
    response: Response,
    prefer: Annotated[
        str | None, Header(description="`wait` or `wait=N`, 1 to 60 seconds: answer 201 when the job has ended.")
    ] = None,
) -> Wait:
    return Wait(wait_s(prefer or ""), call.watcher, response)


Waiting = Annotated[Wait, Depends(_wait)]


async def in_thread(work: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
    """What a function returns that asks databases and stores, run beside the event loop."""
    return await run_sync(work, limiter=limiter)


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)
