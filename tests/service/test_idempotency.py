"""Requests that may be sent again: reserved, completed with what they make, freed, forgotten."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from service import idempotency
from service.database.tables import LOCAL_OWNER_ID, IdempotencyKey
from service.errors import IdempotencyInFlightError, IdempotencyKeyReusedError
from service.idempotency import LEASE, RETENTION, Reservation, StoredResponse
from tests.support.queue_driver import NOON, at_time

SECOND = timedelta(seconds=1)


@pytest.fixture
def reserve(database):
    def ask(key="k", fingerprint="a", *, at=NOON, owner=LOCAL_OWNER_ID):
        with at_time(database, at).writing() as session:
            return idempotency.reserve(session, owner, key, fingerprint)

    return ask


@pytest.fixture
def complete(database):
    def write(reservation, reference="job_x", *, at=NOON, status=202):
        with at_time(database, at).writing() as session:
            idempotency.complete(session, reservation, StoredResponse(status, reference))

    return write


@pytest.fixture
def release(database):
    def write(reservation):
        with database.writing() as session:
            idempotency.release(session, reservation)

    return write


def test_the_stored_response_is_returned_for_a_day(reserve, complete):
    complete(reserve())
    assert reserve(at=NOON + RETENTION - SECOND) == StoredResponse(202, "job_x")
    assert isinstance(reserve(at=NOON + RETENTION), Reservation)


def test_repetitions_are_refused_while_the_first_request_is_in_progress(reserve, complete):
    first = reserve()
    with pytest.raises(IdempotencyInFlightError):
        reserve()
    complete(first)
    assert reserve() == StoredResponse(202, "job_x")


def test_a_key_is_bound_to_one_content(reserve, complete):
    first = reserve(fingerprint="a")
    with pytest.raises(IdempotencyKeyReusedError):
        reserve(fingerprint="b")
    complete(first)
    with pytest.raises(IdempotencyKeyReusedError):
        reserve(fingerprint="b")


def test_owners_do_not_share_keys(queue, reserve, complete):
    complete(reserve())
    assert isinstance(reserve(owner=queue.owner("own_other")), Reservation)


def test_a_failed_request_releases_its_key_for_any_content(reserve, release):
    release(reserve(fingerprint="a"))
    assert isinstance(reserve(fingerprint="b"), Reservation)


def test_the_key_of_a_completed_request_is_not_released(reserve, complete, release):
    first = reserve()
    complete(first)
    release(first)
    assert reserve() == StoredResponse(202, "job_x")


def test_an_abandoned_request_holds_its_key_for_a_minute_and_cannot_complete_afterwards(reserve, complete, release):
    vanished = reserve()
    with pytest.raises(IdempotencyInFlightError):
        reserve(at=NOON + LEASE - SECOND)
    second = reserve(at=NOON + LEASE)
    with pytest.raises(IdempotencyInFlightError):
        complete(vanished, "job_vanished")
    release(vanished)
    complete(second, "job_second")
    assert reserve() == StoredResponse(202, "job_second")


def test_a_slow_request_completes_if_no_repetition_took_its_key(reserve, complete):
    slow = reserve()
    complete(slow, at=NOON + 10 * LEASE)
    assert reserve(at=NOON + 10 * LEASE) == StoredResponse(202, "job_x")


def test_the_key_of_a_request_in_progress_is_not_deleted(database, reserve, complete):
    slow = reserve()
    with at_time(database, NOON + 10 * LEASE).writing() as session:
        idempotency.delete_expired(session)
    complete(slow, at=NOON + 11 * LEASE)
    assert reserve(at=NOON + 11 * LEASE) == StoredResponse(202, "job_x")


def test_of_many_concurrent_reservations_one_succeeds(reserve):
    outcomes, start = [], threading.Barrier(8)

    def race():
        start.wait()
        try:
            outcomes.append(type(reserve()))
        except IdempotencyInFlightError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(kind.__name__ for kind in outcomes) == ["IdempotencyInFlightError"] * 7 + ["Reservation"]


def test_only_expired_keys_are_deleted(database, reserve, complete):
    complete(reserve("old", at=NOON - 2 * RETENTION), at=NOON - 2 * RETENTION)
    reserve("vanished", at=NOON - 100 * LEASE)
    complete(reserve("kept"))
    with database.writing() as session:
        idempotency.delete_expired(session)
    with database.reading() as session:
        assert session.scalars(select(IdempotencyKey.key)).all() == ["kept"]
