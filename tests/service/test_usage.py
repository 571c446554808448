"""Usage of owners, and its quotas."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service import jobs
from service.accounts import usage
from service.database.tables import LOCAL_OWNER_ID
from service.errors import DeviceQuotaExceededError, StorageQuotaExceededError
from service.settings import Quotas
from tests.support.queue_driver import NOON
from tests.support.service_driver import image, picture

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


def spend(queue, seconds, when=NOON, owner=LOCAL_OWNER_ID):
    queue.write(usage.add_device_s, {owner: seconds}, at=when)


def stored(queue, owner=LOCAL_OWNER_ID):
    with queue.database.reading() as session:
        return usage.stored_bytes(session, owner)


def test_seconds_add_up_by_owner_and_day(queue):
    other = queue.owner("own_other")
    for seconds in (1.5, 2.25):
        queue.write(usage.add_device_s, {LOCAL_OWNER_ID: seconds, other: 1.0})
    spend(queue, 5.0, MIDNIGHT)
    for owner, when, device_s in (
        (LOCAL_OWNER_ID, NOON, 3.75),
        (other, NOON, 2.0),
        (LOCAL_OWNER_ID, MIDNIGHT - timedelta(seconds=1), 3.75),
        (LOCAL_OWNER_ID, MIDNIGHT, 5.0),
        (other, MIDNIGHT, 0.0),
    ):
        assert queue.read(usage.device_s_today, owner, at=when) == device_s


def test_the_device_quota_of_a_day_is_reset_at_midnight(queue):
    quotas = Quotas(device_s_per_day=10)
    spend(queue, 9.9)
    with queue.database.reading() as session:
        usage.check_quotas(session, quotas, LOCAL_OWNER_ID)
    spend(queue, 0.1)
    with queue.database.reading() as session:
        with pytest.raises(DeviceQuotaExceededError) as caught:
            usage.check_quotas(session, quotas, LOCAL_OWNER_ID)
        assert caught.value.retry_after_s == 12 * 3600
        usage.check_quotas(session, Quotas(), LOCAL_OWNER_ID)
    queue.read(usage.check_quotas, quotas, LOCAL_OWNER_ID, at=NOON + timedelta(seconds=caught.value.retry_after_s))


def test_nothing_is_submitted_beyond_the_device_quota(driver):
    driver.concept("dog")
    driver.concept("cat")
    spend(driver, 10)
    quotas = Quotas(device_s_per_day=10)
    driver.service = replace(driver.service, settings=replace(driver.service.settings, quotas=quotas))
    for submit in (
        lambda: driver.concept("bird"),
        lambda: driver.retrain("dog"),
        lambda: driver.generate("a <dog>"),
        lambda: driver.interpolate("dog", "cat"),
    ):
        with pytest.raises(DeviceQuotaExceededError):
            submit()


def test_stored_bytes_count_every_object_once(driver):
    assert stored(driver) == 0
    driver.concept("dog", pictures=("a", "b"))
    assert stored(driver) == 2 * 100 + 900
    driver.concept("cat", pictures=("b", "c"))
    assert stored(driver) == 3 * 100 + 2 * 900
    driver.generate("a <dog>")
    (claim,) = driver.claim()
    for position, content in enumerate(("x", "y", "x")):
        driver.write(jobs.add_image, claim, image(position, content))
    assert stored(driver) == 5 * 100 + 2 * 900
    assert stored(driver, driver.owner("own_other")) == 0
    driver.delete("dog")
    assert stored(driver) == 2 * 100 + 900


def test_uploads_beyond_the_storage_quota_are_refused_until_something_is_deleted(driver):
    def allow(limit):
        settings = replace(driver.service.settings, quotas=Quotas(stored_bytes=limit))
        driver.service = replace(driver.service, settings=settings)

    allow(1200)
    driver.concept("dog", pictures=("a", "b"))
    with pytest.raises(StorageQuotaExceededError):
        driver.concept("cat", pictures=("c", "d"))
    driver.generate("a <dog>")
    allow(1100)
    with pytest.raises(StorageQuotaExceededError):
        driver.generate("a <dog>")
    driver.delete("dog")
    driver.concept("cat", pictures=("c", "d"))


def test_concurrent_uploads_cannot_exceed_the_storage_quota(driver):
    settings = replace(driver.service.settings, quotas=Quotas(stored_bytes=250))
    driver.service = replace(driver.service, settings=settings)
    start, refused = threading.Barrier(6), []

    def create(number):
        start.wait()
        try:
            driver.concept(f"dog-{number}", pictures=(f"{number}",), ready=False)
        except StorageQuotaExceededError as error:
            refused.append(error)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stored(driver), len(refused)) == (200, 4)


def test_usage_reports_today_and_the_present(driver):
    driver.concept("dog")
    driver.generate("a <dog>")
    (claim,) = driver.claim()
    driver.write(jobs.add_image, claim, image(0, "x"))
    driver.write(jobs.succeed, claim)
    driver.generate("a <dog>")
    spend(driver, 2.5)
    today = driver.read(usage.summary, LOCAL_OWNER_ID)
    tomorrow = driver.read(usage.summary, LOCAL_OWNER_ID, at=MIDNIGHT)
    assert today == usage.UsageSummary(device_s=2.5, jobs=3, pictures=1, unfinished_jobs=1, stored_bytes=1100)
    assert tomorrow == usage.UsageSummary(device_s=0.0, jobs=0, pictures=0, unfinished_jobs=1, stored_bytes=1100)


def test_a_picture_counts_before_it_is_stored(driver):
    with driver.database.reading() as session:
        usage.check_quotas(session, Quotas(stored_bytes=100), LOCAL_OWNER_ID, adding_bytes=picture("o", "a").bytes)
        with pytest.raises(StorageQuotaExceededError):
            usage.check_quotas(session, Quotas(stored_bytes=99), LOCAL_OWNER_ID, adding_bytes=picture("o", "a").bytes)
