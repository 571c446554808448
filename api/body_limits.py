"""Checks of a request's body before it is parsed: one length, a size limit, and the closing boundary of a form."""

from http import HTTPStatus

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import error_response, problem
from service.errors import BodyTooLargeError

_EPILOGUE_BYTES = 1024
"""Bytes that may follow a form's closing boundary; most clients send a line break."""

_DIGITS = 18
"""Of a Content-Length: more than any limit needs, and few enough to parse as a number."""


class OneLength:
    """Refuses a body with two lengths, and closes its connection: a proxy might read the other one (RFC 9112, 6.1)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        if scope["type"] == "http" and {"content-length", "transfer-encoding"} <= set(Headers(scope=scope)):
            detail = "The request has a Content-Length and a Transfer-Encoding. Send one of them."
            refusal = problem(HTTPStatus.BAD_REQUEST, "malformed_body", detail, {"Connection": "close"})
            await refusal(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class BodyLimit:
    """Refuses a body by its Content-Length; without one, its bytes are counted while it is read.

    Args:
        app: the next application.
        form_bytes: the limit of forms, which may hold files.
        json_bytes: the limit of everything else.
    """

    def __init__(self, app: ASGIApp, form_bytes: int, json_bytes: int) -> None:
        self._app = app
        self._form_bytes = form_bytes
        self._json_bytes = json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit_bytes = self._json_bytes if _boundary(scope) is None else self._form_bytes
        if _content_length(scope) > limit_bytes:
            await error_response(BodyTooLargeError(limit_bytes))(scope, receive, send)
        else:
            await self._app(scope, _counted(receive, limit_bytes), send)


def _counted(receive: Receive, limit_bytes: int) -> Receive:
    received = 0

    async def receive_counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit_bytes:
            # While it reads a body, the framework passes on only its own exceptions.
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(BodyTooLargeError(limit_bytes)))
        return message

    return receive_counted


class CompleteForms:
    """Refuses a form without its closing boundary: the parser would take a truncated form for a complete one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; it is refused at the end of the body."""
        boundary = _boundary(scope) if scope["type"] == "http" else None
        await self._app(scope, receive if boundary is None else _requiring_closing_boundary(receive, boundary), send)


def _boundary(scope: Scope) -> bytes | None:
    kind, options = parse_options_header(Headers(scope=scope).get("content-type"))
    return options.get(b"boundary") if kind == b"multipart/form-data" else None


def _requiring_closing_boundary(receive: Receive, boundary: bytes) -> Receive:
    closing, tail = b"--" + boundary + b"--", b""

    async def receive_checked() -> Message:
        nonlocal tail
        message = await receive()
        if message["type"] == "http.request":
            tail = (tail + message.get("body", b""))[-len(closing) - _EPILOGUE_BYTES :]
            if not message.get("more_body", False) and closing not in tail:
                raise HTTPException(
                    HTTPStatus.BAD_REQUEST, "The form is truncated: its closing boundary is missing. Send it again."
                )
        return message

    return receive_checked


def _content_length(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")[:_DIGITS]
    return int(length) if length.isdecimal() else 0
