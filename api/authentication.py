"""Authentication of requests: by key, or, without keys, only for programs on this machine. CORS and rate limits.

A web page in a browser can send requests to any server that its machine reaches. A server without keys detects them by
their Origin header, or, after DNS rebinding, by their Host header. A server with keys needs neither check: a page
cannot send a key that it does not have. The scope of a key is checked by routes (api/deps.py).
"""

from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response, problem
from service.accounts.authentication import LOCAL, Authenticator, Identity
from service.accounts.rate_limits import WINDOW_S, Rate, RateLimiter
from service.context import Service
from service.errors import ServiceError, SettingsError
from service.settings import Settings, is_loopback

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_PROTECTED_PREFIXES = ("/v1/", "/metrics")
"""Prefixes of the paths that need a key; the others are health, documentation, the page, and signed URLs."""

_FORWARDED = {"forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip"}
"""Headers that proxies add, beside X-Forwarded-…; a proxy lets other machines in."""

_ALLOWED_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "Last-Event-ID",
    "Prefer",
    "traceparent",
    "X-Request-ID",
]
_EXPOSED_HEADERS = [
    "Content-Disposition",
    "ETag",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-ID",
]


def install(app: FastAPI, service: Service, rate_limiter: RateLimiter) -> None:
    """Install the authentication and CORS middleware.

    Raises:
        SettingsError: CORS origins are set without authentication.
    """
    settings = service.settings
    origins = [origin.strip() for origin in (settings.cors_origins or "").split(",") if origin.strip()]
    if not settings.auth_required:
        if origins:
            raise SettingsError("DTI_CORS_ORIGINS is set, and pages of other origins need a key. Set DTI_AUTH to on.")
        app.add_middleware(LoopbackOnly, hosts=trusted_hosts(settings))
        return
    app.add_middleware(
        KeyAuthentication,
        authenticator=Authenticator(service.database, settings),
        rate_limiter=rate_limiter,
        limit=settings.quotas.requests_per_minute,
    )
    if origins:
        # Outermost: a browser sends its preflight request without the key.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=_ALLOWED_HEADERS,
            expose_headers=_EXPOSED_HEADERS,
        )


def trusted_hosts(settings: Settings) -> frozenset[str]:
    """The host names of this machine's loopback interface."""
    return _LOOPBACK_NAMES | ({settings.host} if is_loopback(settings.host) else frozenset())


def identity_of(scope: Scope) -> Identity | None:
    """The identity of a request; None on paths without authentication."""
    identity: Identity | None = scope.get("state", {}).get("identity")
    return identity


class KeyAuthentication:
    """Refuses requests without a valid key, or over its rate limit, before a byte of the body is read.

    Args:
        app: the next application.
        authenticator: finds the identity of a key.
        rate_limiter: counts requests.
        limit: requests a minute for a key without a quota of its own; 0 for no limit.
    """

    def __init__(self, app: ASGIApp, authenticator: Authenticator, rate_limiter: RateLimiter, limit: int) -> None:
        self._app = app
        self._authenticator = authenticator
        self._rate_limiter = rate_limiter
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on with its identity."""
        if scope["type"] != "http" or not scope["path"].startswith(_PROTECTED_PREFIXES):
            await self._app(scope, receive, send)
            return
        secret = _bearer(Headers(scope=scope).get("authorization", ""))
        try:
            identity, rate = await run_sync(self._admit, secret)
        except ServiceError as error:
            await error_response(error)(scope, receive, send)
            return
        _set_identity(scope, identity)
        await self._app(scope, receive, send if rate is None else _with_rate_limit_headers(rate, send))

    def _admit(self, secret: str | None) -> tuple[Identity, Rate | None]:
        identity = self._authenticator.identify(secret)
        limit = identity.quotas.get("requests_per_minute", self._limit)
        if identity.key_id is None or not limit:
            return identity, None
        return identity, self._rate_limiter.count(identity.key_id, limit)


class LoopbackOnly:
    """Refuses requests through a proxy, for a foreign host name, or from a page of another origin."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        if refusal is None:
            _set_identity(scope, LOCAL)
            await self._app(scope, receive, send)
        else:
            await problem(HTTPStatus.FORBIDDEN, *refusal)(scope, receive, send)

    def _refusal(self, headers: Headers) -> tuple[str, str] | None:
        forwarded = next((name for name in headers if name in _FORWARDED or name.startswith("x-forwarded-")), None)
        if forwarded is not None:
            return "forwarded", (
                f"The request has a {forwarded} header: it comes through a proxy, and this server asks for no key. "
                "Set DTI_AUTH to on."
            )
        host = headers.get("host", "").lower()
        if _hostname(f"//{host}") not in self._hosts:
            return "foreign_host", "This server does not serve that host name. Use localhost, or set DTI_AUTH to on."
        origin = headers.get("origin")
        if origin is not None and _netloc(origin) != host:
            return "foreign_origin", "Pages of other origins may not call this server."
        return None


def _set_identity(scope: Scope, identity: Identity) -> None:
    scope.setdefault("state", {})["identity"] = identity


def _with_rate_limit_headers(rate: Rate, send: Send) -> Send:
    """Add the rate limit and its remaining requests to a response (draft-ietf-httpapi-ratelimit-headers-10)."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("RateLimit-Policy", f'"requests";q={rate.limit};w={WINDOW_S}')
            headers.append("RateLimit", f'"requests";r={rate.remaining};t={rate.reset_s}')
        await send(message)

    return send_with_headers


def _bearer(authorization: str) -> str | None:
    kind, _, secret = authorization.strip().partition(" ")
    return secret.strip() or None if kind.lower() == "bearer" else None


def _hostname(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _netloc(origin: str) -> str | None:
    """Host and port of an origin; None for an opaque one."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
