"""The schedule of the maintenance: each task in a thread of its own, so that a slow one delays no other.

It needs no broker: while that is down, the leases of lost workers expire all the same.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.errors import UnavailableError

STOP_TIMEOUT_S = 5.0
"""How long the end waits for tasks that run; what they have not committed is rolled back."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """An action that is repeated.

    Args:
        name: for the log.
        every_s: seconds from the end of one run to the beginning of the next.
        action: the action; its errors are logged, and the next run goes on.
    """

    name: str
    every_s: float
    action: Callable[[], object]


def run(tasks: Sequence[Task], stopping: threading.Event) -> None:
    """Repeat the tasks until the event is set."""
    threads = [threading.Thread(target=_repeat, args=(task, stopping), name=task.name, daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    stopping.wait()
    for thread in threads:
        thread.join(STOP_TIMEOUT_S)


def _repeat(task: Task, stopping: threading.Event) -> None:
    while True:
        try:
            task.action()
        except UnavailableError as error:
            # An outage needs no traceback: the task runs again soon.
            log.warning("%s was skipped: %s", task.name, error)
        except Exception:
            # Without this thread the task would never run again.
            log.exception("%s failed", task.name)
        if stopping.wait(task.every_s):
            return
