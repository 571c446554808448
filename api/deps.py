"""Dependencies of routes: the request's context with its identity and scope, pagination, and `Prefer: wait`.

A route names its scope by the type of its first argument: `context: ReadAccess` (reads), `TrainAccess` (makes, changes
or deletes concepts), `GenerateAccess` (makes images), `CancelAccess` (either of the two), `MetricsAccess`,
`AdminAccess` (keys, and all owners). The scope admin includes all others. `AnyAccess` names none: it is for
dependencies of such routes. A route without a key asks for `PublicAccess`, and none of those is under /v1.
`context.owner_id` owns all data that the request sees; `context.service` has the key's own quotas in its settings.

A transaction is opened and committed inside the function that needs it, never around a response: a response is sent
after its commit, and nothing is open while a request waits.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Annotated, TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from fastapi import Depends, Header, Path, Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from api.authentication import identity_of
from api.drain import Drain
from api.job_events import EventPoller, JobRef
from api.process_metrics import ProcessMetrics
from api.schema_fields import Text
from api.stream_limits import StreamLimit
from api.upload_queue import UploadQueue
from service.accounts.authentication import Identity
from service.accounts.rate_limits import RateLimiter
from service.audit import Actor
from service.context import Service
from service.errors import KeyMissingError
from service.uploads import decoders
from service.uploads.decoders import DecoderPool

T = TypeVar("T")

_CONCURRENT_UPLOADS = 4
"""Embedding files that are stored at once; a limiter of their own leaves the threads of other requests free."""

_MAX_WAIT_S = 60
_WAIT = re.compile(r"wait(?:\s*=\s*\"?(\d{1,4})\"?)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Components:
    """The shared components of one API process."""

    service: Service
    event_poller: EventPoller
    upload_limiter: CapacityLimiter
    upload_queue: UploadQueue
    decoders: DecoderPool
    rate_limiter: RateLimiter
    streams: StreamLimit
    metrics: ProcessMetrics
    drain: Drain

    @classmethod
    def create(cls, service: Service) -> "Components":
        """The components around an open service."""
        return cls(
            service=service,
            event_poller=EventPoller(service),
            upload_limiter=CapacityLimiter(_CONCURRENT_UPLOADS),
            upload_queue=UploadQueue(decoders.PLACES),
            decoders=DecoderPool(service.settings.limits),
            rate_limiter=RateLimiter(service.settings),
            streams=StreamLimit(service.settings.limits.streams),
            metrics=ProcessMetrics(),
            drain=Drain(),
        )

    def close(self) -> None:
        """Close all components."""
        self.event_poller.close()
        self.decoders.close()
        self.rate_limiter.close()
        self.service.close()


@dataclass(frozen=True)
class RequestContext(Components):
    """The components, and the identity of a request."""

    identity: Identity

    @property
    def owner_id(self) -> str:
        """The owner of all data that the request sees."""
        return self.identity.owner_id

    @property
    def actor(self) -> Actor:
        """The caller in the audit log."""
        return Actor(owner_id=self.identity.owner_id, key_id=self.identity.key_id)


_bearer = HTTPBearer(
    scheme_name="key", auto_error=False, description="A key, `dti_…`; a server on your own machine needs none."
)


async def _components(request: Request) -> Components:
    components: Components = request.app.state.components
    return components


async def _request_context(
    request: Request,
    components: Annotated[Components, Depends(_components)],
    scopes: SecurityScopes,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> RequestContext:
    """The context of a request that has one of the route's scopes; api/authentication.py has checked the key."""
    identity = identity_of(request.scope)
    if identity is None:
        raise KeyMissingError
    if scopes.scopes:
        identity.check(scopes.scopes)
    settings = identity.effective_settings(components.service.settings)
    return RequestContext(
        **{**vars(components), "service": replace(components.service, settings=settings)}, identity=identity
    )


PublicAccess = Annotated[Components, Depends(_components)]
ReadAccess = Annotated[RequestContext, Security(_request_context, scopes=["read"])]
TrainAccess = Annotated[RequestContext, Security(_request_context, scopes=["train"])]
GenerateAccess = Annotated[RequestContext, Security(_request_context, scopes=["generate"])]
CancelAccess = Annotated[RequestContext, Security(_request_context, scopes=["train", "generate"])]
MetricsAccess = Annotated[RequestContext, Security(_request_context, scopes=["metrics"])]
AdminAccess = Annotated[RequestContext, Security(_request_context, scopes=["admin"])]
AnyAccess = Annotated[RequestContext, Depends(_request_context)]

ConceptReference = Annotated[Text, Path(description="A concept's id or name.")]
ModelName = Annotated[Text, Path(description="A model's name in the catalogue.")]
JobId = Annotated[Text, Path(description="A job's id.")]
ImageId = Annotated[Text, Path(description="An image's id.")]
KeyId = Annotated[Text, Path(description="A key's id.")]
Cursor = Annotated[Text | None, Query(description="`next` of the previous page.")]
Limit = Annotated[int, Query(ge=1, le=100, description="Items per page.")]


def wait_s(prefer: str) -> int | None:
    """The seconds of `wait` in a `Prefer` header, at most 60; None without one, or where it is malformed."""
    matches = (_WAIT.fullmatch(preference.strip()) for preference in re.split("[,;]", prefer))
    wait = next((match for match in matches if match), None)
    if wait is None:
        return None
    return min(int(wait[1] or _MAX_WAIT_S), _MAX_WAIT_S) or None


@dataclass(frozen=True)
class Wait:
    """When a response that starts a job is sent: at once, or when the job has ended."""

    limit_s: int | None
    event_poller: EventPoller
    response: Response

    async def wait_until_done(self, job: JobRef) -> None:
        """Delay the response as `Prefer` asks; 201 where the job has ended by then, and 202 otherwise."""
        self.response.headers["Location"] = f"/v1/jobs/{job.job_id}"
        if self.limit_s is None:
            return
        self.response.headers["Preference-Applied"] = f"wait={self.limit_s}"
        if await self.event_poller.wait_until_done(job, self.limit_s):
            self.response.status_code = HTTPStatus.CREATED


def _wait(
    components: PublicAccess,
    response: Response,
    prefer: Annotated[
        str | None, Header(description="`wait` or `wait=N`, 1 to 60 seconds: answer 201 when the job has ended.")
    ] = None,
) -> Wait:
    return Wait(wait_s(prefer or ""), components.event_poller, response)


Waiting = Annotated[Wait, Depends(_wait)]


async def in_thread(work: Callable[[], T], limiter: CapacityLimiter | None = None) -> T:
    """The result of blocking work, run in a thread beside the event loop."""
    return await run_sync(work, limiter=limiter)
