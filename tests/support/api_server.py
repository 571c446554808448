"""The HTTP server of the API in a thread of the test's process."""

import signal
import threading
import time
from contextlib import contextmanager

from api.server import server


@contextmanager
def serving(service):
    """A listening server around an open service; leaving the block stops it and closes the service."""
    running = server(service)
    # A server that does not stop fails its test; it must not keep the process alive.
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started and thread.is_alive():
        time.sleep(0.005)
    yield running
    running.handle_exit(signal.SIGTERM, None)
    thread.join(timeout=10)
    assert not thread.is_alive()
