"""Keeps programs running in tiers: starts one tier after the other, restarts what dies, stops in reverse.

It knows no program in particular. All of it happens in one thread, the one that the children live and die with.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from stack.processes import Child, Program

_FIRST_DELAY_S = 0.5
_LONGEST_DELAY_S = 30.0
_STEADY_S = 60.0
"""A child that ran this long is taken to be well again: its next restart is quick."""
_POLL_S = 0.1


@dataclass
class _Watched:
    """A child, and how its restarts went."""

    child: Child
    delay_s: float = _FIRST_DELAY_S
    started_at: float = 0.0
    due_at: float | None = None


class Supervisor:
    """Programs in tiers.

    Args:
        logs: the folder of the programs' logs.
        say: told in a sentence about everything that a person should know.
    """

    def __init__(self, logs: Path, say: Callable[[str], None]) -> None:
        self._logs = logs
        self._say = say
        self._tiers: list[list[_Watched]] = []

    def start(self, programs: Sequence[Program]) -> None:
        """Start a tier, all of it at once, and wait until all of it is ready.

        Raises:
            ProgramFailedError: one of them did not become ready.
        """
        tier = [_Watched(Child(program, self._logs)) for program in programs]
        self._tiers.append(tier)
        for watched in tier:
            watched.child.start()
            watched.started_at = time.monotonic()
        for watched in tier:
            watched.child.wait_ready()

    def run(self, program: Program) -> None:
        """Run a program that is to end by itself, within the time that it has to become ready.

        Raises:
            ProgramFailedError: it took too long, or ended with an error.
        """
        child = Child(program, self._logs)
        child.start()
        child.wait_done()

    def watch(self) -> None:
        """Restart whatever dies, until an exception such as a KeyboardInterrupt arrives from outside."""
        while True:
            for tier in self._tiers:
                for watched in tier:
                    self._revive(watched, time.monotonic())
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """End all programs, the last tier first."""
        while self._tiers:
            tier = self._tiers.pop()
            for watched in tier:
                watched.child.terminate()
            for watched in tier:
                watched.child.stop()

    def _revive(self, watched: _Watched, now: float) -> None:
        if watched.child.running:
            return
        if watched.due_at is None:
            self._plan(watched, now)
        elif now >= watched.due_at:
            watched.child.start()
            watched.started_at, watched.due_at = now, None

    def _plan(self, watched: _Watched, now: float) -> None:
        """Choose when to start a dead child again: each time later, unless it had been well for a while."""
        if now - watched.started_at > _STEADY_S:
            watched.delay_s = _FIRST_DELAY_S
        watched.due_at = now + watched.delay_s
        self._say(
            f"The {watched.child.program.name} ended ({watched.child.exit_code}) and is started again in "
            f"{watched.delay_s:g} s. Its log: {watched.child.log}"
        )
        watched.delay_s = min(_LONGEST_DELAY_S, watched.delay_s * 2)
