"""Five hundred listeners of one training, on one API process."""

import asyncio
import threading

import psutil
import pytest

from stack.processes import LOOPBACK
from tests.support.stack import drawings

BRIEF = {"steps": 60, "batch_size": 2, "seed": 11, "preview_prompt": "a photo of {}", "preview_every": 20}

LISTENERS = 500
INTERRUPTED = 50
"""Listeners that disconnect after the first events and resume after the last one."""

GROWTH_LIMIT_BYTES = 50_000_000
RETRY_DEADLINE_S = 150


async def follow(port, job_id, after=0, until=lambda _: False):
    """The (number, name) of every event until the stream ends, or until one of them is enough."""
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        lines = (
            f"GET /v1/jobs/{job_id}/events HTTP/1.1",
            f"Host: {LOOPBACK}:{port}",
            f"Last-Event-ID: {after}",
            "Connection: close",
        )
        writer.write("\r\n".join([*lines, "", ""]).encode())
        seen, number = [], None
        while line := await reader.readline():
            if line.startswith(b"id: "):
                number = int(line[4:])
            elif line.startswith(b"event: "):
                seen.append((number, line[7:].strip().decode()))
                if until(seen):
                    break
        return seen
    finally:
        writer.close()


async def follow_with_a_break(port, job_id):
    first = await follow(port, job_id, until=lambda seen: len(seen) == 2)
    return first + await follow(port, job_id, after=first[-1][0])


async def everybody(port, job_id):
    whole = [follow(port, job_id) for _ in range(LISTENERS - INTERRUPTED)]
    broken = [follow_with_a_break(port, job_id) for _ in range(INTERRUPTED)]
    async with asyncio.timeout(RETRY_DEADLINE_S):
        return await asyncio.gather(*whole, *broken)


@pytest.fixture
def grown(stack):
    """Says by how much the API's process has grown at most since the test began."""
    api = psutil.Process(stack.children()["api"].pid)
    start = most = api.memory_info().rss
    over = threading.Event()

    def watch():
        nonlocal most
        while not over.wait(0.1):
            most = max(most, api.memory_info().rss)

    watching = threading.Thread(target=watch)
    watching.start()
    yield lambda: most - start
    over.set()
    watching.join()


def test_all_listeners_get_the_last_event_and_the_api_hardly_grows(stack, grown):
    job = stack.client.train("followed", drawings("teal", count=2), **BRIEF)
    streams = asyncio.run(everybody(stack.port, job["id"]))
    assert len(streams) == LISTENERS
    numbers = list(range(1, streams[0][-1][0] + 1))
    for stream in streams:
        assert [number for number, _ in stream] == numbers
        assert [name for _, name in stream].count("done") == 1
        assert stream[-1][1] == "done"
    print(f"grown by {grown() / 1e6:.1f} MB over {len(numbers)} events")  # noqa: T201 - what the floor is measured by
    assert grown() <= GROWTH_LIMIT_BYTES
