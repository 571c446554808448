"""The line of each request, its id, and its duration as a metric.

`X-Request-ID` is taken from the request, or made, and sent back; jobs that the request starts keep it. A line has the
template of the route, never the path or the query: both may hold secrets.
"""

import logging
import time
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.authentication import identity_of
from api.process_metrics import ProcessMetrics
from service import correlation
from service.errors import QuotaError, ServiceError, StorageQuotaExceededError

REQUEST_ID_HEADER = "X-Request-ID"

UNMATCHED = "unmatched"
"""The route of requests that no route matches."""

_QUIET_ROUTES = frozenset({"/health/live", "/health/ready", "/metrics", "/metrics/service"})
"""Probes and scrapes; a line of each, every few seconds, would hide the others."""

_QUOTA_ERRORS: tuple[type[ServiceError], ...] = (*QuotaError.__subclasses__(), StorageQuotaExceededError)
_QUOTA_CODES = frozenset(error.code for error in _QUOTA_ERRORS)
"""The codes of requests that a quota or limit refuses."""

log = logging.getLogger(__name__)


class RequestLog:
    """Gives every request an id, logs it at its end, and measures it.

    Args:
        app: the next application.
        metrics: of this process.
    """

    def __init__(self, app: ASGIApp, metrics: ProcessMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; its line is written when its response has ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = correlation.request_id_from(headers.get(REQUEST_ID_HEADER))
        scope.setdefault("state", {})["request_id"] = request_id
        status, start = HTTPStatus.INTERNAL_SERVER_ERROR.value, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        with correlation.bound(
            request=request_id, traceparent=correlation.traceparent_from(headers.get("traceparent"))
        ):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                self._finish(scope, status, time.perf_counter() - start)

    def _finish(self, scope: Scope, status: int, duration_s: float) -> None:
        route, method = _template(scope), scope["method"]
        code: str = scope["state"].get("code", "")
        self._metrics.observe_request(method, route, status, duration_s)
        if code in _QUOTA_CODES:
            self._metrics.count_refusal(code)
        if route in _QUIET_ROUTES and status < HTTPStatus.BAD_REQUEST:
            return
        identity = identity_of(scope)
        fields = {
            "method": method,
            "route": route,
            "status": status,
            "code": code or None,
            "ms": round(duration_s * 1000, 1),
            "owner": identity.owner_id if identity else None,
            "key": identity.key_id if identity else None,
        }
        log.info("request", extra=fields)


def _template(scope: Scope) -> str:
    """The template of the matched route, such as `/v1/jobs/{job_id}`."""
    # The route itself knows its path inside of its router only; the prefix is the framework's.
    matched = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    path: str = getattr(matched, "path", UNMATCHED)
    return path or UNMATCHED
