"""Who shares a worker with whom, who must not, and who leaves when."""

from datetime import timedelta

import pytest
import torch

from service import jobs
from tests.support.worker_driver import now, until
from worker.handlers.train import TrainHandler
from worker.persistence import Persistence

LONG = 1000


def running(client, job_id, *, steps=1):
    return lambda: client.job(job_id).status == "running" and client.job(job_id).step >= steps


def break_denoiser(worker, complaint, *, above_rows=0):
    """Has the denoiser fail in every forward of more rows than some, as a device out of memory or a bug would."""

    def complain(_module, arguments, keywords):
        sample = keywords.get("sample", arguments[0] if arguments else None)
        if len(sample) > above_rows:
            raise complaint

    unet = worker.model_cache.station("noise").family._unet
    return unet.register_forward_pre_hook(complain, with_kwargs=True)


def test_a_picture_joins_a_worker_that_trains_and_ends_before_it(client, worker, working):
    training = client.train("my-dog", steps=LONG)
    with working(worker):
        until(running(client, training))
        picture = client.generate()
        until(lambda: client.job(picture).status == "succeeded")
        assert client.job(training).status == "running"
        client.cancel(training)


def test_a_cancelled_training_leaves_within_a_step_and_its_neighbour_stays(client, worker, working):
    doomed, staying = client.train("doomed", steps=LONG), client.train("staying", steps=60)
    with working(worker):
        until(running(client, doomed))
        client.cancel(doomed)
        until(lambda: client.job(doomed).status == "cancelled", timeout_s=2)
    assert client.job(doomed).step < LONG
    assert client.job(staying).status == "succeeded"
    assert client.concept("doomed").embedding is None


def test_a_worker_that_stops_hands_its_training_back_and_the_next_ends_it_as_if_nothing_had_been(
    client, make_worker, working
):
    client.train("whole", seed=3, steps=200)
    make_worker("ada").work()
    training = client.train("split", seed=3, steps=200)
    first = make_worker("ben")
    with working(first):
        until(running(client, training, steps=2))
        first.stopping.set()
    job = client.job(training)
    assert (job.status, job.lost_attempts, job.worker_id) == ("queued", 0, None)
    assert 2 <= job.checkpoint_step < 200
    make_worker("cleo").work()
    whole, split = (client.embedding(name).rows["text_encoder"] for name in ("whole", "split"))
    assert client.curve(training).step == list(range(1, 201))
    assert torch.equal(whole.direction, split.direction)


def test_a_training_handed_back_after_its_last_update_is_ended_by_the_next_worker(client, service, make_worker):
    training, first = client.train("my-dog", steps=2), make_worker("ada")
    with service.database.writing() as session:
        (held,) = jobs.claim(
            session,
            worker_id="ada",
            models=["noise"],
            picture_slots=1,
            training_slots=1,
            rpc_slots=0,
            now=now(),
            lease_s=15.0,
        )
    handler = TrainHandler(held, first.model_cache.station("noise"), Persistence(service, first.stopping))
    handler.begin()
    while handler.station.busy:
        handler.station.advance()
    handler.keep()
    with service.database.writing() as session:
        jobs.release(session, held, now())
    make_worker("ben").work()
    job = client.job(training)
    assert (job.status, job.checkpoint_step, job.attempt) == ("succeeded", 2, 2)


def test_a_worker_that_lost_its_lease_drops_the_job_without_a_word(client, service, make_worker, working):
    training = client.train("my-dog", steps=300)
    late = make_worker("late")
    with working(late):
        until(running(client, training, steps=2))
        with service.database.writing() as session:
            jobs.expire_leases(session, now() + timedelta(hours=1), attempts=3)
        late.stopping.set()
    assert (client.job(training).status, client.job(training).lost_attempts) == ("queued", 1)
    make_worker("other").work()
    assert (client.job(training).status, client.job(training).attempt) == ("succeeded", 2)
    assert len(client.concept("my-dog").embeddings) == 1


def test_nothing_is_taken_beside_a_job_that_must_be_alone(client, service, make_worker, working):
    suspect = client.train("suspect", steps=LONG)
    with service.database.writing() as session:
        claims = jobs.claim(
            session,
            worker_id="killed",
            models=["noise"],
            picture_slots=1,
            training_slots=1,
            rpc_slots=0,
            now=now(),
            lease_s=1.0,
        )
        jobs.expire_leases(session, now() + timedelta(minutes=1), attempts=3)
    assert [claim.job_id for claim in claims] == [suspect]
    with working(make_worker()):
        until(running(client, suspect))
        picture = client.generate()
        until(running(client, suspect, steps=60))
        assert client.job(picture).status == "queued"
        client.cancel(suspect)
    assert client.job(picture).status == "succeeded"


def test_a_concept_that_cannot_be_read_fails_its_own_job_alone(client, service, worker):
    for name in ("good", "gone"):
        client.train(name, steps=2)
    worker.work()
    doomed, fine = client.generate("a photo of <gone>"), client.generate("a photo of <good>")
    service.storage.delete([client.concept("gone").embedding.key])
    worker.work()
    assert (client.job(doomed).status, client.job(doomed).error_code) == ("failed", "object_missing")
    assert client.job(fine).status == "succeeded"


def test_a_picture_that_is_none_fails_its_training_alone_and_says_so(client, service, worker):
    doomed, fine = client.train("doomed"), client.train("okay", steps=2)
    picture = client.concept("doomed").pictures[0]
    service.storage.put(picture.key, b"no picture", "image/png")
    worker.work()
    assert (client.job(doomed).status, client.job(doomed).error_code) == ("failed", "internal_error")
    assert client.job(fine).status == "succeeded"


@pytest.mark.parametrize(
    ("complaint", "code"),
    [(ValueError("broken"), "internal_error"), (torch.OutOfMemoryError("too little"), "out_of_memory")],
)
def test_who_breaks_the_engine_alone_has_failed_and_the_others_end_well(client, worker, complaint, code):
    # A guided picture takes two rows of a forward, the training four: only alone it shows which of them is too much.
    hook = break_denoiser(worker, complaint, above_rows=2)
    good, bad = client.generate(), client.train("bad", batch_size=4)
    worker.work()
    hook.remove()
    assert client.job(good).status == "succeeded"
    assert (client.job(bad).status, client.job(bad).error_code) == ("failed", code)


def test_a_job_too_large_for_the_memory_is_done_in_smaller_parts(client, worker):
    hook = break_denoiser(worker, torch.OutOfMemoryError("too little"), above_rows=4)
    generation = client.generate(num_images=8)
    worker.work()
    hook.remove()
    assert len(client.bytes_of(generation)) == 8


def test_a_model_that_cannot_be_loaded_fails_the_job_with_its_reason(client, service, worker, catalogue):
    generation = client.generate(model="missing")
    worker.work()
    job = client.job(generation)
    assert (job.status, job.error_code) == ("failed", "model_unavailable")
