"""The HTTP server around the application."""

import ctypes
import os
from types import FrameType

import uvicorn

from api.app import create_app
from api.connections import MAX_CONNECTIONS, LimitedProtocol, connection_limit
from api.deps import Components
from service import logs
from service.context import Service
from service.settings import Settings, secret_names
from service.uploads import decoders

_GRACEFUL_SHUTDOWN_S = 5

_M_MMAP_THRESHOLD = -3
"""The parameter's number in glibc's `mallopt`."""
_LARGE_BLOCK_BYTES = 1_000_000


_TICKS_A_SECOND = 10
"""Of uvicorn's main loop."""


class _Server(uvicorn.Server):
    """A server that limits its connections, and closes event streams at shutdown instead of waiting for the last."""

    def __init__(self, config: uvicorn.Config, components: Components) -> None:
        super().__init__(config)
        self._components = components

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGINT or SIGTERM: drain, then stop; a second signal stops at once."""

        def stop() -> None:
            self._components.event_poller.close()
            super(_Server, self).handle_exit(sig, frame)

        self._components.drain.start(self._components.service.settings.drain_s, stop)

    async def on_tick(self, counter: int) -> bool:
        """Close connections that are over a time limit, once a second."""
        if counter % _TICKS_A_SECOND == 0:
            for connection in list(self.server_state.connections):
                if isinstance(connection, LimitedProtocol):
                    connection.enforce()
        return await super().on_tick(counter)


def server(service: Service) -> uvicorn.Server:
    """A server around an open service, which it closes at shutdown.

    Raises:
        SettingsError: CORS origins are set without authentication.
    """
    app = create_app(service)
    config = uvicorn.Config(
        app,
        host=service.settings.host,
        port=service.settings.port,
        http=LimitedProtocol,
        ws="none",
        # A full queue drops connections, which clients try again only after seconds.
        backlog=MAX_CONNECTIONS,
        limit_concurrency=connection_limit(),
        timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_S,
        # Reverse proxies are not trusted about addresses: nothing here depends on them.
        proxy_headers=False,
        # Signed URLs are secrets until they expire, and an access log would keep them.
        # Requests have a line of their own (api/request_log.py).
        access_log=False,
        log_config=None,
        server_header=False,
    )
    return _Server(config, app.state.components)


def return_large_blocks() -> None:
    """Return large freed blocks of memory to the operating system at once.

    By default glibc keeps the memory of decoded pictures, hundreds of megabytes, for the life of the process. Other C
    libraries have no such setting, and need none.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)


def run(settings: Settings) -> None:
    """Serve requests until SIGINT or SIGTERM.

    Raises:
        SettingsError: a setting is invalid.
        SchemaRevisionError: the database's schema is of another revision.
    """
    logs.configure()
    return_large_blocks()
    for name in secret_names():
        # The settings have them; no child process needs to.
        os.environ.pop(name, None)
    decoders.start_server()
    service = Service.open(settings)
    service.check_schema()
    server(service).run()
