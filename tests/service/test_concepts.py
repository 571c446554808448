"""Concepts: made, learned, learned again, listed, and deleted with all that came of them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from dti.spec.registry import METHODS
from service import jobs, rpc
from service.concepts import concepts
from service.database.tables import Concept, EmbeddingVersion, Image, Job, Picture
from service.errors import (
    ConceptNotReadyError,
    InvalidInputError,
    LeaseLostError,
    NameTakenError,
    NotFoundError,
    TooManyJobsError,
    UnknownModelError,
)
from tests.support.service_driver import image, picture, sha256


def count(driver, table):
    with driver.database.reading() as session:
        return len(session.scalars(select(table)).all())


def test_a_new_concept_waits_for_its_first_training(driver):
    made = driver.concept("my-dog", ready=False, pictures=("a", "b"))
    concept = driver.get("my-dog")
    job = driver.job(concept.job_id)
    assert concept.id == made.id == driver.get(made.id).id
    assert concept.embedding is None
    assert [shown.filename for shown in concept.pictures] == ["a.jpg", "b.jpg"]
    assert (job.kind, job.status, job.total) == ("train", "queued", 400)


def test_the_job_states_every_setting_of_the_training(driver):
    concept = driver.concept("my-dog", ready=False, training={"steps": 100, "learning_rate": 0.01})
    stored = driver.job(concept.job_id).input
    assert stored["training"].keys() == METHODS["dti"].settings.__dataclass_fields__.keys()
    assert stored["training"]["steps"] == 100
    assert stored["training"]["resolution"] == 64
    assert isinstance(stored["training"]["seed"], int)
    assert {
        name: stored[name] for name in ("concept", "name", "class_word", "learnable_property", "method", "from")
    } == {
        "concept": concept.id,
        "name": "my-dog",
        "class_word": "dog",
        "learnable_property": "object",
        "method": "dti",
        "from": "class_word",
    }


def test_a_claim_of_a_training_holds_its_pictures_and_prompts(driver):
    driver.concept(
        "my-dog", ready=False, pictures=("a", "b"), learnable_property="style", class_word="  oil \n painting "
    )
    (claim,) = driver.claim()
    assert [shown.caption for shown in claim.pictures] == ["a photo of a", "a photo of b"]
    assert [shown.key for shown in claim.pictures] == [picture("own_local", content).key for content in "ab"]
    job_input = claim.input
    assert (job_input.class_word, job_input.learnable_property, job_input.method) == ("oil painting", "style", "dti")
    assert (job_input.start, claim.concepts[0].embedding_key) == ("class_word", None)
    assert claim.concepts[0].name == "my-dog"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": "My Dog"}, "name"),
        ({"name": "-dog"}, "name"),
        ({"name": "dog\n"}, "name"),
        ({"name": "d" * 64}, "name"),
        ({"class_word": "  "}, "class_word"),
        ({"class_word": "d" * 101}, "class_word"),
        ({"learnable_property": "mood"}, "learnable_property"),
        ({"method": "magic"}, "method"),
        ({"training": {"stepps": 3}}, "training.stepps"),
        ({"training": {"steps": 5001}}, "training.steps"),
        ({"method": "ti", "training": {"kappa": 1e-4}}, "training.kappa"),
        ({"method": "subspace", "training": {"magnitude": "mean"}}, "training.magnitude"),
        ({"training": {"steps": "many"}}, "training.steps"),
        ({"training": {"resolution": 63}}, "training.resolution"),
        ({"training": {"resolution": 1024}}, "training.resolution"),
        ({"training": {"preview_prompt": "no place"}}, "training.preview_prompt"),
        ({"training": {"preview_prompt": "{}" + "x" * 2500}}, "training.preview_prompt"),
    ],
)
def test_an_invalid_field_is_named_and_nothing_is_stored(driver, fields, field):
    with pytest.raises(InvalidInputError) as refusal:
        driver.concept(**{"name": "my-dog", **fields})
    assert refusal.value.field == field
    assert count(driver, Concept) == 0


def test_an_unknown_model_is_refused(driver):
    with pytest.raises(UnknownModelError, match="dall-e"):
        driver.concept("my-dog", model="dall-e")


def test_a_name_is_unique_per_owner(driver):
    other = driver.owner("own_other")
    driver.concept("my-dog", ready=False)
    with pytest.raises(NameTakenError, match="my-dog"):
        driver.concept("my-dog", ready=False)
    assert driver.concept("my-dog", owner=other, ready=False).id != driver.get("my-dog").id


def test_of_two_concurrent_concepts_of_one_name_one_is_created(driver):
    start, outcomes = threading.Barrier(2), []

    def take():
        start.wait(10)
        try:
            outcomes.append(driver.concept("my-dog", ready=False).name)
        except NameTakenError as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == ["my-dog", "name_taken"]
    assert count(driver, Concept) == 1


def test_a_concept_beyond_the_limit_of_jobs_is_not_created(driver):
    driver.limit(unfinished_jobs=1)
    driver.submit()
    with pytest.raises(TooManyJobsError):
        driver.concept("my-dog")
    assert count(driver, Concept) == 0


def test_concepts_of_another_owner_are_not_found(driver):
    other = driver.owner("own_other")
    concept = driver.concept("my-dog", ready=False)
    for reference in (concept.id, "my-dog", "nobody"):
        for act in (driver.get, driver.delete, driver.retrain):
            with pytest.raises(NotFoundError):
                act(reference, owner=other)
    assert driver.page(owner=other).items == []


def test_the_result_of_a_training_becomes_the_concepts_embedding(driver):
    driver.concept("my-dog", ready=False)
    version = driver.finish_training(driver.job(driver.get("my-dog").job_id), vectors=2)
    concept = driver.get("my-dog")
    assert concept.embedding.sha256 == version.sha256
    assert concept.embedding.encoders["text_encoder"]["vectors"] == 2
    assert driver.job(concept.job_id).status == "succeeded"


def test_a_concept_stays_usable_while_it_is_retrained(driver):
    driver.concept("my-dog")
    first = driver.get("my-dog").embedding
    job = driver.retrain("my-dog", training={"steps": 800})
    assert driver.get("my-dog").embedding.id == first.id
    driver.finish_training(job)
    concept = driver.get("my-dog")
    assert concept.embedding.number == 2
    assert concept.training["steps"] == 800
    assert [version.number for version in concept.embeddings] == [1, 2]


def test_retraining_keeps_omitted_settings_and_draws_a_new_seed(driver):
    driver.concept("my-dog", training={"steps": 100, "seed": 5})
    again = driver.retrain("my-dog", training={"kappa": 0.0}).input["training"]
    assert (again["steps"], again["kappa"]) == (100, 0.0)
    assert again["seed"] != 5


@pytest.mark.parametrize("method", METHODS)
def test_retraining_by_another_method_uses_that_methods_defaults(driver, method):
    driver.concept("my-dog", training={"steps": 100, "seed": 5}, method="dti" if method != "dti" else "ti")
    job = driver.retrain("my-dog", method=method)
    own = METHODS[method].settings()
    assert job.input["method"] == method
    assert job.input["training"].keys() == set(own.__dataclass_fields__)
    assert (job.input["training"]["steps"], job.input["training"]["resolution"]) == (own.steps, 64)
    driver.finish_training(job)
    concept = driver.get("my-dog")
    assert (concept.method, concept.training) == (method, job.input["training"])


def test_continuing_a_training_starts_from_the_current_embedding_and_requires_one(driver):
    driver.concept("my-dog", ready=False)
    with pytest.raises(ConceptNotReadyError, match="<my-dog>"):
        driver.retrain("my-dog", start="current")
    driver.finish_training(driver.job(driver.get("my-dog").job_id))
    driver.retrain("my-dog", start="current")
    (claim,) = driver.claim()
    assert (claim.input.start, claim.concepts[0].embedding_key) == ("current", driver.get("my-dog").embedding.key)
    with pytest.raises(InvalidInputError, match="yesterday"):
        driver.retrain("my-dog", start="yesterday")


def test_concepts_are_listed_newest_first_in_pages(driver):
    made = [driver.concept(f"dog-{number}", ready=number == 2).name for number in range(5)]
    first = driver.page(limit=2)
    second = driver.page(first.next, limit=2)
    last = driver.page(second.next, limit=2)
    names = [concept.name for page in (first, second, last) for concept in page.items]
    assert names == made[::-1]
    assert last.next is None
    assert [concept.name for concept in driver.page(ready=True).items] == ["dog-2"]
    assert len(driver.page(ready=False).items) == 4
    assert driver.page(model="sd15").items == []
    with pytest.raises(InvalidInputError, match="cursor"):
        driver.page("con_nonsense")


def rendered(driver, prompt, *contents):
    """A generation that made these pictures."""
    job = driver.generate(prompt)
    (claim,) = [claim for claim in driver.claim() if claim.job_id == job.id]
    for position, content in enumerate(contents):
        driver.write(jobs.add_image, claim, image(position, content))
    driver.write(jobs.succeed, claim)
    return job


def test_deleting_a_concept_deletes_its_results(driver):
    driver.concept("my-dog", pictures=("a", "b"))
    embedding = driver.get("my-dog").embedding
    job = rendered(driver, "a photo of <my-dog>", "dog on a beach")
    gone = driver.delete("my-dog")
    expected = [picture("own_local", content).key for content in "ab"]
    assert gone == sorted([*expected, embedding.key, image(0, "dog on a beach").key])
    assert [count(driver, table) for table in (Concept, Picture, EmbeddingVersion, Image)] == [0, 0, 0, 0]
    with driver.database.reading() as session:
        kept = jobs.get(session, "own_local", job.id)
    assert (kept.status, kept.images, kept.concepts[0].name) == ("succeeded", [], "my-dog")


def test_objects_shared_with_another_concept_or_job_stay(driver):
    driver.concept("my-dog", pictures=("a", "shared"))
    driver.concept("my-cat", pictures=("b", "shared"))
    rendered(driver, "a photo of <my-dog>", "the same picture", "a dog")
    rendered(driver, "a photo of <my-cat>", "the same picture")
    gone = driver.delete("my-dog")
    assert picture("own_local", "a").key in gone
    assert image(0, "a dog").key in gone
    assert picture("own_local", "shared").key not in gone
    assert image(0, "the same picture").key not in gone


def test_deleting_a_concept_cancels_its_unfinished_jobs_and_fences_their_workers(driver):
    driver.concept("my-dog")
    driver.concept("my-cat")
    training, queued, other = (
        driver.retrain("my-dog"),
        driver.generate("<my-dog> with <my-cat>"),
        driver.generate("<my-cat>"),
    )
    (claim,) = driver.claim(pictures=0)
    driver.write(jobs.save_checkpoint, claim, key="own_local/checkpoints/c", step=50)
    gone = driver.delete("my-dog")
    assert "own_local/checkpoints/c" in gone
    assert [driver.job(job.id).status for job in (training, queued, other)] == ["cancelled", "cancelled", "queued"]
    made = jobs.StoredEmbedding(sha256=sha256("x"), key="k", encoders={}, bytes=9, steps=1)
    for write in (
        lambda session: jobs.add_image(session, claim, image(0, "late")),
        lambda session: jobs.finish_training(session, claim, made),
    ):
        with pytest.raises(LeaseLostError):
            driver.write(write)
    assert driver.beat([claim]) == {training.id}


def test_a_training_that_ends_during_the_deletion_of_its_concept_does_not_block_it(driver):
    driver.concept("my-dog", ready=False)
    (claim,) = driver.claim(pictures=0)
    made = jobs.StoredEmbedding(sha256=sha256("x"), key="k", encoders={}, bytes=9, steps=1)
    with ThreadPoolExecutor(1) as threads:
        with driver.database.writing() as session:
            session.scalars(select(Concept).with_for_update()).one()
            ending = threads.submit(driver.write, jobs.finish_training, claim, made)
            with pytest.raises(TimeoutError):
                ending.result(0.5)
            session.scalars(select(Job).with_for_update(nowait=True)).one()
            concepts.delete(session, "own_local", "my-dog")
        with pytest.raises(LeaseLostError):
            ending.result(10)


def test_the_result_file_of_an_rpc_is_deleted_with_its_concept(driver):
    concept = driver.concept("my-dog")
    with driver.database.writing() as session:
        rpc.submit_export(driver.service, session, concepts.get_ready_locked(session, "own_local", "my-dog"), "a1111")
    (claim,) = driver.claim()
    driver.write(rpc.finish_export, claim, "own_local/rpc/my-dog.pt", ".pt")
    assert "own_local/rpc/my-dog.pt" in driver.delete(concept.id)


def test_an_embedding_used_by_another_concept_or_a_queued_job_is_not_deleted(driver):
    driver.concept("my-dog", content="equal bytes")
    driver.concept("twin", content="equal bytes")
    key = driver.get("twin").embedding.key
    assert key not in driver.delete("my-dog")
    assert key in driver.delete("twin")


def test_a_name_is_free_again_after_its_concept_is_deleted(driver):
    driver.concept("my-dog")
    driver.delete("my-dog")
    assert driver.concept("my-dog").name == "my-dog"
