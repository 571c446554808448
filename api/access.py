"""Who may call while callers need no key: programs on this machine, or under host names that the operator trusts.

A web page that somebody opens can send requests to any server that their machine reaches. It gives itself away by its
Origin, or, where it has bent its own name to this machine, by the Host: both are compared. Keys are not its business.
"""

import ipaddress
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import problem
from service.errors import SettingsError
from service.settings import Settings

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def trusted_hosts(settings: Settings) -> frozenset[str]:
    """The host names under which the API may be called without a key.

    Raises:
        SettingsError: the settings would serve everybody, or ask for keys.
    """
    named = frozenset(name.strip().lower() for name in (settings.trusted_hosts or "").split(",") if name.strip())
    if settings.auth == "on" or (settings.auth == "auto" and not is_loopback(settings.host)):
        raise SettingsError(
            f"DTI_AUTH is {settings.auth} and DTI_HOST is {settings.host}, so that callers would need keys, and this "
            "version has none. Set DTI_HOST to 127.0.0.1; or, where everybody who can reach the port may use it, set "
            "DTI_AUTH=off and DTI_TRUSTED_HOSTS to the host names that they call."
        )
    if not named and not is_loopback(settings.host):
        raise SettingsError(
            f"DTI_AUTH is off and DTI_HOST is {settings.host}: everybody who reaches the port could use it, web pages "
            "included. Set DTI_HOST to 127.0.0.1, or DTI_TRUSTED_HOSTS to the host names that callers may use."
        )
    return _LOOPBACK_NAMES | named | ({settings.host} if is_loopback(settings.host) else frozenset())


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class TrustedCallers:
    """Refuses requests for a host name that is not trusted, or from a page of another origin."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand over."""
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            await problem(HTTPStatus.FORBIDDEN, *refusal)(scope, receive, send)

    def _refusal(self, headers: Headers) -> tuple[str, str] | None:
        host = headers.get("host", "").lower()
        if _name(f"//{host}") not in self._hosts:
            return (
                "foreign_host",
                "This server is not called by that name. Use localhost, or add it to DTI_TRUSTED_HOSTS.",
            )
        origin = headers.get("origin")
        if origin is not None and _place(origin) != host:
            return "foreign_origin", "Pages of another origin may not call this server."
        return None


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
