"""What is asked of a request's body before anything parses it: a limit, and that a form is whole.

It knows nothing of what bodies mean.
"""

from http import HTTPStatus

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer
from service.errors import BodyTooLargeError

_EPILOGUE_BYTES = 1024
"""How much may follow a form's end; most clients send a line break."""

_DIGITS = 18
"""Of an announced length: more than any limit, and no more than is safe to turn into a number."""


class BodyLimit:
    """Refuses a body by the length that it announces, and counts one that announces none while it is read.

    Args:
        app: what it hands over to.
        form_bytes: the limit of forms, which may hold files.
        json_bytes: the limit of everything else.
    """

    def __init__(self, app: ASGIApp, form_bytes: int, json_bytes: int) -> None:
        self._app = app
        self._form_bytes = form_bytes
        self._json_bytes = json_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit_bytes = self._json_bytes if _boundary(scope) is None else self._form_bytes
        if _announced(scope) > limit_bytes:
            await answer(BodyTooLargeError(limit_bytes))(scope, receive, send)
        else:
            await self._app(scope, _counted(receive, limit_bytes), send)


def _counted(receive: Receive, limit_bytes: int) -> Receive:
    received = 0

    async def counting() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit_bytes:
            # The framework lets only its own refusals pass while it reads a body.
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(BodyTooLargeError(limit_bytes)))
        return message

    return counting


class WholeForms:
    """Refuses a form without its closing boundary: its parser would take what came before the cut for all of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand over; the refusal comes where the body ends."""
        boundary = _boundary(scope) if scope["type"] == "http" else None
        await self._app(scope, receive if boundary is None else _closed(receive, boundary), send)


def _boundary(scope: Scope) -> bytes | None:
    kind, options = parse_options_header(Headers(scope=scope).get("content-type"))
    return options.get(b"boundary") if kind == b"multipart/form-data" else None


def _closed(receive: Receive, boundary: bytes) -> Receive:
    closing, tail = b"--" + boundary + b"--", b""

    async def watching() -> Message:
        nonlocal tail
        message = await receive()
        if message["type"] == "http.request":
            tail = (tail + message.get("body", b""))[-len(closing) - _EPILOGUE_BYTES :]
            if not message.get("more_body", False) and closing not in tail:
                raise HTTPException(HTTPStatus.BAD_REQUEST, "The form is cut off. Send it again.")
        return message

    return watching


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")[:_DIGITS]
    return int(length) if length.isdecimal() else 0
