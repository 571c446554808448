"""Signals that end a worker: the first one makes it hand its jobs back, further ones change nothing.

Celery's own handlers would end the process in the middle of a step at the second signal.
"""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
"""SIGKILL is left for a process that does not end: its jobs go on elsewhere when their leases expire."""


def handle(*actions: Callable[[], object]) -> None:
    """Run some actions at the first stop signal, in a thread of their own; call it in the main thread.

    A handler runs between any two instructions of the main thread, also while that or an earlier handler holds the lock
    of an event: setting the event there would wait for itself. So the handlers do nothing, and the interpreter tells a
    thread through a pipe.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in STOP_SIGNALS:
        signal.signal(number, _ignore)
    threading.Thread(target=_run_at_signal, args=(reader, actions), name="stop-signals", daemon=True).start()


def _run_at_signal(reader: int, actions: tuple[Callable[[], object], ...]) -> None:
    while (received := os.read(reader, 1)) and received[0] not in STOP_SIGNALS:
        pass
    for action in actions:
        action()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    pass
