"""The watchdog of a worker: a thread that ends the process when a step of the loop does not return.

A step that hangs inside the device's driver can be ended in no other way. The heartbeat, a thread as well, would extend
the leases of the worker's jobs without end.
"""

import logging
import os
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from worker.activity import Activity

EX_STEP_TIMEOUT = 75
"""The exit code: a temporary failure; the supervisor starts the worker again."""

CHECK_EVERY_S = 1.0
HANDOVER_TIMEOUT_S = 5.0
"""How long the end waits for the jobs to be returned; afterwards they go on when their leases expire."""

log = logging.getLogger(__name__)


class Watchdog:
    """A context manager that watches the loop while it is entered.

    Args:
        activity: of the loop.
        limit_s: the longest time between two movements.
        hand_over: returns the jobs to the queue; called in a thread.
        end: ends the process with an exit code.
    """

    def __init__(
        self,
        activity: Activity,
        limit_s: float,
        hand_over: Callable[[], None],
        end: Callable[[int], object] = os._exit,
    ) -> None:
        self._activity = activity
        self._limit_s = limit_s
        self._hand_over = hand_over
        self._end = end
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(min(CHECK_EVERY_S, self._limit_s / 2)):
            stalled_s = self._activity.stalled_s
            if stalled_s > self._limit_s:
                log.critical(
                    "The present step has not returned for %.0f s (DTI_STEP_LIMIT_S is %g). This worker ends; its "
                    "jobs go on elsewhere.",
                    stalled_s,
                    self._limit_s,
                )
                handover = threading.Thread(target=self._hand_over, name="handover", daemon=True)
                handover.start()
                handover.join(HANDOVER_TIMEOUT_S)
                self._end(EX_STEP_TIMEOUT)
                return
