"""The bucket of a database: nothing is deleted from a stranger's, nor en masse."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from cli.main import app
from service import bucket, metrics
from service.database.engine import Database
from service.errors import BucketForeignError
from service.orphans import FEW_ORPHANS, MAX_ORPHANS, OrphanScan
from service.retention import GRACE, is_ours
from tests.support.service_driver import ServiceDriver
from tests.support.worker_driver import later
from worker.maintenance import Maintenance

LATER = 2 * GRACE


def put(service, count, prefix="own_local/images"):
    keys = [f"{prefix}/{number}.png" for number in range(count)]
    for key in keys:
        service.storage.put(key, b"x", "image/png")
    return keys


def count(service):
    return sum(is_ours(item.key) for item in service.storage.list_after("", 1000))


def collect(service):
    maintenance = Maintenance(later(service, LATER))
    for _ in range(2):
        maintenance.collect_orphans()


def metric(service, reason):
    with service.database.reading() as session:
        lines = metrics.exposition(session, ()).decode().splitlines()
    name = f'dti_orphan_collection_stopped{{reason="{reason}"}} '
    return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.fixture
def stranger(service, tmp_path, sqlite_template):
    """An empty database beside the same bucket."""
    path = tmp_path / "stranger.sqlite3"
    path.write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{path}")
    yield replace(service, database=database)
    database.close()


def test_an_empty_database_beside_the_same_bucket_deletes_nothing(service, stranger):
    put(service, 5)
    for task in ("collect_orphans", "delete_expired"):
        with pytest.raises(BucketForeignError, match=r"belongs to the database dbs_\w+, and this is dbs_"):
            getattr(Maintenance(later(stranger, LATER)), task)()
    assert count(service) == 5
    assert metric(stranger, "foreign_bucket") == 1
    assert metric(service, "foreign_bucket") == 0


def test_a_new_database_does_not_take_a_full_bucket_without_an_id(service, stranger):
    put(service, 1)
    service.storage.delete([bucket.IDENTITY_KEY])
    with pytest.raises(BucketForeignError, match="an unknown database: it holds objects and no id"):
        bucket.claim(stranger)
    ServiceDriver(service).concept("dog")
    bucket.claim(service)
    bucket.claim(service)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"database": 1}', b"\xff"])
def test_an_id_that_cannot_be_read_is_a_strangers(service, content):
    service.storage.put(bucket.IDENTITY_KEY, content, "application/json")
    with pytest.raises(BucketForeignError):
        bucket.claim(service)


def test_a_bucket_is_adopted_when_that_is_asked_for(service, stranger):
    bucket.claim(stranger, adopt=True)
    bucket.claim(stranger)
    with pytest.raises(BucketForeignError):
        bucket.claim(service)


def test_few_orphans_are_deleted_and_many_are_not(service, caplog):
    put(service, FEW_ORPHANS)
    collect(service)
    assert count(service) == 0
    put(service, FEW_ORPHANS + 1)
    with caplog.at_level(logging.ERROR):
        collect(service)
    assert count(service) == FEW_ORPHANS + 1
    assert "have no row, and none is deleted" in caplog.text
    assert metric(service, "too_many_orphans") == 1


@pytest.mark.parametrize(
    ("orphans", "total", "stopped"),
    [(10, 12, False), (11, 219, True), (11, 221, False), (MAX_ORPHANS, 2001, False), (MAX_ORPHANS + 1, 9000, True)],
)
def test_the_share_and_the_number_of_orphans_are_limited(orphans, total, stopped):

    scan = OrphanScan(total=total, count=orphans)
    assert scan.suspicious == stopped


def test_a_collection_that_goes_well_again_takes_the_alarm_back(service):
    keys = put(service, FEW_ORPHANS + 1)
    collect(service)
    assert metric(service, "too_many_orphans") == 1
    service.storage.delete(keys)
    collect(service)
    assert metric(service, "too_many_orphans") == 0


def test_the_commands_adopt_a_bucket_and_count_orphans(service, stranger, environment, monkeypatch):
    put(service, 3)
    monkeypatch.setattr("service.retention.GRACE", -timedelta(minutes=1))
    other = {**environment, "DTI_DATABASE_URL": str(stranger.database.url)}
    run = CliRunner().invoke
    assert run(app, ["orphans"], env=environment).output == "3 orphaned objects are in the bucket.\n"
    assert isinstance(run(app, ["migrate"], env=other).exception, BucketForeignError)
    assert run(app, ["migrate", "--adopt-bucket"], env=other).exit_code == 0
    assert isinstance(run(app, ["orphans", "--delete"], env=environment).exception, BucketForeignError)
    assert run(app, ["orphans", "--delete"], env=other).output == "3 orphaned objects were deleted.\n"
    assert count(service) == 0
