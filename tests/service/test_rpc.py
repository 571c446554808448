"""RPCs: visibility, checks, results."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from service import jobs, rpc
from service.concepts import concepts
from service.database.references import unreferenced
from service.database.tables import LOCAL_OWNER_ID, Concept, EmbeddingVersion, Event, Job
from service.errors import (
    ConceptDeletedError,
    ConceptNotReadyError,
    ConceptWithoutPicturesError,
    EmbeddingsDifferError,
    LeaseLostError,
    ModelMismatchError,
    NameTakenError,
    NotFoundError,
    RpcFailedError,
    TooManyJobsError,
    UnknownConceptError,
    UnknownModelError,
    WorkerUnavailableError,
)
from service.kinds.rpc import TASKS, ExportInput, ExportResult
from service.rpc import BlendParams, BlendPart, ImportParams
from tests.support.queue_driver import NOON, moment

FOUND = {"text_encoder": [[{"token": "dog", "cosine": 0.9}]]}


def made(content="rows", neighbours=None):
    encoders = {"text_encoder": jobs.EncoderRows(vectors=1, dim=4, magnitude=0.4)}
    key = f"own_local/embeddings/{content}.safetensors"
    return jobs.StoredEmbedding(
        sha256="5" * 64, key=key, encoders=encoders, bytes=9, steps=0, neighbours=neighbours or FOUND
    )


@pytest.fixture
def submit_import(driver):
    """Submits an import; returns its id."""

    def submit(name="mine", *, model="tiny", key="own_local/rpc/1.upload"):
        params = ImportParams(name=name, class_word="dog", model=model)
        with driver.database.writing() as session:
            new = rpc.check_import(driver.service, session, LOCAL_OWNER_ID, params)
            return rpc.submit_import(driver.service, session, new, key).id

    return submit


@pytest.fixture
def submit_blend(driver):
    """Submits a blend of concepts in equal parts; returns its id."""

    def submit(*names, name="mixed"):
        params = BlendParams(name=name, parts=[BlendPart(concept=part, weight=1.0) for part in names])
        with driver.database.writing() as session:
            return rpc.submit_blend(driver.service, session, LOCAL_OWNER_ID, params).id

    return submit


@pytest.fixture
def submit_rpc(driver):
    """Submits an RPC about a concept; returns its id."""

    def submit(reference, task=rpc.submit_neighbours, **fields):
        with driver.database.writing() as session:
            concept = concepts.get_ready_locked(session, LOCAL_OWNER_ID, reference)
            return task(driver.service, session, concept, **fields).id

    return submit


@pytest.fixture
def finish(driver):
    """The result of an RPC; raises the error of one that failed."""

    def take(rpc_id):
        with driver.database.writing() as session:
            job, in_time = jobs.cancel_if_unfinished(session, rpc_id)
        result = TASKS[job.input["task"]].result
        return rpc.result_of(job, result, in_time=in_time, waited_s=30)

    return take


def taken(driver, rpc_id):
    """The claim of an RPC by a worker with capacity for RPCs only."""
    (claim,) = driver.claim(pictures=0, trainings=0)
    assert claim.job_id == rpc_id
    return claim


def move(driver, name, model):
    """Move a concept to another model."""
    with driver.database.writing() as session:
        session.merge(driver.get(name)).model = model


def names(driver):
    return sorted(concept.name for concept in driver.page().items)


def test_rpcs_rank_before_generations_and_trainings_and_need_no_slot(driver, submit_import):
    training, picture, job = driver.submit("train"), driver.submit("generate"), submit_import()
    assert driver.job(job).rank < driver.job(picture).rank < driver.job(training).rank
    with driver.database.reading() as session:
        assert jobs.has_claimable(session, models=["tiny"], slots={"rpcs": 1})
        assert not jobs.has_claimable(session, models=["tiny"], slots={"rpcs": 0})
    assert driver.claim(pictures=0, trainings=0, rpcs=0) == []
    assert taken(driver, job).file_key == "own_local/rpc/1.upload"


def test_rpcs_are_not_listed(driver, submit_import):
    job = submit_import()
    with driver.database.reading() as session:
        assert jobs.page(session, LOCAL_OWNER_ID, jobs.Filters(), None, 100).items == []
        with pytest.raises(NotFoundError):
            jobs.get(session, LOCAL_OWNER_ID, job)


def test_unfinished_rpcs_and_jobs_have_separate_limits(driver, submit_import):
    driver.limit(unfinished_jobs=1)
    submit_import("one")
    driver.generate("a photo")
    for too_many in (lambda: submit_import("two"), lambda: driver.generate("a photo")):
        with pytest.raises(TooManyJobsError):
            too_many()


def test_an_import_creates_a_ready_concept_without_a_training(driver, submit_import, finish):
    job = submit_import()
    claim = taken(driver, job)
    driver.write(rpc.finish_import, claim, made(), {})
    finished = finish(job)
    concept = driver.get(finished.result.concept_id)
    assert finished.result.norms == {}
    assert (concept.name, concept.method, concept.model) == ("mine", "import", "tiny")
    assert (concept.job_id, concept.pictures, concept.training) == (None, [], {})
    assert (concept.embedding.key, concept.embedding.job_id) == (made().key, None)
    with driver.database.reading() as session:
        assert rpc.stored_neighbours(session, concept.embedding) == FOUND
    driver.generate("a photo of <mine>")


def test_a_concept_without_pictures_cannot_be_retrained(driver, submit_import):
    claim = taken(driver, submit_import())
    driver.write(rpc.finish_import, claim, made(), {})
    for start in ("current", "class_word"):
        with pytest.raises(ConceptWithoutPicturesError):
            driver.retrain("mine", start=start)


def test_a_name_taken_meanwhile_is_refused(driver, submit_import, submit_blend):
    driver.concept("dog")
    first, second = submit_import("mine"), submit_import("mine")
    claims = driver.claim(pictures=0, trainings=0)
    assert [claim.job_id for claim in claims] == [first, second]
    driver.write(rpc.finish_import, claims[0], made(), {})
    with pytest.raises(NameTakenError):
        driver.write(rpc.finish_import, claims[1], made("other"), {})
    assert driver.job(second).status == "running"
    for again in (
        lambda: submit_import("mine"),
        lambda: submit_blend("dog", name="mine"),
        lambda: driver.concept("mine"),
    ):
        with pytest.raises(NameTakenError):
            again()
    assert names(driver) == ["dog", "mine"]


def test_a_failed_rpc_has_the_workers_error_code(driver, submit_import, finish):
    job = submit_import()
    driver.write(jobs.fail, taken(driver, job), "embedding_unreadable", "It is no embedding.")
    with pytest.raises(RpcFailedError, match=r"It is no embedding\.") as caught:
        finish(job)
    assert caught.value.code == "embedding_unreadable"


@pytest.mark.parametrize("parts", [("dog",), ("dog", "cat"), ("dog", "dog")])
def test_a_blend_pins_its_parts_in_order_and_takes_the_class_word_of_the_first(driver, submit_blend, parts):
    driver.concept("dog", learnable_property="style", class_word="puppy")
    driver.concept("cat")
    claim = taken(driver, submit_blend(*parts))
    assert [pin.name for pin in claim.concepts] == list(parts)
    assert claim.input.weights == (1.0,) * len(parts)
    driver.write(rpc.finish_blend, claim, made())
    concept = driver.get("mixed")
    assert (concept.method, concept.class_word, concept.learnable_property) == ("blend", "puppy", "style")


def test_an_invalid_blend_is_refused_before_anything_is_queued(driver, submit_blend):
    driver.concept("dog")
    driver.concept("pair", vectors=2)
    driver.concept("raw", ready=False)
    driver.concept("other")
    move(driver, "other", "second")
    for parts, error in (
        (("dog", "nobody"), UnknownConceptError),
        (("dog", "raw"), ConceptNotReadyError),
        (("dog", "pair"), EmbeddingsDifferError),
        (("dog", "other"), ModelMismatchError),
    ):
        with pytest.raises(error):
            submit_blend(*parts)
    with driver.database.reading() as session:
        assert session.scalars(select(Job).where(Job.kind == "rpc")).all() == []


def test_deleting_a_part_cancels_the_blend(driver, submit_blend, finish):
    driver.concept("dog")
    driver.concept("cat")
    job = submit_blend("dog", "cat")
    claim = taken(driver, job)
    driver.delete("cat")
    with pytest.raises(LeaseLostError):
        driver.write(rpc.finish_blend, claim, made())
    with pytest.raises(ConceptDeletedError):
        finish(job)
    assert names(driver) == ["dog"]


def test_results_of_rpcs_are_deleted_with_their_concept(driver, submit_blend, submit_rpc, finish):
    driver.concept("dog")
    driver.concept("cat")
    blend = submit_blend("dog", "cat")
    driver.write(rpc.finish_blend, taken(driver, blend), made())
    neighbours = submit_rpc("cat")
    driver.write(rpc.finish_neighbours, taken(driver, neighbours), FOUND)
    driver.delete("cat")
    for job in (blend, neighbours):
        with pytest.raises(ConceptDeletedError):
            finish(job)


def test_objects_of_unfinished_rpcs_are_no_orphans(driver, submit_rpc, submit_import):
    concept = driver.concept("dog")
    key = driver.get("dog").embedding.key
    submit_rpc(concept.id)
    submit_import(key="own_local/rpc/2.upload")
    with driver.database.writing() as session:
        session.delete(session.merge(driver.get("dog").embedding))
        session.flush()
        assert unreferenced(session, [key, "own_local/rpc/2.upload", "nobody"]) == ["nobody"]


@pytest.mark.parametrize("running", [False, True])
def test_a_cancelled_rpc_creates_nothing(driver, submit_import, finish, running):
    job = submit_import()
    claim = taken(driver, job) if running else None
    with pytest.raises(WorkerUnavailableError):
        finish(job)
    if claim:
        assert driver.job(job).cancel_requested
        driver.write(rpc.finish_import, claim, made(), {})
    assert driver.claim() == []
    assert driver.job(job).status == "cancelled"
    assert names(driver) == []


def test_an_export_returns_a_file(driver, submit_rpc, finish):
    driver.concept("dog")
    job = submit_rpc("dog", rpc.submit_export, file_format="a1111")
    claim = taken(driver, job)
    assert claim.input == ExportInput(format="a1111")
    driver.write(rpc.finish_export, claim, "own_local/rpc/x.pt", ".pt")
    finished = finish(job)
    assert (finished.result, finished.file_key) == (ExportResult(extension=".pt"), "own_local/rpc/x.pt")


def test_neighbours_are_stored_with_their_embedding(driver, submit_rpc, finish):
    driver.concept("dog")
    before = driver.get("dog").embedding
    job = submit_rpc("dog")
    claim = taken(driver, job)
    driver.finish_training(driver.retrain("dog"))
    driver.write(rpc.finish_neighbours, claim, FOUND)
    assert finish(job).result.encoders == FOUND
    with driver.database.reading() as session:
        assert rpc.stored_neighbours(session, before) == FOUND
        assert rpc.stored_neighbours(session, driver.get("dog").embedding) is None


def test_an_rpc_requires_a_ready_concept_of_a_known_model(driver, submit_rpc):
    driver.concept("raw", ready=False)
    driver.concept("dog")
    move(driver, "dog", "gone")
    for reference, error in (("nobody", NotFoundError), ("raw", ConceptNotReadyError), ("dog", UnknownModelError)):
        with pytest.raises(error):
            submit_rpc(reference)


def test_orphaned_rpcs_are_cancelled_and_old_ones_deleted(driver, submit_import, submit_rpc):
    driver.concept("dog")
    lost, done = submit_import("lost"), submit_rpc("dog", rpc.submit_export, file_format="a1111")
    claim = next(claim for claim in driver.claim(pictures=0, trainings=0) if claim.job_id == done)
    driver.write(rpc.finish_export, claim, "own_local/rpc/x.pt", ".pt")
    late = submit_import("late", key="own_local/rpc/3.upload")
    assert driver.write(jobs.cancel_orphaned_rpcs, after_s=60, at=moment(59)) == 0
    assert driver.write(jobs.cancel_orphaned_rpcs, after_s=60, at=moment(61)) == 1
    assert driver.job(late).status == "cancelled"
    assert driver.job(lost).status == "running"
    assert driver.write(jobs.delete_old_rpcs, at=NOON + timedelta(hours=24)) == []
    expired = driver.write(jobs.delete_old_rpcs, at=NOON + timedelta(hours=26))
    assert expired == ["own_local/rpc/x.pt", "own_local/rpc/3.upload"]
    with driver.database.reading() as session:
        left = session.scalars(select(Job.id).where(Job.kind == "rpc")).all()
        events = set(session.scalars(select(Event.job_id)))
    assert left == [lost]
    assert {late, done}.isdisjoint(events)


def test_a_concept_in_a_list_does_not_load_its_neighbours(driver, submit_import):
    claim = taken(driver, submit_import())
    driver.write(rpc.finish_import, claim, made(), {})
    (concept,) = driver.page().items
    assert "neighbours" not in vars(concept.embedding)
    with driver.database.reading() as session:
        assert session.scalars(select(Concept.id)).one() == concept.id
        assert session.scalars(select(EmbeddingVersion.neighbours)).one() == FOUND
