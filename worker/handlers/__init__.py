"""The handlers, one for each kind of job; the loop knows only their common interface."""

from functools import cache
from pkgutil import resolve_name

from service.kinds.jobs import KINDS
from worker.handlers.base import Handler


@cache
def handler_class(kind: str) -> type[Handler]:
    """The handler that KINDS names for a kind of job."""
    found: type[Handler] = resolve_name(KINDS[kind].handler)
    return found


__all__ = ["Handler", "handler_class"]
