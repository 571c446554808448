"""The HTTP server that answers for the application. Knows no route."""

import ctypes
from collections.abc import Callable
from types import FrameType

import uvicorn

from api.app import create_app
from service.context import Service
from service.settings import Settings

_LAST_ANSWERS_S = 5

_M_MMAP_THRESHOLD = -3
"""The number by which the C library's `mallopt` knows it."""
_LARGE_BLOCK_BYTES = 1_000_000


class _Server(uvicorn.Server):
    """A server that lets listeners go when it is asked to end; otherwise it would wait for the last of them."""

    def __init__(self, config: uvicorn.Config, let_go: Callable[[], None]) -> None:
        super().__init__(config)
        self._let_go = let_go

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What a signal that asks for the end calls."""
        self._let_go()
        super().handle_exit(sig, frame)


def server(service: Service) -> uvicorn.Server:
    """A server around an open service, which it closes at its end.

    Raises:
        SettingsError: the settings would serve people whom they must not.
    """
    app = create_app(service)
    config = uvicorn.Config(
        app,
        host=service.settings.host,
        port=service.settings.port,
        timeout_graceful_shutdown=_LAST_ANSWERS_S,
        # Addresses of pictures are secrets for as long as they work, and an access log would keep them.
        access_log=False,
        server_header=False,
    )
    return _Server(config, app.state.parts.watcher.close)


def return_large_blocks() -> None:
    """Have this process give large blocks of memory back as soon as they are free.

    Of itself the GNU C library keeps what decoded pictures took, hundreds of megabytes, for as long as the process
    lives. Other C libraries do not know the setting, and need none.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BLOCK_BYTES)


def run(settings: Settings) -> None:
    """Answer requests until a signal asks for the end.

    Raises:
        SettingsError: a setting is wrong, or would serve people whom it must not.
    """
    return_large_blocks()
    server(Service.open(settings)).run()
