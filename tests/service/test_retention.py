"""Retention and orphaned objects."""

from dataclasses import replace
from datetime import timedelta

import pytest

from service import jobs, retention
from service.errors import ConceptWithoutPicturesError
from service.settings import Retention
from service.storage import StoredObject
from tests.support.queue_driver import NOON
from tests.support.service_driver import image, picture, sha256

DAY = timedelta(days=1)


@pytest.fixture
def delete_expired(driver):
    """Delete data older than a day, at a time after noon; returns the keys of orphaned objects."""

    def delete(*, after, **days):
        return driver.write(retention.delete_expired, Retention(**days), at=NOON + after)

    return delete


def made(driver, *images):
    """The id of a generation that ended with some images."""
    job = driver.generate("a dog", num_images=len(images))
    (claim,) = driver.claim(trainings=0)
    for stored in images:
        driver.write(jobs.add_image, claim, stored)
    driver.write(jobs.succeed, claim)
    return job.id


def test_by_default_nothing_is_deleted(driver, delete_expired):
    driver.concept("my-dog")
    made(driver, image(0, "x"))
    assert delete_expired(after=10_000 * DAY) == []
    assert len(driver.get("my-dog").pictures) == 1


def test_images_and_previews_expire_by_their_own_age_and_their_jobs_stay(driver, delete_expired):
    job_id = made(driver, image(0, "x"), replace(image(1, "y"), role="preview"))
    assert delete_expired(after=DAY / 2, images_days=1, previews_days=1) == []
    assert delete_expired(after=2 * DAY, previews_days=1) == [image(1, "y").key]
    assert delete_expired(after=2 * DAY, images_days=1) == [image(0, "x").key]
    assert delete_expired(after=2 * DAY, images_days=1, previews_days=1) == []
    with driver.database.reading() as session:
        job = jobs.get(session, "own_local", job_id)
        assert (job.status, job.images) == ("succeeded", [])


def test_an_object_referenced_by_younger_rows_stays(driver, delete_expired):
    made(driver, image(0, "x"), replace(image(1, "x"), role="preview"))
    assert delete_expired(after=2 * DAY, images_days=1) == []
    assert delete_expired(after=2 * DAY, previews_days=1) == [image(0, "x").key]


def test_images_of_an_unfinished_job_stay(driver, delete_expired):
    driver.generate("a dog")
    (claim,) = driver.claim(trainings=0)
    driver.write(jobs.add_image, claim, image(0, "x"))
    assert delete_expired(after=2 * DAY, images_days=1) == []


def test_uploads_expire_and_their_embeddings_stay(driver, delete_expired):
    driver.concept("my-dog", pictures=("a", "b"))
    assert delete_expired(after=DAY / 2, uploads_days=1) == []
    keys = delete_expired(after=2 * DAY, uploads_days=1)
    assert keys == sorted(picture("own_local", name).key for name in "ab")
    concept = driver.get("my-dog")
    assert (concept.pictures, concept.embedding is not None) == ([], True)
    with pytest.raises(ConceptWithoutPicturesError):
        driver.retrain("my-dog")


def test_uploads_of_an_unfinished_training_stay(driver, delete_expired):
    concept = driver.concept("my-dog", ready=False)
    assert delete_expired(after=2 * DAY, uploads_days=1) == []
    with driver.database.writing() as session:
        jobs.request_cancel(session, concept.job_id)
    assert delete_expired(after=2 * DAY, uploads_days=1) == [picture("own_local", "a").key]


@pytest.fixture
def left_behind(driver):
    def found(*keys, age):
        return driver.read(retention.orphans, [StoredObject(key, NOON - age) for key in keys])

    return found


def test_old_unreferenced_objects_are_orphans(driver, left_behind):
    orphan = f"own_local/pictures/{sha256('orphan')}.png"
    assert left_behind(orphan, age=retention.GRACE / 2) == []
    assert left_behind(orphan, age=retention.GRACE * 2) == [orphan]


def test_referenced_objects_are_no_orphans(driver, left_behind):
    concept = driver.concept("my-dog")
    made(driver, image(0, "x"))
    driver.concept("other", ready=False)
    (claim,) = driver.claim(pictures=0)
    driver.write(jobs.save_checkpoint, claim, key="own_local/checkpoints/job_1/c.safetensors", step=5)
    driver.submit("rpc", file_key="own_local/rpc/f.upload")
    keys = [
        concept.pictures[0].key,
        driver.get("my-dog").embedding.key,
        image(0, "x").key,
        "own_local/checkpoints/job_1/c.safetensors",
        "own_local/rpc/f.upload",
    ]
    assert left_behind(*keys, age=2 * DAY) == []


def test_objects_with_foreign_keys_are_no_orphans(left_behind):
    foreign = ("backup.tar", "own_local/notes.txt", "photos/images/a.png", "own_/images", "x/own_local/images/a.png")
    assert left_behind(*foreign, age=2 * DAY) == []


def test_ended_jobs_expire_with_their_images_and_rows_while_the_concept_and_its_embedding_stay(driver, delete_expired):
    driver.concept("my-dog")
    trained = driver.get("my-dog").job_id
    job_id = made(driver, image(0, "x"))
    waiting = driver.generate("a dog").id
    assert delete_expired(after=DAY / 2, jobs_days=1) == []
    assert delete_expired(after=2 * DAY, jobs_days=1) == [image(0, "x").key]
    assert [driver.job(each) for each in (trained, job_id)] == [None, None]
    assert driver.events(job_id) == []
    assert driver.job(waiting).status == "queued"
    concept = driver.get("my-dog")
    assert (concept.job_id, concept.embedding.job_id, concept.embedding.steps) == (None, None, 400)


def test_progress_events_are_deleted_an_hour_after_the_end_of_a_job_and_the_others_stay(driver):
    job = driver.generate("a dog")
    (claim,) = driver.claim(trainings=0)
    for step in range(1, 9):
        driver.write(jobs.progress, claim, step=step, total=20, loss=None, eta_s=None)
    assert driver.write(retention.thin_events, at=NOON + 2 * DAY) == 0
    driver.write(jobs.succeed, claim)
    before = driver.events(job.id)
    assert driver.write(retention.thin_events, at=NOON + timedelta(minutes=59)) == 0
    assert driver.events(job.id) == before
    assert driver.write(retention.thin_events, at=NOON + timedelta(minutes=61)) == 1
    assert [name for _, name in driver.events(job.id)] == ["status", "status", "status", "done"]
    assert driver.events(job.id)[-1] == before[-1]
    assert driver.write(retention.thin_events, at=NOON + timedelta(minutes=61)) == 0
