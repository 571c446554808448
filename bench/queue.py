"""Throughput of the job queue on one database: submissions, claims one by one and in batches, and their SQL statements.

`python -m bench.queue [DATABASE_URL]`: without an address a SQLite file in a temporary folder. The database must be
empty; PostgreSQL should run with its default durability. The device is left out: a claimed job succeeds at once.
"""

import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import event

import migrations
from bench.figures import Figure, show
from dti.spec.settings import CompleteRendering
from service import jobs
from service.context import Service
from service.database.tables import LOCAL_OWNER_ID
from service.jobs import Claim, NewJob
from service.kinds.jobs import GenerateInput
from service.settings import Limits, Settings
from stack import stores
from stack.processes import LOOPBACK, Child, free_port

JOBS = 400
BATCH = 16


class _StatementCounter:
    """SQL statements executed on a database since the last reset."""

    def __init__(self, service: Service) -> None:
        self.count = 0
        event.listen(service.database.engine, "before_cursor_execute", self._increment)

    def _increment(self, *_: object) -> None:
        self.count += 1


def measure(service: Service) -> Iterator[Figure]:
    """Fill and empty the queue twice: with claims of one job, then with claims of a batch."""
    counter = _StatementCounter(service)
    yield from _figures(counter, "submit", lambda: _submit(service), JOBS)
    yield from _figures(counter, "claim one job and end it", lambda: _drain(service, slots=1), JOBS)
    _submit(service)
    yield from _figures(counter, f"claim {BATCH} jobs at once and end each", lambda: _drain(service, slots=BATCH), JOBS)


def _figures(counter: _StatementCounter, label: str, work: Callable[[], None], count: int) -> Iterator[Figure]:
    counter.count, start = 0, time.perf_counter()
    work()
    yield Figure(f"{label}: jobs a second", count / (time.perf_counter() - start), "1/s")
    yield Figure(f"{label}: SQL statements a job", counter.count / count, "")


def _submit(service: Service) -> None:
    rendering = CompleteRendering(
        num_images=1, width=64, height=64, steps=20, guidance_scale=4.0, scheduler="ddim", seed=7
    )
    picture = GenerateInput(prompt="a photo", negative_prompt="", model="tiny", rendering=rendering)
    for _ in range(JOBS):
        with service.database.writing() as session:
            jobs.submit(service, session, NewJob(owner_id=LOCAL_OWNER_ID, model="tiny", input=picture))


def _drain(service: Service, *, slots: int) -> None:
    while claims := _claim(service, slots):
        for claim in claims:
            with service.database.writing() as session:
                jobs.succeed(session, claim)


def _claim(service: Service, slots: int) -> list[Claim]:
    with service.database.writing() as session:
        return jobs.claim(
            session, worker_id="bench", models=["tiny"], slots={"pictures": slots}, lease_s=service.settings.lease_s
        )


@contextmanager
def _service(folder: Path, database_url: str | None) -> Iterator[Service]:
    """A service on a Valkey of its own; no object store is reached."""
    port, password = free_port(), secrets.token_hex(16)
    settings = Settings(
        home=folder,
        database_url=database_url,
        broker_url=f"redis://:{password}@{LOOPBACK}:{port}/0",
        s3_endpoint=f"http://{LOOPBACK}:1",
        s3_access_key="unused",
        s3_secret_key="unused",
        limits=Limits(unfinished_jobs=JOBS + 1),
    )
    migrations.upgrade(settings.database_address)
    with Child(stores.valkey(folder / "valkey", port, password=password), folder / "logs"):
        service = Service.open(settings)
        yield service
        service.close()


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory(prefix="dti-bench-") as temporary,
        _service(Path(temporary), sys.argv[1] if len(sys.argv) > 1 else None) as opened,
    ):
        show(measure(opened))
