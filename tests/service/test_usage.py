"""What owners use, and where it ends."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service import jobs
from service.accounts import usage
from service.database.tables import LOCAL_OWNER_ID
from service.errors import DeviceQuotaExceededError, StorageQuotaExceededError
from service.settings import Quotas
from tests.service.hands import NOON
from tests.service.studio import image, picture

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


def spend(hands, seconds, when=NOON, owner=LOCAL_OWNER_ID):
    hands.write(usage.add_device_s, {owner: seconds}, when)


def stored(hands, owner=LOCAL_OWNER_ID):
    with hands.database.reading() as session:
        return usage.stored_bytes(session, owner)


def test_seconds_add_up_by_owner_and_day(hands):
    other = hands.owner("own_other")
    for seconds in (1.5, 2.25):
        hands.write(usage.add_device_s, {LOCAL_OWNER_ID: seconds, other: 1.0}, NOON)
    spend(hands, 5.0, MIDNIGHT)
    with hands.database.reading() as session:
        for owner, when, device_s in (
            (LOCAL_OWNER_ID, NOON, 3.75),
            (other, NOON, 2.0),
            (LOCAL_OWNER_ID, MIDNIGHT - timedelta(seconds=1), 3.75),
            (LOCAL_OWNER_ID, MIDNIGHT, 5.0),
            (other, MIDNIGHT, 0.0),
        ):
            assert usage.device_s_today(session, owner, when) == device_s


def test_a_day_that_is_used_up_ends_at_midnight(hands):
    quotas = Quotas(device_s_per_day=10)
    spend(hands, 9.9)
    with hands.database.reading() as session:
        usage.check(session, quotas, LOCAL_OWNER_ID, NOON)
    spend(hands, 0.1)
    with hands.database.reading() as session:
        with pytest.raises(DeviceQuotaExceededError) as caught:
            usage.check(session, quotas, LOCAL_OWNER_ID, NOON)
        assert caught.value.retry_after_s == 12 * 3600
        usage.check(session, quotas, LOCAL_OWNER_ID, NOON + timedelta(seconds=caught.value.retry_after_s))
        usage.check(session, Quotas(), LOCAL_OWNER_ID, NOON)


def test_nothing_is_submitted_on_a_day_that_is_used_up(studio):
    studio.concept("dog")
    studio.concept("cat")
    spend(studio, 10)
    quotas = Quotas(device_s_per_day=10)
    studio.service = replace(studio.service, settings=replace(studio.service.settings, quotas=quotas))
    for submit in (
        lambda: studio.concept("bird"),
        lambda: studio.retrain("dog"),
        lambda: studio.generate("a <dog>"),
        lambda: studio.interpolate("dog", "cat"),
    ):
        with pytest.raises(DeviceQuotaExceededError):
            submit()


def test_stored_bytes_are_those_of_pictures_images_and_embeddings_each_object_once(studio):
    assert stored(studio) == 0
    studio.concept("dog", pictures=("a", "b"))
    assert stored(studio) == 2 * 100 + 900
    studio.concept("cat", pictures=("b", "c"))
    assert stored(studio) == 3 * 100 + 2 * 900
    studio.generate("a <dog>")
    (claim,) = studio.claim()
    for position, content in enumerate(("x", "y", "x")):
        studio.write(jobs.add_image, claim, image(position, content), NOON)
    assert stored(studio) == 5 * 100 + 2 * 900
    assert stored(studio, studio.owner("own_other")) == 0
    studio.delete("dog")
    assert stored(studio) == 2 * 100 + 900


def test_storage_that_is_full_takes_nothing_more_and_what_is_deleted_makes_room(studio):
    def allow(limit):
        settings = replace(studio.service.settings, quotas=Quotas(stored_bytes=limit))
        studio.service = replace(studio.service, settings=settings)

    allow(1200)
    studio.concept("dog", pictures=("a", "b"))
    with pytest.raises(StorageQuotaExceededError):
        studio.concept("cat", pictures=("c", "d"))
    studio.generate("a <dog>")
    allow(1100)
    with pytest.raises(StorageQuotaExceededError):
        studio.generate("a <dog>")
    studio.delete("dog")
    studio.concept("cat", pictures=("c", "d"))


def test_many_at_once_do_not_each_take_the_last_room(studio):
    settings = replace(studio.service.settings, quotas=Quotas(stored_bytes=250))
    studio.service = replace(studio.service, settings=settings)
    start, refused = threading.Barrier(6), []

    def create(number):
        start.wait()
        try:
            studio.concept(f"dog-{number}", pictures=(f"{number}",), ready=False)
        except StorageQuotaExceededError as error:
            refused.append(error)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (stored(studio), len(refused)) == (200, 4)


def test_usage_tells_today_and_now(studio):
    studio.concept("dog")
    studio.generate("a <dog>")
    (claim,) = studio.claim()
    studio.write(jobs.add_image, claim, image(0, "x"), NOON)
    studio.write(jobs.succeed, claim, NOON)
    studio.generate("a <dog>")
    spend(studio, 2.5)
    with studio.database.reading() as session:
        today = usage.used(session, LOCAL_OWNER_ID, NOON)
        tomorrow = usage.used(session, LOCAL_OWNER_ID, MIDNIGHT)
    assert today == usage.Used(device_s=2.5, jobs=3, pictures=1, unfinished_jobs=1, stored_bytes=1100)
    assert tomorrow == usage.Used(device_s=0.0, jobs=0, pictures=0, unfinished_jobs=1, stored_bytes=1100)


def test_a_picture_that_is_added_counts_before_it_is_there(studio):
    with studio.database.reading() as session:
        usage.check(session, Quotas(stored_bytes=100), LOCAL_OWNER_ID, NOON, adding_bytes=picture("o", "a").bytes)
        with pytest.raises(StorageQuotaExceededError):
            usage.check(session, Quotas(stored_bytes=99), LOCAL_OWNER_ID, NOON, adding_bytes=picture("o", "a").bytes)
