"""Time limits of connections: a request's header and body have to arrive, and its response has to be read.

uvicorn limits only idle connections. Without these limits, connections with half a request stay open for ever, and fill
the process's table of open files: then nobody else is served.
"""

import resource
import time
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS = 4096
_RESERVED_FILES = 256
"""Open files for databases, stores, logs and uploads."""

HEADER_S = 10.0
"""From the start of a connection, or the end of its last response, to the last byte of a header."""

BODY_S = 30.0
BODY_BYTES_PER_S = 4096
"""A body has arrived after `BODY_S` and a second more for each so many bytes."""

WRITE_S = 60.0
"""A response of which the client has read nothing for so long is given up."""

_REQUEST_TIMEOUT = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


def connection_limit() -> int:
    """The most connections of this process; raises its limit of open files to the highest that is allowed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _RESERVED_FILES
    files = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(files - _RESERVED_FILES, files // 2)


class LimitedProtocol(H11Protocol):
    """A connection with limits; `enforce` is called every second or so.

    At the limit of connections a new one replaces the one that has waited longest for its header, so that connections
    with half a request cannot keep others out.
    """

    clock: Callable[[], float] = staticmethod(time.monotonic)
    _began = 0.0
    """When the connection began to wait for its present header, or the header was there."""
    _received = 0
    """Bytes since then."""
    _blocked_since: float | None = None

    # The argument is what asyncio passes; uvicorn types it the same way.
    def connection_made(self, transport) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001, D102
        super().connection_made(transport)
        self._begin()
        if self.config.limit_concurrency is not None and len(self.connections) >= self.config.limit_concurrency:
            self._evict()

    def data_received(self, data: bytes) -> None:  # noqa: D102
        waited = self._waits_for_header()
        self._received += len(data)
        super().data_received(data)
        if waited and not self._waits_for_header():
            self._begin()

    def on_response_complete(self) -> None:  # noqa: D102
        self._begin()
        super().on_response_complete()

    def pause_writing(self) -> None:  # noqa: D102
        self._blocked_since = self.clock()
        super().pause_writing()

    def resume_writing(self) -> None:  # noqa: D102
        self._blocked_since = None
        super().resume_writing()

    @property
    def waits_for_client(self) -> bool:
        """Whether a header or a body is incomplete."""
        incomplete = self._waits_for_header() or (self.cycle.more_body and not self.flow.read_paused)
        return incomplete and not self.transport.is_closing()

    @property
    def waits_since(self) -> float:
        """When the connection began to wait for its present header or body."""
        return self._began

    def enforce(self) -> None:
        """Close the connection if a limit is over."""
        now = self.clock()
        if self._blocked_since is not None and now - self._blocked_since > WRITE_S:
            self.transport.abort()
        elif self._waits_for_header():
            if now - self._began > HEADER_S:
                self._close()
        elif self.cycle.more_body and not self.cycle.response_started:
            if self.flow.read_paused:
                # The service is behind, not the client.
                self._began = now - self._received / BODY_BYTES_PER_S
            elif now - self._began > BODY_S + self._received / BODY_BYTES_PER_S:
                self._close()

    def _begin(self) -> None:
        self._began, self._received = self.clock(), 0

    def _waits_for_header(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _close(self) -> None:
        started = self._received or not self._waits_for_header()
        answerable = started and self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        if answerable and not self.transport.is_closing():
            self.transport.write(_REQUEST_TIMEOUT)
        self.transport.close()

    def _evict(self) -> None:
        waiting = [other for other in self.connections if isinstance(other, LimitedProtocol) and other.waits_for_client]
        oldest = min(waiting, key=lambda other: other.waits_since, default=self)
        oldest.transport.abort()
        self.connections.discard(oldest)
