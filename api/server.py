"""The HTTP server around the application."""

import ctypes
from collections.abc import Callable
from types import FrameType

import uvicorn

from api.app import create_app
from service.context import Service
from service.settings import Settings
from service.uploads import decoders

_GRACEFUL_SHUTDOWN_S = 5

_M_MMAP_THRESHOLD = -3
"""The parameter's number in glibc's `mallopt`."""
_LARGE_BLOCK_BYTES = 1_000_000


class _Server(uvicorn.Server):
    """A server that closes event streams at shutdown; otherwise it would wait for the last of them."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGINT or SIGTERM."""
        self._on_exit()
        super().handle_exit(sig, frame)


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
        timeout_graceful_shutdown=_GRACEFUL_SHUTDOWN_S,
        # Signed URLs are secrets until they expire, and an access log would keep them.
        access_log=False,
        server_header=False,
    )
    return _Server(config, app.state.components.event_poller.close)


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
    """
    return_large_blocks()
    decoders.start_server()
    server(Service.open(settings)).run()
