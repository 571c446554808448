"""OpenAI's error format: adds its member `error` to every problem of /v1/images/generations, for OpenAI's clients."""

import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import MEDIA_TYPE

_PATH = "/v1/images/generations"


class OpenAIErrors:
    """Adds OpenAI's `error` to problem responses."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        translated = scope["type"] == "http" and scope["path"] == _PATH
        await self._app(scope, receive, _TranslatedSend(send) if translated else send)


class _TranslatedSend:
    """Passes a response on; a problem is buffered until its body is complete."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and Headers(scope=message).get("content-type") == MEDIA_TYPE:
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._send_translated(self._start)

    async def _send_translated(self, start: Message) -> None:
        problem = json.loads(self._body)
        body = json.dumps({**problem, "error": _error(problem)}, ensure_ascii=False).encode()
        MutableHeaders(scope=start)["Content-Length"] = str(len(body))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


# `Any`: the body of a response, read back from its JSON.
def _error(problem: Mapping[str, Any]) -> dict[str, object]:
    fields = [error["field"] for error in problem.get("errors", ())]
    return {
        "message": problem["detail"],
        "type": problem["title"].lower().replace(" ", "_"),
        "param": fields[0] if fields else None,
        "code": problem["code"],
    }
