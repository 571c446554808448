"""What a request has a worker do: who sees it, what may be asked, what is written when it ends."""

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
from tests.service.hands import NOON, moment

FOUND = {"text_encoder": [[{"token": "dog", "cosine": 0.9}]]}


def made(content="rows", neighbours=None):
    encoders = {"text_encoder": {"vectors": 1, "dim": 4, "magnitude": 0.4}}
    key = f"own_local/embeddings/{content}.safetensors"
    return jobs.EmbeddingMade(
        sha256="5" * 64, key=key, encoders=encoders, bytes=9, steps=0, neighbours=neighbours or FOUND
    )


@pytest.fixture
def bring(studio):
    """Submits an import; returns its id."""

    def submit(name="mine", *, model="tiny", key="own_local/RPCs/1.upload"):
        fields = {"name": name, "class_word": "dog", "model": model}
        with studio.database.writing() as session:
            new = rpc.check_import(studio.service, session, LOCAL_OWNER_ID, fields, NOON)
            return rpc.submit_import(studio.service, session, new, key, NOON, normalize=False).id

    return submit


@pytest.fixture
def mix(studio):
    """Submits a blend of concepts in equal parts; returns its id."""

    def submit(*names, name="mixed"):
        parts = [{"concept": part, "weight": 1.0} for part in names]
        with studio.database.writing() as session:
            fields = {"name": name, "parts": parts}
            return rpc.submit_blend(studio.service, session, LOCAL_OWNER_ID, fields, NOON).id

    return submit


@pytest.fixture
def ask(studio):
    """Submits an RPC about a concept; returns its id."""

    def submit(reference, task=rpc.submit_neighbours, **fields):
        with studio.database.writing() as session:
            concept = concepts.hold(session, LOCAL_OWNER_ID, reference)
            return task(studio.service, session, concept, now=NOON, **fields).id

    return submit


@pytest.fixture
def close(studio):
    """What an RPC brings back; raises why it brings nothing."""

    def brought(rpc_id):
        with studio.database.writing() as session:
            job, in_time = jobs.cancel_if_unfinished(session, rpc_id, NOON)
        return rpc.brought(job, in_time=in_time, waited_s=30)

    return brought


def taken(studio, rpc_id):
    """The claim of an RPC by a worker that has room for nothing else."""
    (claim,) = studio.claim(pictures=0, trainings=0)
    assert claim.job_id == rpc_id
    return claim


def move(studio, name, model):
    """Has a concept belong to another model."""
    with studio.database.writing() as session:
        session.merge(studio.get(name)).model = model


def names(studio):
    return sorted(concept.name for concept in studio.page().items)


def test_rpcs_go_before_pictures_and_trainings_and_need_no_room(studio, bring):
    training, picture, job = studio.submit("train"), studio.submit("generate"), bring()
    assert studio.job(job).rank < studio.job(picture).rank < studio.job(training).rank
    with studio.database.reading() as session:
        wanted = {"models": ["tiny"], "pictures": False, "trainings": False}
        assert jobs.has_claimable(session, **wanted, rpcs=True)
        assert not jobs.has_claimable(session, **wanted, rpcs=False)
    assert studio.claim(pictures=0, trainings=0, rpcs=0) == []
    assert taken(studio, job).file_key == "own_local/RPCs/1.upload"


def test_nobody_sees_an_rpc(studio, bring):
    job = bring()
    with studio.database.reading() as session:
        assert jobs.page(session, LOCAL_OWNER_ID, jobs.Filters(), None, 100).items == []
        with pytest.raises(NotFoundError):
            jobs.get(session, LOCAL_OWNER_ID, job)


def test_unfinished_rpcs_and_unfinished_jobs_are_counted_apart(studio, bring):
    studio.limit(unfinished_jobs=1)
    bring("one")
    studio.generate("a photo")
    for too_many in (lambda: bring("two"), lambda: studio.generate("a photo")):
        with pytest.raises(TooManyJobsError):
            too_many()


def test_an_import_makes_a_concept_that_is_ready_at_once_and_was_never_trained(studio, bring, close):
    job = bring()
    claim = taken(studio, job)
    studio.write(rpc.finish_concept, claim, made(), NOON, told={"norms": {}})
    brought = close(job)
    concept = studio.get(brought.result["concept"])
    assert brought.result["norms"] == {}
    assert (concept.name, concept.method, concept.model) == ("mine", "import", "tiny")
    assert (concept.job_id, concept.pictures, concept.training) == (None, [], {})
    assert (concept.embedding.key, concept.embedding.job_id) == (made().key, None)
    with studio.database.reading() as session:
        assert rpc.neighbours_of(session, concept.embedding) == FOUND
    studio.generate("a photo of <mine>")


def test_what_has_no_pictures_cannot_be_learned_again(studio, bring):
    claim = taken(studio, bring())
    studio.write(rpc.finish_concept, claim, made(), NOON, told={})
    for start in ("current", "class_word"):
        with pytest.raises(ConceptWithoutPicturesError):
            studio.retrain("mine", **{"from": start})


def test_a_name_is_given_once_also_to_whoever_is_faster(studio, bring, mix):
    studio.concept("dog")
    first, second = bring("mine"), bring("mine")
    claims = studio.claim(pictures=0, trainings=0)
    assert [claim.job_id for claim in claims] == [first, second]
    studio.write(rpc.finish_concept, claims[0], made(), NOON, told={})
    with pytest.raises(NameTakenError):
        studio.write(rpc.finish_concept, claims[1], made("other"), NOON, told={})
    assert studio.job(second).status == "running"
    for again in (lambda: bring("mine"), lambda: mix("dog", name="mine"), lambda: studio.concept("mine")):
        with pytest.raises(NameTakenError):
            again()
    assert names(studio) == ["dog", "mine"]


def test_an_rpc_that_cannot_be_done_says_why_with_the_workers_own_code(studio, bring, close):
    job = bring()
    studio.write(jobs.fail, taken(studio, job), "embedding_unreadable", "It is no embedding.", NOON)
    with pytest.raises(RpcFailedError, match=r"It is no embedding\.") as caught:
        close(job)
    assert caught.value.code == "embedding_unreadable"


@pytest.mark.parametrize("parts", [("dog",), ("dog", "cat"), ("dog", "dog")])
def test_a_blend_pins_its_parts_in_order_and_is_of_the_firsts_kind(studio, mix, parts):
    studio.concept("dog", learnable_property="style", class_word="puppy")
    studio.concept("cat")
    claim = taken(studio, mix(*parts))
    assert [pin.name for pin in claim.concepts] == list(parts)
    assert claim.input["weights"] == [1.0] * len(parts)
    studio.write(rpc.finish_concept, claim, made(), NOON, told={})
    concept = studio.get("mixed")
    assert (concept.method, concept.class_word, concept.learnable_property) == ("blend", "puppy", "style")


def test_what_cannot_be_blended_is_refused_before_anything_is_queued(studio, mix):
    studio.concept("dog")
    studio.concept("pair", vectors=2)
    studio.concept("raw", ready=False)
    studio.concept("other")
    move(studio, "other", "second")
    for parts, error in (
        (("dog", "nobody"), UnknownConceptError),
        (("dog", "raw"), ConceptNotReadyError),
        (("dog", "pair"), EmbeddingsDifferError),
        (("dog", "other"), ModelMismatchError),
    ):
        with pytest.raises(error):
            mix(*parts)
    with studio.database.reading() as session:
        assert session.scalars(select(Job).where(Job.kind == "rpc")).all() == []


def test_a_part_that_is_deleted_ends_the_blend_and_nothing_comes_of_it(studio, mix, close):
    studio.concept("dog")
    studio.concept("cat")
    job = mix("dog", "cat")
    claim = taken(studio, job)
    studio.delete("cat")
    with pytest.raises(LeaseLostError):
        studio.write(rpc.finish_concept, claim, made(), NOON, told={})
    with pytest.raises(ConceptDeletedError):
        close(job)
    assert names(studio) == ["dog"]


def test_what_an_rpc_brought_is_forgotten_with_the_concept_that_it_was_about(studio, mix, ask, close):
    studio.concept("dog")
    studio.concept("cat")
    blend = mix("dog", "cat")
    studio.write(rpc.finish_concept, taken(studio, blend), made(), NOON, told={})
    neighbours = ask("cat")
    studio.write(rpc.finish_neighbours, taken(studio, neighbours), FOUND, NOON)
    studio.delete("cat")
    for job in (blend, neighbours):
        with pytest.raises(ConceptDeletedError):
            close(job)


def test_an_embedding_is_kept_while_an_rpc_is_about_it_and_so_is_an_rpcs_file(studio, ask, bring):
    concept = studio.concept("dog")
    key = studio.get("dog").embedding.key
    ask(concept.id)
    bring(key="own_local/RPCs/2.upload")
    with studio.database.writing() as session:
        session.delete(session.merge(studio.get("dog").embedding))
        session.flush()
        assert unreferenced(session, [key, "own_local/RPCs/2.upload", "nobody"]) == ["nobody"]


@pytest.mark.parametrize("running", [False, True])
def test_an_rpc_that_nobody_waits_for_makes_nothing_whenever_it_is_done(studio, bring, close, running):
    job = bring()
    claim = taken(studio, job) if running else None
    with pytest.raises(WorkerUnavailableError):
        close(job)
    if claim:
        assert studio.job(job).cancel_requested
        studio.write(rpc.finish_concept, claim, made(), NOON, told={})
    assert studio.claim() == []
    assert studio.job(job).status == "cancelled"
    assert names(studio) == []


def test_an_export_brings_back_a_file(studio, ask, close):
    studio.concept("dog")
    job = ask("dog", rpc.submit_export, file_format="a1111")
    claim = taken(studio, job)
    assert claim.input == {"task": "export", "format": "a1111"}
    studio.write(rpc.finish_export, claim, "own_local/RPCs/x.pt", ".pt", NOON)
    brought = close(job)
    assert (brought.result, brought.file_key) == ({"extension": ".pt"}, "own_local/RPCs/x.pt")


def test_neighbours_are_kept_with_the_embedding_that_they_were_searched_for(studio, ask, close):
    studio.concept("dog")
    before = studio.get("dog").embedding
    job = ask("dog")
    claim = taken(studio, job)
    studio.teach(studio.retrain("dog"))
    studio.write(rpc.finish_neighbours, claim, FOUND, NOON)
    assert close(job).result == FOUND
    with studio.database.reading() as session:
        assert rpc.neighbours_of(session, before) == FOUND
        assert rpc.neighbours_of(session, studio.get("dog").embedding) is None


def test_an_rpc_is_about_what_is_there_and_ready_and_whose_model_is_known(studio, ask):
    studio.concept("raw", ready=False)
    studio.concept("dog")
    move(studio, "dog", "gone")
    for reference, error in (("nobody", NotFoundError), ("raw", ConceptNotReadyError), ("dog", UnknownModelError)):
        with pytest.raises(error):
            ask(reference)


def test_rpcs_of_lost_requests_are_called_off_and_those_of_yesterday_forgotten(studio, bring, ask):
    studio.concept("dog")
    lost, done = bring("lost"), ask("dog", rpc.submit_export, file_format="a1111")
    claim = next(claim for claim in studio.claim(pictures=0, trainings=0) if claim.job_id == done)
    studio.write(rpc.finish_export, claim, "own_local/RPCs/x.pt", ".pt", NOON)
    late = bring("late", key="own_local/RPCs/3.upload")
    with studio.database.writing() as session:
        assert jobs.cancel_orphaned_rpcs(session, moment(59), after_s=60) == 0
        assert jobs.cancel_orphaned_rpcs(session, moment(61), after_s=60) == 1
    assert studio.job(late).status == "cancelled"
    assert studio.job(lost).status == "running"
    with studio.database.writing() as session:
        assert jobs.delete_old_rpcs(session, NOON + timedelta(hours=24)) == []
        spent = jobs.delete_old_rpcs(session, NOON + timedelta(hours=26))
    assert spent == ["own_local/RPCs/x.pt", "own_local/RPCs/3.upload"]
    with studio.database.reading() as session:
        left = session.scalars(select(Job.id).where(Job.kind == "rpc")).all()
        events = set(session.scalars(select(Event.job_id)))
    assert left == [lost]
    assert {late, done}.isdisjoint(events)


def test_a_concept_in_a_list_does_not_load_its_neighbours(studio, bring):
    claim = taken(studio, bring())
    studio.write(rpc.finish_concept, claim, made(), NOON, told={})
    (concept,) = studio.page().items
    assert "neighbours" not in vars(concept.embedding)
    with studio.database.reading() as session:
        assert session.scalars(select(Concept.id)).one() == concept.id
        assert session.scalars(select(EmbeddingVersion.neighbours)).one() == FOUND
