"""Flat growth: what is asked often costs the same with ten rows and with ten thousand, in instructions of SQLite."""

import shutil
from contextlib import suppress

import pytest

from service import gallery, idempotency, jobs, retention
from service.accounts import usage
from service.concepts import concepts, listing
from service.context import Service
from service.database.tables import LOCAL_OWNER_ID
from service.settings import Retention, Settings
from service.webhooks import deliveries
from tests.support.counted_work import counted_work
from tests.support.grown_database import grow
from tests.support.service_driver import ServiceDriver
from tests.support.stores import store_environment

SIZES = (10, 10_000)
LIMIT = 1.5
SLOTS = {"pictures": 4, "trainings": 4, "rpcs": 4}
KEPT = Retention(uploads_days=30, images_days=30, previews_days=30)


def list_jobs(**filters):
    return lambda session: jobs.page(session, LOCAL_OWNER_ID, jobs.Filters(**filters), None, 5)


def claim(session):
    assert jobs.claim(session, worker_id="ada", models=["tiny"], slots=SLOTS, lease_s=15)


def estimate(session):
    """Of a job at the end of the queue; the profile of a long queue is kept after the first call."""
    (job,) = jobs.page(session, LOCAL_OWNER_ID, jobs.Filters(status="queued"), None, 1).items
    assert jobs.estimate(session, [job])[job.id].position > 0


READS = {
    "the worker's look": lambda session: jobs.has_claimable(session, models=["tiny"], slots=SLOTS),
    "the look of a worker of another model": lambda session: jobs.has_claimable(session, models=["x"], slots=SLOTS),
    "a list of jobs": list_jobs(),
    "a list of ended jobs": list_jobs(status="succeeded"),
    "a list of queued jobs": list_jobs(status="queued"),
    "a list of failed jobs": list_jobs(status="failed"),
    "a list of trainings": list_jobs(kind="train"),
    "a list of interpolations": list_jobs(kind="interpolate"),
    "a list of a concept's jobs": list_jobs(concept="my-dog"),
    "a list of concepts": lambda session: listing.page(session, LOCAL_OWNER_ID, listing.Filters(), None, 5),
    "a queued job with its estimate": estimate,
    "a concept by name": lambda session: concepts.get(session, LOCAL_OWNER_ID, "my-dog"),
    "the gallery": lambda session: gallery.page(session, LOCAL_OWNER_ID, gallery.Filters(), None, 5),
    "the device seconds of today": lambda session: usage.device_s_today(session, LOCAL_OWNER_ID),
    "due deliveries": deliveries.any_due,
    "stale jobs": lambda session: jobs.models_with_stale_jobs(session, after_s=5),
}
WRITES = {
    "a claim": claim,
    "a claim beside running jobs": lambda session: (claim(session), claim(session)),
    "expired leases": lambda session: jobs.expire_leases(session, max_attempts=3, lease_s=15),
    "old checkpoints": jobs.take_old_checkpoints,
    "old RPCs": jobs.delete_old_rpcs,
    "orphaned RPCs": lambda session: jobs.cancel_orphaned_rpcs(session, after_s=60),
    "expired pictures": lambda session: retention.delete_expired(session, KEPT),
    "expired keys": idempotency.delete_expired,
    "expired deliveries": deliveries.delete_expired,
}


class RolledBackError(Exception):
    """Undoes a measured transaction."""


@pytest.fixture(scope="module")
def counts(tmp_path_factory, sqlite_template, valkey_server, s3_server):
    """The instructions of every query, first with few rows and then with many."""
    return [_counts(tmp_path_factory.mktemp("grown"), sqlite_template, valkey_server, s3_server, n) for n in SIZES]


def _counts(folder, template, valkey, s3, size):
    url = f"sqlite:///{shutil.copy(template, folder / 'dti.sqlite3')}"
    service = Service.open(Settings.from_environment(store_environment(folder, url, valkey, s3.new_bucket())))
    try:
        driver = ServiceDriver(service)
        grow(driver, size)
        queries = {name: (driver.database.reading, query) for name, query in READS.items()}
        queries |= {name: (driver.database.writing, query) for name, query in WRITES.items()}
        return {name: _instructions(driver.database, *query) for name, query in queries.items()}
    finally:
        service.close()


def _instructions(database, transaction, query):
    with suppress(RolledBackError), transaction() as session:
        query(session)
        raise RolledBackError
    with counted_work(database) as work, suppress(RolledBackError), transaction() as session:
        query(session)
        raise RolledBackError
    return work.instructions


@pytest.mark.parametrize("name", [*READS, *WRITES])
def test_the_work_does_not_grow_with_the_number_of_rows(counts, name):
    few, many = (count[name] for count in counts)
    assert few > 0
    assert many <= LIMIT * few, f"{few} instructions with {SIZES[0]} rows, {many} with {SIZES[1]}"
