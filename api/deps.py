"""What routes ask for: who calls, the parts of the service, and how long the caller wants to wait.

A route names the scope that it needs by the type of its first argument: `call: ReadCaller` (whatever only looks),
`TrainCaller` (what makes, changes or deletes concepts), `GenerateCaller` (what makes pictures), `CancelCaller` (either
of the two), `AdminCaller` (keys, and what concerns all owners). A key with the scope admin may do everything. `Caller`
names none: it is for what such a route depends on. What needs no key asks for `Open`, and is no route under /v1.
`call.owner_id` is whose things the caller may see; `call.service` has the bounds of the caller's key in its settings.

A transaction is opened and committed inside the function that needs it, never around an answer: what is answered is
committed, and nothing is open while somebody waits.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, Header, Path, Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from api.authentication import identity_of
from api.job_events import EventPoller, JobRef
from api.schema_fields import Text
from service.accounts.authentication import Identity
from service.accounts.rate_limits import RateLimiter
from service.context import Service
from service.errors import KeyMissingError

T = TypeVar("T")

_UPLOADS_AT_ONCE = 4
"""Uploads that are being cleaned; they take turns at decoding, and threads of other requests are not theirs to hold."""

_LONGEST_WAIT_S = 60
_WAIT = re.compile(r"wait(?:\s*=\s*\"?(\d{1,4})\"?)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Parts:
    """What one process has to answer requests with."""

    service: Service
    watcher: EventPoller
    uploads: CapacityLimiter
    rates: RateLimiter

    @classmethod
    def around(cls, service: Service) -> "Parts":
        """The parts around an open service."""
        return cls(service, EventPoller(service), CapacityLimiter(_UPLOADS_AT_ONCE), RateLimiter(service.settings))


@dataclass(frozen=True)
class Call(Parts):
    """A request by somebody."""

    identity: Identity

    @property
    def owner_id(self) -> str:
        """Whose things are meant."""
        return self.identity.owner_id


_bearer = HTTPBearer(
    scheme_name="key", auto_error=False, description="A key, `dti_…`; a server on your own machine asks for none."
)


async def _parts(request: Request) -> Parts:
    parts: Parts = request.app.state.parts
    return parts


async def _call(
    request: Request,
    parts: Annotated[Parts, Depends(_parts)],
    scopes: SecurityScopes,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Call:
    """The request of somebody who has one of the scopes that the route names; the key was looked at in api/access."""
    identity = identity_of(request.scope)
    if identity is None:
        raise KeyMissingError
    if scopes.scopes:
        identity.check(scopes.scopes)
    settings = identity.bounded(parts.service.settings)
    return Call(**{**vars(parts), "service": replace(parts.service, settings=settings)}, identity=identity)


Open = Annotated[Parts, Depends(_parts)]
ReadCaller = Annotated[Call, Security(_call, scopes=["read"])]
TrainCaller = Annotated[Call, Security(_call, scopes=["train"])]
GenerateCaller = Annotated[Call, Security(_call, scopes=["generate"])]
CancelCaller = Annotated[Call, Security(_call, scopes=["train", "generate"])]
AdminCaller = Annotated[Call, Security(_call, scopes=["admin"])]
Caller = Annotated[Call, Depends(_call)]

ConceptReference = Annotated[Text, Path(description="A concept's id or name.")]
JobId = Annotated[Text, Path(description="A job's id.")]
KeyId = Annotated[Text, Path(description="A key's id.")]
Cursor = Annotated[Text | None, Query(description="`next` of the page before.")]
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
    watcher: EventPoller
    response: Response

    async def until_done(self, job: JobRef) -> None:
        """Hold the answer as long as the caller prefers, and say in its status and headers what came of it."""
        self.response.headers["Location"] = f"/v1/jobs/{job.job_id}"
        if self.limit_s is None:
            return
        self.response.headers["Preference-Applied"] = f"wait={self.limit_s}"
        if await self.watcher.until_done(job, self.limit_s):
            self.response.status_code = HTTPStatus.CREATED


def _wait(
    parts: Open,
    response: Response,
    prefer: Annotated[
        str | None, Header(description="`wait` or `wait=N`, 1 to 60 seconds: answer 201 when the job has ended.")
    ] = None,
) -> Wait:
    return Wait(wait_s(prefer or ""), parts.watcher, response)


Waiting = Annotated[Wait, Depends(_wait)]


async def in_thread(work: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
    """What a function returns that asks databases and stores, run beside the event loop."""
    return await run_sync(work, limiter=limiter)


def now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)
