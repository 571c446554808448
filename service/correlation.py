"""Correlation ids: the request id and the trace that tie log lines, jobs, events, messages and spans together.

They are context variables: every log line of a thread or an asyncio task carries those that are bound there.
"""

import re
import secrets
from contextlib import AbstractContextManager

from structlog.contextvars import bound_contextvars, get_contextvars

REQUEST_ID_CHARACTERS = 128

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""Version 00 of W3C Trace Context; ids of zeros alone are invalid."""

_REQUEST_ID = re.compile(rf"[A-Za-z0-9._:/+=@-]{{1,{REQUEST_ID_CHARACTERS}}}")


def request_id_from(header: str | None) -> str:
    """The request id of an `X-Request-ID` header; a new one where it is missing or not printable in a log."""
    if header is not None and _REQUEST_ID.fullmatch(header):
        return header
    return f"req_{secrets.token_hex(12)}"


def traceparent_from(header: str | None) -> str | None:
    """The span of a `traceparent` header; None where it is missing or malformed."""
    return header if header is not None and _TRACEPARENT.fullmatch(header) else None


def bound(
    *, request: str | None = None, traceparent: str | None = None, job: str | None = None
) -> AbstractContextManager[object]:
    """Bind ids to all log lines inside the block; None binds nothing."""
    ids = {"request": request, "traceparent": traceparent, "job": job}
    return bound_contextvars(**{name: value for name, value in ids.items() if value is not None})


def request_id() -> str | None:
    """The id of the request that is being answered; None outside of requests."""
    found: str | None = get_contextvars().get("request")
    return found


def traceparent() -> str | None:
    """The span that sent the request that is being answered; None without one."""
    found: str | None = get_contextvars().get("traceparent")
    return found
