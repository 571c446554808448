"""The limit on a request's body, kept before anything parses it; knows nothing of what bodies mean."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import answer
from service.errors import BodyTooLargeError

_DIGITS = 18
"""Of an announced length: more than any limit, and no more than is safe to turn into a number."""


class BodyLimit:
    """Refuses a body by the length that it announces, and counts one that announces none while it is read."""

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a refusal, or hand over."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _announced(scope) > self._limit_bytes:
            await answer(BodyTooLargeError(self._limit_bytes))(scope, receive, send)
        else:
            await self._app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        received = 0

        async def counting() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit_bytes:
                # The framework lets only its own refusals pass while it reads a body.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(BodyTooLargeError(self._limit_bytes)))
            return message

        return counting


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "")[:_DIGITS]
    return int(length) if length.isdecimal() else 0
