"""The drain of a process before it stops: it is not ready any more, and still answers.

Load balancers need some seconds to notice; a port that is closed before would cost them requests.
"""

import threading
from collections.abc import Callable


class Drain:
    """Whether the process is about to stop; set from a signal handler, read by requests."""

    def __init__(self) -> None:
        self.started = False

    def start(self, delay_s: float, stop: Callable[[], None]) -> None:
        """Stop after a delay, or at once without one, or when it is called again."""
        if self.started or not delay_s:
            self.started = True
            stop()
            return
        self.started = True
        timer = threading.Timer(delay_s, stop)
        timer.daemon = True
        timer.start()
