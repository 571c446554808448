"""Signals that end a worker: the first one makes it hand its jobs back, further ones change nothing.

Celery's own handlers would end the process in the middle of a step at the second signal.
"""

import signal
from collections.abc import Callable
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
"""SIGKILL is left for a process that does not end: its jobs go on elsewhere when their leases expire."""


def handle(*actions: Callable[[], object]) -> None:
    """Run some actions at every stop signal, within its handler; call it in the main thread."""

    def run_actions(_number: int, _frame: FrameType | None) -> None:
        for action in actions:
            action()

    for number in STOP_SIGNALS:
        signal.signal(number, run_actions)
