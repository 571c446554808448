"""The process supervisor: starts programs tier by tier, restarts the ones that end, stops them in reverse order.

All of it happens in one thread, with which the kernel ends the children.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.processes import Child, Program

_FIRST_DELAY_S = 0.5
_MAX_DELAY_S = 30.0
_STABLE_AFTER_S = 60.0
"""After this time without a restart the backoff is reset."""
_POLL_INTERVAL_S = 0.1


@dataclass
class _SupervisedChild:
    """A child and its restart backoff."""

    child: Child
    delay_s: float = _FIRST_DELAY_S
    started_at: float = 0.0
    restart_at: float | None = None


class Supervisor:
    """Programs in tiers.

    Args:
        logs: the folder of the programs' logs.
        report: called with a message for each restart.
    """

    def __init__(self, logs: Path, report: Callable[[str], None]) -> None:
        self._logs = logs
        self._report = report
        self._tiers: list[list[_SupervisedChild]] = []

    def start(self, programs: Sequence[Program]) -> None:
        """Start all programs of a tier, then wait until all are ready.

        Raises:
            ProgramFailedError: one of them was not ready in time.
        """
        tier = [_SupervisedChild(Child(program, self._logs)) for program in programs]
        self._tiers.append(tier)
        for supervised in tier:
            supervised.child.start()
            supervised.started_at = time.monotonic()
        for supervised in tier:
            supervised.child.wait_ready()

    def run(self, program: Program) -> None:
        """Run a program that ends by itself, within its `start_timeout_s`.

        Raises:
            ProgramFailedError: it took longer, or ended with an error.
        """
        child = Child(program, self._logs)
        child.start()
        child.wait_finished()

    def watch(self) -> None:
        """Restart programs that end and rotate their logs, until an exception such as KeyboardInterrupt."""
        while True:
            for tier in self._tiers:
                for supervised in tier:
                    self._restart_if_due(supervised, time.monotonic())
                    supervised.child.rotate_log()
            time.sleep(_POLL_INTERVAL_S)

    def stop(self) -> None:
        """Stop all programs, the last tier first."""
        while self._tiers:
            tier = self._tiers.pop()
            for supervised in tier:
                supervised.child.terminate()
            for supervised in tier:
                supervised.child.stop()

    def _restart_if_due(self, supervised: _SupervisedChild, now: float) -> None:
        if supervised.child.running:
            return
        if supervised.restart_at is None:
            self._schedule_restart(supervised, now)
        elif now >= supervised.restart_at:
            supervised.child.start()
            supervised.started_at, supervised.restart_at = now, None

    def _schedule_restart(self, supervised: _SupervisedChild, now: float) -> None:
        """Schedule the restart of an ended child, with exponential backoff."""
        if now - supervised.started_at > _STABLE_AFTER_S:
            supervised.delay_s = _FIRST_DELAY_S
        supervised.restart_at = now + supervised.delay_s
        self._report(
            f"The {supervised.child.program.name} ended ({supervised.child.exit_code}) and is restarted in "
            f"{supervised.delay_s:g} s. Its log: {supervised.child.log}"
        )
        supervised.delay_s = min(_MAX_DELAY_S, supervised.delay_s * 2)
