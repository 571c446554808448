"""Correlation ids: the request id and the trace that tie log lines, jobs, events, messages and spans together.

They are context variables: every log line of a thread or an asyncio task carries those that are bound there.
"""

import re
import secrets
from contextlib import AbstractContextManager

from structlog.contextvars import bound_contextvars, get_contextvars

REQUEST_ID_CHARACTERS = 128

_REQUEST_ID = re.compile(rf"[A-Za-z0-9._:/+=@-]{{1,{REQUEST_ID_CHARACTERS}}}")


def request_id_from(header: str | None) -> str:
    """The request id of an `X-Request-ID` header; a new one where it is missing or not printable in a log."""
    if header is not None and _REQUEST_ID.fullmatch(header):
        return header
    return f"req_{secrets.token_hex(12)}"


def bound(*, request: str | None = None, job: str | None = None) -> AbstractContextManager[object]:
    """Bind ids to all log lines inside the block; None binds nothing."""
    ids = {"request": request, "job": job}
    return bound_contextvars(**{name: value for name, value in ids.items() if value is not None})


def request_id() -> str | None:
    """The id of the request that is being answered; None outside of requests."""
    found: str | None = get_contextvars().get("request")
    return found
