"""The queue for decoding: one place an owner, and one place that is kept for owners with little use of late.

Places are taken for one picture, not for a request: a request with many or slow pictures delays its owner, not others.
"""

import time
from asyncio import Future, get_running_loop
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_HALF_LIFE_S = 30.0
"""In this time an owner's use of the past counts half."""

_LITTLE_S = 1.0
"""Use up to this is little."""


@dataclass
class _Use:
    """Seconds of decoding, as of a time."""

    seconds: float = 0.0
    at: float = 0.0

    def now(self, at: float) -> float:
        return float(self.seconds * 0.5 ** ((at - self.at) / _HALF_LIFE_S))


@dataclass(eq=False)
class _Waiting:
    owner_id: str
    admitted: "Future[None]" = field(default_factory=lambda: get_running_loop().create_future())


class UploadQueue:
    """Places for decoding, given to the owner with the least use first.

    Args:
        places: at least 2.
        clock: seconds of a monotonic clock.
    """

    def __init__(self, places: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = places
        self._clock = clock
        self._busy: set[str] = set()
        self._waiting: list[_Waiting] = []
        self._uses: dict[str, _Use] = {}

    @asynccontextmanager
    async def place(self, owner_id: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it in the block."""
        await self._wait(owner_id)
        started = self._clock()
        try:
            yield
        finally:
            self._busy.remove(owner_id)
            self._record(owner_id, self._clock() - started)
            self._admit()

    async def _wait(self, owner_id: str) -> None:
        waiting = _Waiting(owner_id)
        self._waiting.append(waiting)
        self._admit()
        try:
            await waiting.admitted
        except BaseException:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:  # admitted and cancelled at once
                self._busy.remove(owner_id)
                self._admit()
            raise

    def _admit(self) -> None:
        now = self._clock()
        for waiting in sorted(self._waiting, key=lambda waiting: self._use(waiting.owner_id, now)):
            if waiting.owner_id not in self._busy and self._has_place(waiting.owner_id, now):
                self._waiting.remove(waiting)
                self._busy.add(waiting.owner_id)
                waiting.admitted.set_result(None)

    def _has_place(self, owner_id: str, now: float) -> bool:
        kept = 0 if self._use(owner_id, now) <= _LITTLE_S else 1
        return len(self._busy) < self._places - kept

    def _use(self, owner_id: str, now: float) -> float:
        return self._uses.get(owner_id, _Use()).now(now)

    def _record(self, owner_id: str, seconds: float) -> None:
        now = self._clock()
        self._uses = {owner: use for owner, use in self._uses.items() if use.now(now) > _LITTLE_S / 10}
        self._uses[owner_id] = _Use(self._use(owner_id, now) + seconds, now)
