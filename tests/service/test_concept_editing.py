"""Changes of concepts: names, tags, covers, versions, training pictures; search and order of their list."""

from dataclasses import replace

import pytest

from service import gallery, jobs
from service.concepts import editing, listing
from service.concepts.editing import ConceptChanges
from service.database.tables import LOCAL_OWNER_ID
from service.errors import (
    ConceptInTrainingError,
    InvalidInputError,
    NameTakenError,
    NotFoundError,
    StorageQuotaExceededError,
    UnknownConceptError,
)
from service.gallery import Filters
from service.settings import Quotas
from tests.support.service_driver import image, picture


def change(driver, reference, *, owner=LOCAL_OWNER_ID, **changes):
    return driver.write(
        lambda session: editing.change(driver.service, session, owner, reference, ConceptChanges(**changes))
    )


def names(driver, **filters):
    return [concept.name for concept in driver.page(**filters).items]


def test_a_renamed_concept_is_used_and_found_by_its_new_name(driver):
    concept = driver.concept("my-dog")
    job = driver.generate("a <my-dog>")
    change(driver, "my-dog", name="rex")
    assert driver.get("rex").id == concept.id
    driver.generate("a <rex>")
    with pytest.raises(UnknownConceptError):
        driver.generate("a <my-dog>")
    assert [pin.name for pin in driver.claim()[0].concepts] == ["my-dog"]
    with driver.database.reading() as session:
        found = jobs.page(session, LOCAL_OWNER_ID, jobs.Filters(kind="generate", concept="rex"), None, 10)
    assert job.id in [item.id for item in found.items]


def test_a_taken_or_invalid_name_changes_nothing(driver):
    driver.concept("my-dog")
    driver.concept("my-cat")
    with pytest.raises(NameTakenError, match="my-cat"):
        change(driver, "my-dog", name="my-cat", tags=["pet"])
    for wrong in (
        {"name": "My Dog"},
        {"class_word": " "},
        {"tags": ["No Tag"]},
        {"tags": [f"t{n}" for n in range(33)]},
    ):
        with pytest.raises(InvalidInputError):
            change(driver, "my-dog", **wrong)
    assert driver.get("my-dog").tags == []
    with pytest.raises(NotFoundError):
        change(driver, "my-dog", owner=driver.owner("own_other"), name="mine")


def test_a_class_word_counts_for_the_next_training(driver):
    driver.concept("my-dog")
    change(driver, "my-dog", class_word="old  corgi")
    assert driver.retrain("my-dog").input["class_word"] == "old corgi"


def test_concepts_are_searched_by_name_class_word_and_tag(driver):
    driver.concept("my-dog")
    driver.concept("lamp", class_word="lamp")
    change(driver, "lamp", tags=["home", "art", "home"])
    assert driver.get("lamp").tags == ["art", "home"]
    assert names(driver, q="DOG") == ["my-dog"]
    assert names(driver, q="lamp art") == ["lamp"]
    assert names(driver, tag="art") == ["lamp"]
    assert names(driver, tag="ar") == names(driver, tag="lamp") == names(driver, q="zebra") == []


def test_concepts_are_listed_in_every_order_page_by_page(driver):
    for name in ("b", "c", "a-1", "a1", "d"):
        driver.concept(name, ready=False)
    orders = {"newest": ["d", "a1", "a-1", "c", "b"], "oldest": ["b", "c", "a-1", "a1", "d"]}
    for sort, expected in {**orders, "name": ["a-1", "a1", "b", "c", "d"]}.items():
        listed, cursor = [], None
        while True:
            page = driver.page(cursor, 2, sort=sort)
            listed += [concept.name for concept in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert listed == expected


def test_a_concept_goes_back_to_an_earlier_version_and_on_from_there(driver):
    driver.concept("my-dog", content="first")
    driver.finish_training(driver.retrain("my-dog", training={"steps": 7}), content="second")
    assert driver.get("my-dog").version == 2
    change(driver, "my-dog", version=1)
    first = driver.get("my-dog")
    assert (first.version, first.embedding.number) == (1, 1)
    driver.generate("a <my-dog>")
    (claim,) = driver.claim()
    assert claim.concepts[0].embedding_sha256 == first.embedding.sha256
    with pytest.raises(InvalidInputError, match="no version 3"):
        change(driver, "my-dog", version=3)
    driver.finish_training(driver.retrain("my-dog"), content="third")
    assert driver.get("my-dog").version == 3


def test_a_version_tells_its_training_while_its_job_exists(driver):
    concept = driver.concept("my-dog", training={"steps": 9})
    assert [training.training.steps for training in trainings(driver)] == [9]
    driver.write(jobs.delete, LOCAL_OWNER_ID, concept.job_id)
    assert trainings(driver) == []


def trainings(driver):
    return list(driver.read(listing.trainings, driver.get("my-dog")).values())


def test_a_cover_is_a_picture_of_the_owner_and_may_be_deleted(driver):
    driver.concept("my-dog", pictures=("a", "b"))
    second = driver.get("my-dog").pictures[1].id
    change(driver, "my-dog", cover=second)
    assert driver.get("my-dog").cover == second
    generation = driver.generate("a <my-dog>")
    (claim,) = driver.claim()
    made = driver.write(jobs.add_image, claim, image(0, "made")).id
    driver.write(jobs.succeed, claim)
    change(driver, "my-dog", cover=made)
    assert list(driver.read(listing.covers, [driver.get("my-dog")])) == [made]
    driver.write(gallery.delete, LOCAL_OWNER_ID, made)
    assert driver.read(listing.covers, [driver.get("my-dog")]) == {}
    change(driver, "my-dog", cover=None)
    with pytest.raises(NotFoundError):
        change(driver, "my-dog", cover="img_nothing")
    assert driver.read(gallery.page, LOCAL_OWNER_ID, Filters(job=generation.id), None, 9).items == []


def test_training_pictures_are_added_captioned_and_removed(driver):
    driver.concept("my-dog")
    add(driver, picture(LOCAL_OWNER_ID, "b"))
    first, second = driver.get("my-dog").pictures
    assert (second.filename, second.position) == ("b.jpg", 1)
    caption(driver, second.id, " a dog on grass ")
    assert driver.get("my-dog").pictures[1].caption == "a dog on grass"
    caption(driver, second.id, None)
    assert driver.get("my-dog").pictures[1].caption is None
    assert driver.write(editing.remove_picture, LOCAL_OWNER_ID, "my-dog", first.id) == [first.key]
    add(driver, picture(LOCAL_OWNER_ID, "c"))
    assert [(shown.filename, shown.position) for shown in driver.get("my-dog").pictures] == [("b.jpg", 1), ("c.jpg", 2)]
    driver.retrain("my-dog")
    (claim,) = driver.claim()
    assert [shown.filename for shown in claim.pictures] == ["b.jpg", "c.jpg"]


def add(driver, *pictures):
    return driver.write(
        lambda session: editing.add_pictures(driver.service, session, LOCAL_OWNER_ID, "my-dog", pictures)
    )


def caption(driver, picture_id, text):
    return driver.write(
        lambda session: editing.set_caption(driver.service, session, LOCAL_OWNER_ID, "my-dog", picture_id, caption=text)
    )


def test_pictures_stay_while_a_training_may_read_them(driver):
    concept = driver.concept("my-dog", ready=False)
    (kept,) = driver.get("my-dog").pictures
    for changed in (
        lambda: add(driver, picture(LOCAL_OWNER_ID, "b")),
        lambda: caption(driver, kept.id, "a dog"),
        lambda: driver.write(editing.remove_picture, LOCAL_OWNER_ID, "my-dog", kept.id),
    ):
        with pytest.raises(ConceptInTrainingError, match=concept.job_id):
            changed()


def test_too_many_pictures_or_bytes_are_refused(driver):
    driver.concept("my-dog")
    driver.limit(pictures=2)
    with pytest.raises(InvalidInputError, match="at most 2"):
        add(driver, picture(LOCAL_OWNER_ID, "b"), picture(LOCAL_OWNER_ID, "c"))
    settings = replace(driver.service.settings, quotas=Quotas(stored_bytes=1050))
    driver.service = replace(driver.service, settings=settings)
    with pytest.raises(StorageQuotaExceededError):
        add(driver, picture(LOCAL_OWNER_ID, "b"))
