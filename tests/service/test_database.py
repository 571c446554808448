"""Transactions: committed or undone as a whole, with what follows a commit, and a database that is not there."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import SQLAlchemyError

from service.database import clock
from service.database.engine import IDLE_IN_TRANSACTION_TIMEOUT_S, LOCK_TIMEOUT_S, Database, after_commit
from service.database.tables import Owner, Worker
from service.errors import DatabaseUnavailableError
from stack.processes import LOOPBACK, free_port
from tests.support.queue_driver import NOON


def owner(name):
    return Owner(id=name, name=name, created_at=NOON)


def names(database):
    with database.reading() as session:
        return set(session.scalars(select(Owner.id)))


def write_and_fail(database, write):
    with database.writing() as session:
        write(session)
        session.flush()
        raise KeyError


def test_written_rows_are_stored_and_readable_after_the_transaction(database):
    with database.writing() as session:
        written = owner("own_a")
        session.add(written)
    assert written.name == "own_a"
    assert "own_a" in names(database)


def test_an_error_rolls_everything_back(database):
    with pytest.raises(KeyError):
        write_and_fail(database, lambda session: session.add(owner("own_a")))
    assert "own_a" not in names(database)


def test_an_error_message_contains_no_values(database):
    with pytest.raises(SQLAlchemyError) as error, database.writing() as session:
        session.add(Owner(id="own_a", name="hush", created_at=NOON.replace(tzinfo=None)))
    assert "INSERT" in str(error.value)
    assert "hush" not in str(error.value)


def test_after_commit_hooks_see_the_commit_and_never_run_after_a_rollback(database):
    seen = []
    with database.writing() as session:
        session.add(owner("own_a"))
        after_commit(session, lambda: seen.append("own_a" in names(database)))
        assert seen == []
    with pytest.raises(KeyError):
        write_and_fail(database, lambda session: after_commit(session, lambda: seen.append("never")))
    assert seen == [True]


def test_times_are_read_with_a_zone_and_one_without_is_refused(database):
    with database.writing() as session:
        session.add(Worker(worker_id="w", device="cpu", models=["tiny"], last_heartbeat_at=NOON))
    with database.reading() as session:
        last_heartbeat_at = session.scalars(select(Worker.last_heartbeat_at)).one()
    assert last_heartbeat_at == NOON
    assert last_heartbeat_at.utcoffset().total_seconds() == 0
    with pytest.raises(Exception, match="no time zone"), database.writing() as session:
        session.add(Worker(worker_id="v", device="cpu", models=[], last_heartbeat_at=NOON.replace(tzinfo=None)))


def test_a_reading_transaction_sees_one_snapshot_and_blocks_no_writer(database):
    with database.reading() as reader:
        reader.scalars(select(Owner)).all()
        with database.writing() as session:
            session.add(owner("own_a"))
    assert "own_a" in names(database)


def test_a_responding_database_passes_its_check(database):
    database.check()


@pytest.mark.parametrize("url", ["postgresql://postgres@{address}/dti", "sqlite:////nowhere/at/all/dti.db"])
def test_an_unreachable_database_is_unavailable(url):
    database = Database(url.format(address=f"{LOOPBACK}:{free_port()}"))
    with pytest.raises(DatabaseUnavailableError):
        database.check()
    with pytest.raises(DatabaseUnavailableError), database.writing() as session:
        session.execute(text("SELECT 1"))
    database.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_form_of_a_postgresql_url_is_accepted(scheme):
    database = Database(f"{scheme}://user:secret@host/dti")
    assert database.url.drivername == "postgresql+psycopg"
    database.close()


def test_the_time_of_a_transaction_is_the_databases_however_wrong_the_machines_clock_is(database_url, monkeypatch):
    database = Database(database_url)
    monkeypatch.setattr(clock, "utc_now", lambda: datetime.now(UTC) + timedelta(hours=1))
    with database.writing() as session:
        moment = clock.now(session)
        assert abs((moment - datetime.now(UTC)).total_seconds()) < 60
        assert clock.now(session) == moment
        assert clock.skew_s(session) == pytest.approx(3600, abs=60)
    database.close()


def test_asking_for_the_time_flushes_no_incomplete_row(database_url):
    database = Database(database_url)
    with database.writing() as session:
        row = Owner(id="own_a", name="own_a")
        session.add(row)
        row.created_at = clock.now(session)
    assert "own_a" in names(database)
    database.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_caller_that_waits_for_a_locked_row_is_told_within_seconds(database):
    with database.writing() as session:
        session.add(owner("own_a"))
    locked = select(Owner).where(Owner.id == "own_a").with_for_update()
    with database.writing() as first:
        first.scalars(locked).one()
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailableError, match="lock"), database.writing() as second:
            second.scalars(locked).one()
        assert time.monotonic() - started < LOCK_TIMEOUT_S + 2


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_transaction_that_stands_still_is_ended_and_frees_its_rows(database):
    with database.writing() as session:
        session.add(owner("own_a"))
        limit = session.scalars(text("SHOW idle_in_transaction_session_timeout")).one()
        assert limit == f"{IDLE_IN_TRANSACTION_TIMEOUT_S}s"
    with pytest.raises(DatabaseUnavailableError):
        stand_still_within_a_transaction(database)


def stand_still_within_a_transaction(database):
    """Lock a row, stand still for longer than the limit, see another writer go on, and want to go on as well."""
    locked = select(Owner).where(Owner.id == "own_a").with_for_update()
    with database.writing() as frozen:
        frozen.execute(text("SET idle_in_transaction_session_timeout = '200ms'"))
        frozen.scalars(locked).one()
        time.sleep(0.5)
        with database.writing() as other:
            other.scalars(locked).one()
        frozen.scalars(locked).one()
