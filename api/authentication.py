"""Who may call: with keys whoever shows one, without keys programs on this machine.

A web page that somebody opens can send requests to any server that their machine reaches. Where nobody needs a key it
gives itself away by its Origin, or, where it has bent its own name to this machine, by the Host: both are compared.
Where keys are needed a page cannot send one that it does not know. What a key allows, routes say (api/deps.py).
"""

from collections.abc import Collection
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from anyio.to_thread import run_sync
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer, problem
from service.accounts.authentication import LOCAL, Authenticator, Identity
from service.accounts.rate_limits import WINDOW_S, Rate, RateLimiter
from service.context import Service
from service.errors import ServiceError, SettingsError
from service.settings import Settings, is_loopback

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_KEYED = ("/v1/", "/metrics")
"""Where every path begins that needs a key; the others are health, documents, the page, and signed addresses."""

_SENT = ["Authorization", "Content-Type", "Idempotency-Key", "Last-Event-ID", "Prefer"]
_READ = [
    "Content-Disposition",
    "ETag",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
]


def install(app: FastAPI, service: Service, rates: RateLimiter) -> None:
    """Have every request pass by whoever decides who may call.

    Raises:
        SettingsError: the settings would serve people whom they must not.
    """
    settings = service.settings
    origins = [origin.strip() for origin in (settings.cors_origins or "").split(",") if origin.strip()]
    if not settings.keyed:
        if origins:
            raise SettingsError("DTI_CORS_ORIGINS is set, and pages may call only with a key. Set DTI_AUTH to on.")
        app.add_middleware(TrustedCallers, hosts=trusted_hosts(settings))
        return
    app.add_middleware(
        KeyedCallers,
        door=Authenticator(service.database, settings),
        rates=rates,
        limit=settings.quotas.requests_per_minute,
    )
    if origins:
        # Outermost: a browser asks without a key whether its page may send one.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=_SENT,
            expose_headers=_READ,
        )


def trusted_hosts(settings: Settings) -> frozenset[str]:
    """The host names under which this machine calls itself."""
    return _LOOPBACK_NAMES | ({settings.host} if is_loopback(settings.host) else frozenset())


def identity_of(scope: Scope) -> Identity | None:
    """Who sends a request; None where nobody looked."""
    identity: Identity | None = scope.get("state", {}).get("identity")
    return identity


class KeyedCallers:
    """Refuses whoever shows no key that opens, or has called too often, before a byte of their body is read.

    Args:
        app: what it hands over to.
        door: looks at keys.
        rates: counts requests.
        limit: requests a minute with a key that says nothing of its own; 0 for any number.
    """

    def __init__(self, app: ASGIApp, door: Authenticator, rates: RateLimiter, limit: int) -> None:
        self._app = app
        self._door = door
        self._rates = rates
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand over with the caller's identity."""
        if scope["type"] != "http" or not scope["path"].startswith(_KEYED):
            await self._app(scope, receive, send)
            return
        secret = _bearer(Headers(scope=scope).get("authorization", ""))
        try:
            identity, rate = await run_sync(self._admit, secret)
        except ServiceError as error:
            await answer(error)(scope, receive, send)
            return
        _remember(scope, identity)
        await self._app(scope, receive, send if rate is None else _telling(rate, send))

    def _admit(self, secret: str | None) -> tuple[Identity, Rate | None]:
        identity = self._door.identify(secret, datetime.now(UTC))
        limit = identity.quotas.get("requests_per_minute", self._limit)
        if identity.key_id is None or not limit:
            return identity, None
        return identity, self._rates.count(identity.key_id, limit)


class TrustedCallers:
    """Refuses requests for a host name that is not this machine's, or from a page of another origin."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand over."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        if refusal is None:
            _remember(scope, LOCAL)
            await self._app(scope, receive, send)
        else:
            await problem(HTTPStatus.FORBIDDEN, *refusal)(scope, receive, send)

    def _refusal(self, headers: Headers) -> tuple[str, str] | None:
        host = headers.get("host", "").lower()
        if _name(f"//{host}") not in self._hosts:
            return "foreign_host", "This server is not called by that name. Use localhost, or set DTI_AUTH to on."
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            return "foreign_origin", "Pages of another origin may not call this server."
        return None


def _remember(scope: Scope, identity: Identity) -> None:
    scope.setdefault("state", {})["identity"] = identity


def _telling(rate: Rate, send: Send) -> Send:
    """Have an answer say what is left of a minute (draft-ietf-httpapi-ratelimit-headers-10)."""

    async def telling(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.append("RateLimit-Policy", f'"requests";q={rate.limit};w={WINDOW_S}')
            headers.append("RateLimit", f'"requests";r={rate.remaining};t={rate.reset_s}')
        await send(message)

    return telling


def _bearer(authorization: str) -> str | None:
    kind, _, secret = authorization.strip().partition(" ")
    return secret.strip() or None if kind.lower() == "bearer" else None


def _name(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _place(origin: str) -> str | None:
    """Host and port of an origin; None for an opaque one."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
