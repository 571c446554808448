"""Jobs that share a worker: joining, leaving, isolation and recovery."""

from datetime import timedelta

import pytest
import torch

from service import jobs
from tests.support.worker_driver import later, until
from worker.handlers.train import TrainHandler
from worker.persistence import Persistence

LONG = 1000


def has_run(client, job_id, *, steps=1):
    return lambda: client.job(job_id).status == "running" and client.job(job_id).step >= steps


def break_denoiser(worker, error, *, above_rows=0):
    """Has every forward of more than `above_rows` rows fail, as a device out of memory or a bug would."""

    def fail(_module, arguments, keywords):
        sample = keywords.get("sample", arguments[0] if arguments else None)
        if len(sample) > above_rows:
            raise error

    unet = worker.model_cache.get("noise").family._unet
    return unet.register_forward_pre_hook(fail, with_kwargs=True)


def test_a_picture_joins_a_worker_that_trains_and_ends_before_it(client, worker, running):
    training = client.train("my-dog", steps=LONG)
    with running(worker):
        until(has_run(client, training))
        picture = client.generate()
        until(lambda: client.job(picture).status == "succeeded")
        assert client.job(training).status == "running"
        client.cancel(training)


def test_a_cancelled_training_leaves_within_a_step_and_the_other_stays(client, worker, running):
    cancelled, staying = client.train("cancelled", steps=LONG), client.train("staying", steps=60)
    with running(worker):
        until(has_run(client, cancelled))
        client.cancel(cancelled)
        until(lambda: client.job(cancelled).status == "cancelled", timeout_s=2)
    assert client.job(cancelled).step < LONG
    assert client.job(staying).status == "succeeded"
    assert client.concept("cancelled").embedding is None


def test_a_stopping_worker_releases_its_training_and_the_next_ends_it_with_the_same_rows(client, make_worker, running):
    client.train("whole", seed=3, steps=200)
    make_worker("ada").work()
    training = client.train("split", seed=3, steps=200)
    first = make_worker("ben")
    with running(first):
        until(has_run(client, training, steps=2))
        first.stopping.set()
    job = client.job(training)
    assert (job.status, job.lost_attempts, job.worker_id) == ("queued", 0, None)
    assert 2 <= job.checkpoint_step < 200
    make_worker("cleo").work()
    whole, split = (client.embedding(name).rows["text_encoder"] for name in ("whole", "split"))
    assert client.curve(training).step == list(range(1, 201))
    assert torch.equal(whole.direction, split.direction)


def test_a_training_released_after_its_last_update_is_ended_by_the_next_worker(client, service, make_worker):
    training, first = client.train("my-dog", steps=2), make_worker("ada")
    with service.database.writing() as session:
        (claim,) = jobs.claim(
            session,
            worker_id="ada",
            models=["noise"],
            slots={"pictures": 1, "trainings": 1, "rpcs": 0},
            lease_s=15.0,
        )
    handler = TrainHandler(claim, first.model_cache.get("noise"), Persistence(service, first.stopping))
    handler.start()
    while handler.loaded_model.busy:
        handler.loaded_model.advance()
    handler.checkpoint()
    with service.database.writing() as session:
        jobs.release(session, claim)
    make_worker("ben").work()
    job = client.job(training)
    assert (job.status, job.checkpoint_step, job.attempt) == ("succeeded", 2, 2)


def test_a_worker_that_lost_its_lease_drops_the_job_and_writes_nothing(client, service, make_worker, running):
    training = client.train("my-dog", steps=300)
    late = make_worker("late")
    with running(late):
        until(has_run(client, training, steps=2))
        with later(service, timedelta(hours=1)).database.writing() as session:
            jobs.expire_leases(session, max_attempts=3, lease_s=15.0)
        late.stopping.set()
    assert (client.job(training).status, client.job(training).lost_attempts) == ("queued", 1)
    make_worker("other").work()
    assert (client.job(training).status, client.job(training).attempt) == ("succeeded", 2)
    assert len(client.concept("my-dog").embeddings) == 1


def test_no_job_is_claimed_beside_an_isolated_one(client, service, make_worker, running):
    isolated = client.train("isolated", steps=LONG)
    with service.database.writing() as session:
        claims = jobs.claim(
            session,
            worker_id="killed",
            models=["noise"],
            slots={"pictures": 1, "trainings": 1, "rpcs": 0},
            lease_s=1.0,
        )
    with later(service, timedelta(minutes=1)).database.writing() as session:
        jobs.expire_leases(session, max_attempts=3, lease_s=15.0)
    assert [claim.job_id for claim in claims] == [isolated]
    with running(make_worker()):
        until(has_run(client, isolated))
        picture = client.generate()
        until(has_run(client, isolated, steps=60))
        assert client.job(picture).status == "queued"
        client.cancel(isolated)
    assert client.job(picture).status == "succeeded"


def test_an_unreadable_embedding_fails_its_own_job_alone(client, service, worker):
    for name in ("good", "gone"):
        client.train(name, steps=2)
    worker.work()
    failing, fine = client.generate("a photo of <gone>"), client.generate("a photo of <good>")
    service.storage.delete([client.concept("gone").embedding.key])
    worker.work()
    assert (client.job(failing).status, client.job(failing).error_code) == ("failed", "object_missing")
    assert client.job(fine).status == "succeeded"


def test_an_undecodable_picture_fails_its_own_training_with_a_code(client, service, worker):
    failing, fine = client.train("failing"), client.train("okay", steps=2)
    picture = client.concept("failing").pictures[0]
    service.storage.put(picture.key, b"no picture", "image/png")
    worker.work()
    assert (client.job(failing).status, client.job(failing).error_code) == ("failed", "internal_error")
    assert client.job(fine).status == "succeeded"


@pytest.mark.parametrize(
    ("error", "code"),
    [(ValueError("broken"), "internal_error"), (torch.OutOfMemoryError("too little"), "out_of_memory")],
)
def test_a_job_that_breaks_the_engine_alone_fails_and_the_others_succeed(client, worker, error, code):
    # A guided picture takes two rows of a forward, the training four: only retried alone they can be told apart.
    hook = break_denoiser(worker, error, above_rows=2)
    good, bad = client.generate(), client.train("bad", batch_size=4)
    worker.work()
    hook.remove()
    assert client.job(good).status == "succeeded"
    assert (client.job(bad).status, client.job(bad).error_code) == ("failed", code)


def test_a_job_too_large_for_the_memory_is_rendered_in_smaller_batches(client, worker):
    hook = break_denoiser(worker, torch.OutOfMemoryError("too little"), above_rows=4)
    generation = client.generate(num_images=8)
    worker.work()
    hook.remove()
    assert len(client.bytes_of(generation)) == 8


def test_a_model_that_cannot_be_loaded_fails_the_job_with_a_code(client, service, worker, catalogue):
    generation = client.generate(model="missing")
    worker.work()
    job = client.job(generation)
    assert (job.status, job.error_code) == ("failed", "model_unavailable")
