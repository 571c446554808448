"""The gallery: search, order and filters, alike on both databases, at the same cost for a long history."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, insert

from service import gallery, jobs
from service.database.ids import new_id
from service.database.search import folded
from service.database.tables import LOCAL_OWNER_ID, Image, Job
from service.errors import InvalidInputError, JobUnfinishedError, NotFoundError
from service.gallery import Filters
from tests.support.queue_driver import NOON
from tests.support.service_driver import image


@pytest.fixture
def made(driver):
    """The ids of pictures: two of a dog, one of a cat in the snow, by prompt."""
    driver.concept("my-dog")
    return {
        prompt: finish(driver, driver.generate(prompt, num_images=count), count)
        for prompt, count in (("a <my-dog> in the snow", 2), ("Ein STRASSENBILD, 100% echt", 1), ("a cat", 1))
    }


def finish(driver, job, count=1):
    """Generate the pictures of a queued job."""
    (claim,) = [claim for claim in driver.claim() if claim.job_id == job.id]
    prompt = claim.input.prompt
    images = [
        driver.write(jobs.add_image, claim, image(number, f"{job.id}-{number}", seed=4000 + number, prompt=prompt))
        for number in range(count)
    ]
    driver.write(jobs.succeed, claim)
    return [added.id for added in images]


def listed(driver, cursor=None, limit=100, *, owner=LOCAL_OWNER_ID, sort="newest", **filters):
    return driver.read(gallery.page, owner, Filters(**filters), cursor, limit, sort=sort)


def ids(driver, **filters):
    return [item.id for item in listed(driver, **filters).items]


def test_images_are_listed_newest_first_in_pages_without_gaps(driver, made):
    everything = [number for found in made.values() for number in found][::-1]
    first = listed(driver, limit=3)
    rest = listed(driver, first.next)
    assert [item.id for item in (*first.items, *rest.items)] == everything
    assert rest.next is None
    with pytest.raises(InvalidInputError, match="cursor"):
        listed(driver, "job_1")


@pytest.mark.parametrize(
    ("q", "prompt"),
    [
        ("snow dog", "a <my-dog> in the snow"),
        ("SNOW", "a <my-dog> in the snow"),
        ("<my-dog>", "a <my-dog> in the snow"),
        ("straßenbild", "Ein STRASSENBILD, 100% echt"),
        ("100%", "Ein STRASSENBILD, 100% echt"),
        ("  cat ", "a cat"),
    ],
)
def test_a_search_finds_all_its_words_in_any_order_and_case(driver, made, q, prompt):
    assert ids(driver, q=q) == made[prompt][::-1]


@pytest.mark.parametrize("q", ["snow cat", "1%0", "_", "zebra"])
def test_a_search_finds_nothing_but_its_words(driver, made, q):
    assert ids(driver, q=q) == []


def test_a_search_finds_a_seed(driver, made):
    assert ids(driver, q="4001") == [made["a <my-dog> in the snow"][1]]


def test_images_are_filtered_by_concept_job_kind_and_favourite(driver, made):
    dogs = made["a <my-dog> in the snow"][::-1]
    assert ids(driver, concept="my-dog") == ids(driver, concept=driver.get("my-dog").id) == dogs
    assert ids(driver, concept="nobody") == []
    assert ids(driver, kind="interpolate") == []
    driver.write(gallery.set_favourite, LOCAL_OWNER_ID, dogs[0], favourite=True)
    assert ids(driver, favourite=True) == dogs[:1]
    assert dogs[0] not in ids(driver, favourite=False)
    assert ids(driver, job=listed(driver).items[0].job_id) == made["a cat"]


def test_the_neighbours_of_an_image_are_found_by_its_id(driver, made):
    newest, middle, *_ = everything = ids(driver)
    assert listed(driver, middle, 1).items[0].id == everything[2]
    assert listed(driver, middle, 1, sort="oldest").items[0].id == newest
    assert [item.id for item in listed(driver, sort="oldest").items] == everything[::-1]


def test_images_are_found_by_the_time_before_which_they_were_made(driver, made):
    assert len(ids(driver, before=datetime.now(UTC) + timedelta(hours=1))) == 4
    assert ids(driver, before=datetime.now(UTC) - timedelta(hours=1)) == []
    with pytest.raises(InvalidInputError, match="out of range"):
        ids(driver, before=datetime(1960, 1, 1, tzinfo=UTC))


def test_images_belong_to_their_owner(driver, made):
    driver.owner("own_other")
    (cat,) = made["a cat"]
    assert ids(driver, owner="own_other") == []
    for rule in (gallery.get, gallery.delete):
        with pytest.raises(NotFoundError):
            driver.write(rule, "own_other", cat)


def test_a_deleted_image_is_gone_and_its_object_with_it(driver, made):
    (cat,) = made["a cat"]
    key = driver.read(gallery.get, LOCAL_OWNER_ID, cat).key
    assert driver.write(gallery.delete, LOCAL_OWNER_ID, cat) == [key]
    assert ids(driver, q="cat") == []


def test_an_image_of_an_unfinished_job_stays(driver, made):
    job = driver.generate("a bird")
    (claim,) = driver.claim()
    added = driver.write(jobs.add_image, claim, image(0, "bird"))
    with pytest.raises(JobUnfinishedError, match=job.id):
        driver.write(gallery.delete, LOCAL_OWNER_ID, added.id)


def test_a_deleted_job_takes_its_images_along_and_leaves_its_concept(driver, made):
    job_id = driver.read(gallery.get, LOCAL_OWNER_ID, made["a cat"][0]).job_id
    assert len(driver.write(jobs.delete, LOCAL_OWNER_ID, job_id)) == 1
    assert ids(driver, q="cat") == []
    training = driver.get("my-dog").job_id
    driver.write(jobs.delete, LOCAL_OWNER_ID, training)
    concept = driver.get("my-dog")
    assert concept.job_id is concept.embedding.job_id is None
    assert concept.embedding is not None
    with pytest.raises(NotFoundError):
        driver.write(jobs.delete, LOCAL_OWNER_ID, training)


def test_an_unfinished_job_is_not_deleted(driver):
    job = driver.generate("a bird")
    with pytest.raises(JobUnfinishedError):
        driver.write(jobs.delete, LOCAL_OWNER_ID, job.id)


def test_an_archive_of_too_many_images_is_refused(driver, made, monkeypatch):
    assert len(driver.read(gallery.archive, LOCAL_OWNER_ID, Filters())) == 4
    monkeypatch.setattr(gallery, "ARCHIVE_LIMIT", 3)
    with pytest.raises(InvalidInputError, match="More than 3"):
        driver.read(gallery.archive, LOCAL_OWNER_ID, Filters())


# SQLite's plan is told in words that do not depend on statistics.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("filters", [{}, {"favourite": True}, {"job": "seeded"}, {"concept": "my-dog"}])
def test_a_page_costs_the_same_in_a_long_history_as_in_a_short_one(driver, made, filters):
    seed_images(driver.database, 200)
    plan = " ".join(query_plan(driver, **filters))
    assert "SCAN images" not in plan
    assert "TEMP B-TREE" not in plan or "job" in filters


def seed_images(database, count):
    """Many pictures of one job, beside those that there are."""
    with database.writing() as session:
        job = session.query(Job).filter(Job.kind == "generate").first()
        rows = [
            {
                "id": new_id("img"),
                "owner_id": LOCAL_OWNER_ID,
                "job_id": job.id,
                "role": "image",
                "position": 1000 + number,
                "key": f"own_local/images/{number}.png",
                "sha256": "0" * 64,
                "content_type": "image/png",
                "width": 64,
                "height": 64,
                "bytes": 100,
                "favourite": False,
                "search_text": folded("a photo of a house"),
                "created_at": NOON,
            }
            for number in range(count)
        ]
        session.execute(insert(Image), rows)


def query_plan(driver, **filters):
    """The plan of the query of the images."""
    statements = []

    def record(_, __, statement, parameters, *___):
        statements.append((statement, parameters))

    event.listen(driver.database.engine, "before_cursor_execute", record)
    listed(driver, limit=10, **filters)
    event.remove(driver.database.engine, "before_cursor_execute", record)
    statement, parameters = next((s, p) for s, p in statements if "FROM images" in s)
    with driver.database.engine.connect() as connection:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    return [row[3] for row in rows]
