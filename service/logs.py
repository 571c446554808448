"""Logs: one line an event on standard error, JSON unless that is a terminal.

Modules log through the standard library. A line with fields passes them as `extra`; only FIELDS are rendered, so that
no value gets into a log by accident. The ids of `service.correlation` are added to every line.
"""

import logging
import sys
from typing import TYPE_CHECKING, TextIO

import structlog
from structlog.contextvars import merge_contextvars

if TYPE_CHECKING:
    from structlog.typing import Processor

FIELDS = (
    *("method", "route", "status", "ms", "request", "key", "owner"),
    *("job", "kind", "model", "attempt", "worker", "code"),
)
"""The fields of request lines and of job lines."""

_NOISY_LOGGERS = (
    "alembic.runtime.migration",
    "celery.app.trace",
    "celery.beat",
    "celery.worker.request",
    "celery.worker.strategy",
    "httpcore",
    "httpx",
)
"""They log every message or request, addresses with their secrets included."""


def configure(stream: TextIO | None = None) -> None:
    """Send all log lines of this process to a stream, by default standard error."""
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(terminal=target.isatty()))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
    silence_noisy_loggers()


def silence_noisy_loggers() -> None:
    """Keep libraries from logging every message and the address of every request."""
    for name in _NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _formatter(*, terminal: bool) -> logging.Formatter:
    shared: list[Processor] = [
        structlog.stdlib.ExtraAdder(allow=FIELDS),
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[Processor] = (
        [structlog.dev.ConsoleRenderer()]
        if terminal
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered]
    )
