import asyncio
from contextlib import AsyncExitStack

import pytest

from api.upload_queue import UploadQueue


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def use(queue, clock, owner, seconds):
    async with queue.place(owner):
        clock.now += seconds


class Holder:
    """A task that waits for a place and keeps it until it is told to end."""

    def __init__(self, queue, owner):
        self.holds, self._end = False, asyncio.Event()
        self.task = asyncio.create_task(self._run(queue, owner))

    async def _run(self, queue, owner):
        async with queue.place(owner):
            self.holds = True
            await self._end.wait()

    async def end(self):
        self._end.set()
        await self.task


def test_an_owner_has_one_place(clock):
    async def run():
        queue = UploadQueue(3, clock)
        first, second = Holder(queue, "a"), Holder(queue, "a")
        await settled()
        assert (first.holds, second.holds) == (True, False)
        await first.end()
        await settled()
        assert second.holds
        await second.end()

    asyncio.run(run())


def test_one_place_is_kept_for_owners_with_little_use(clock):
    async def run():
        queue = UploadQueue(2, clock)
        for owner in ("a", "b"):
            await use(queue, clock, owner, 5.0)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(queue.place("a"))
            heavy = Holder(queue, "b")
            await settled()
            assert not heavy.holds
            async with queue.place("new"):
                pass
            assert not heavy.holds
        await settled()
        assert heavy.holds
        await heavy.end()

    asyncio.run(run())


def test_the_owner_with_the_least_use_is_next(clock):
    async def run():
        queue = UploadQueue(2, clock)
        for owner, seconds in {"a": 9.0, "b": 6.0, "c": 3.0}.items():
            await use(queue, clock, owner, seconds)
        async with queue.place("a"):
            b, c = Holder(queue, "b"), Holder(queue, "c")
            await settled()
        await settled()
        assert (b.holds, c.holds) == (False, True)
        await c.end()
        await b.end()

    asyncio.run(run())


def test_use_is_forgotten_with_time(clock):
    async def run():
        queue = UploadQueue(2, clock)
        await use(queue, clock, "a", 10.0)
        clock.now += 600
        async with queue.place("b"), asyncio.timeout(1), queue.place("a"):
            pass

    asyncio.run(run())


def test_a_request_that_is_cancelled_while_it_waits_leaves_no_gap(clock):
    async def run():
        queue = UploadQueue(2, clock)
        first, cancelled, third = (Holder(queue, "a") for _ in range(3))
        await settled()
        cancelled.task.cancel()
        await first.end()
        await settled()
        assert third.holds
        await third.end()

    asyncio.run(run())
