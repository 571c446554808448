"""Jobs survive lost workers, lost messages and several maintenance processes."""

import os
import signal
import subprocess
import sys
from dataclasses import fields
from datetime import timedelta

import pytest
import redis

from service import jobs, workers
from service.broker import queue_name
from tests.support.stack import CLI
from tests.support.worker_driver import MODEL, WorkerDriver, later, until, visit
from worker.handlers.train import TrainHandler
from worker.maintenance import Maintenance
from worker.persistence import Persistence
from worker.stop_signals import STOP_SIGNALS
from worker.watchdog import EX_STEP_TIMEOUT

HANG = """
import os, time
from dti.render import Renderer
from service.settings import Settings
from worker.process import run

Renderer.advance = lambda self: time.sleep(3600)
run(Settings.from_environment(os.environ))
"""
"""A worker whose first denoising step never returns, while its other threads go on."""


@pytest.fixture
def environment(environment):
    return {**environment, "DTI_LEASE_S": "1.5", "DTI_RENOTIFY_S": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def start(environment, tmp_path):
    """Starts commands as processes; those still running at the end of the test are killed."""
    started = []

    def run(*arguments, code=None, **more):
        command = [*CLI, *arguments] if code is None else [sys.executable, "-c", code]
        with (tmp_path / "processes.log").open("ab") as log:
            process = subprocess.Popen(command, env=os.environ | environment | more, stdout=log, stderr=log)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def claim(service, *, worker="ada"):
    with service.database.writing() as session:
        return jobs.claim(
            session,
            worker_id=worker,
            models=[MODEL],
            slots={"pictures": 4, "trainings": 4, "rpcs": 0},
            lease_s=1.5,
        )


def messages(service):
    with redis.Redis.from_url(service.settings.broker_url) as broker:
        return broker.llen(queue_name(MODEL))


def test_a_tracked_job_keeps_its_lease_and_an_expired_one_is_reported_lost(client, service):
    client.generate()
    (claimed,) = claim(service)
    worker = WorkerDriver(service)
    with worker.heartbeat as heartbeat:
        heartbeat.track([claimed])
        first = client.job(claimed.job_id).lease_expires_at
        until(lambda: client.job(claimed.job_id).lease_expires_at > first + timedelta(seconds=1.5))
        assert not heartbeat.lost(claimed)
        with service.database.writing() as session:
            assert MODEL not in workers.loaded_models(session)
            assert [active.worker_id for active in workers.active(session)] == ["ada"]
        with later(service, timedelta(minutes=1)).database.writing() as session:
            jobs.expire_leases(session, max_attempts=3, lease_s=15.0)
        until(lambda: heartbeat.lost(claimed))


def test_the_maintenance_requeues_jobs_of_lost_workers_and_wakes_others(client, service):
    job_id = client.generate()
    claim(service)
    before = messages(service)
    visit(Maintenance(service), service, seconds=4)
    assert (client.job(job_id).status, client.job(job_id).lost_attempts) == ("queued", 1)
    assert messages(service) > before


def test_no_lease_expires_until_the_database_has_answered_for_a_whole_lease(client, service):
    """A lease of 1.5 s, and outages of a minute: after each the maintenance waits for the workers' heartbeats."""
    job_id = client.generate()
    claim(service)
    maintenance = Maintenance(service)
    for minute in range(3):
        maintenance._service = later(service, timedelta(minutes=minute))
        maintenance.expire_leases()
    assert (client.job(job_id).status, client.job(job_id).lost_attempts) == ("running", 0)


def test_the_maintenance_repeats_a_lost_wake_up_message(client, service):
    client.generate()
    with redis.Redis.from_url(service.settings.broker_url) as broker:
        broker.flushall()
    Maintenance(service).expire_leases()
    assert messages(service) == 0
    Maintenance(later(service, timedelta(seconds=2))).expire_leases()
    assert messages(service) == 1


def test_checkpoints_of_ended_jobs_are_deleted_also_by_two_maintenance_processes(client, service):
    training = client.train("my-dog")
    (claimed,) = claim(service)
    key = f"{claimed.owner_id}/checkpoints/{training}/x.safetensors"
    service.storage.put(key, b"state", "application/octet-stream")
    with service.database.writing() as session:
        jobs.save_checkpoint(session, claimed, key=key, step=3)
    Maintenance(service).delete_expired()
    assert service.storage.exists(key)
    with service.database.writing() as session:
        jobs.succeed(session, claimed)
    for maintenance in (Maintenance(service), Maintenance(service)):
        maintenance.delete_expired()
    assert not service.storage.exists(key)
    assert client.job(training).checkpoint_key is None


def checkpoint_of(service, worker):
    """The checkpoint of the queued training after its first update; the training returns to the queue."""
    (claimed,) = claim(service)
    handler = TrainHandler(claimed, worker.model_cache.get(MODEL), Persistence(service, worker.stopping))
    handler.start()
    handler.loaded_model.advance()
    handler.checkpoint()
    handler.abort()
    with service.database.writing() as session:
        jobs.release(session, claimed)
    return service.storage.get(handler.claim.checkpoint_key)


def give_checkpoint(service, data):
    """Give the queued training a checkpoint at update 3; its object is missing where there is no data."""
    (claimed,) = claim(service)
    key = f"{claimed.owner_id}/checkpoints/{claimed.job_id}/x.safetensors"
    if data is not None:
        service.storage.put(key, data, "application/octet-stream")
    with service.database.writing() as session:
        jobs.save_checkpoint(session, claimed, key=key, step=3)
        jobs.release(session, claimed)
    return key


def test_a_training_starts_again_and_says_so_where_its_checkpoint_cannot_be_used(client, service, worker):
    client.train("other", seed=6, steps=4)
    other = checkpoint_of(service, worker)
    worker.work()
    client.train("whole", seed=5, steps=4)
    worker.work()
    whole = client.embedding("whole").rows["text_encoder"].direction.numpy().tobytes()
    unusable = {"mssng": None, "empty": b"", "trunc": other[: len(other) // 2], "older": b"pickle", "another": other}
    for name, data in unusable.items():
        training = client.train(name[:5], seed=5, steps=4)
        key = give_checkpoint(service, data)
        worker.work()
        job = client.job(training)
        warnings = [warning["code"] for warning in job.warnings]
        assert (job.status, warnings) == ("succeeded", ["checkpoint_unusable"]), name
        assert not service.storage.exists(key)
        assert client.embedding(name[:5]).rows["text_encoder"].direction.numpy().tobytes() == whole


def test_pictures_that_an_earlier_attempt_has_finished_are_not_made_again(client, service, worker):
    whole = client.job(client.generate(num_images=3))
    worker.work()
    made = client.job(whole.id).images
    split = client.generate(num_images=3)
    (claimed,) = claim(service)
    with service.database.writing() as session:
        for row in made[:2]:
            jobs.add_image(session, claimed, image_of(row))
        jobs.release(session, claimed)
    before = worker.model_cache.throughputs.rendering.steps
    worker.work()
    assert worker.model_cache.throughputs.rendering.steps - before == 4
    job = client.job(split)
    assert (job.status, job.step) == ("succeeded", job.total)
    assert [image.key for image in job.images[:2]] == [image.key for image in made[:2]]
    assert client.bytes_of(split)[2] == client.bytes_of(whole.id)[2]


def image_of(row):
    names = [field.name for field in fields(jobs.NewImage) if field.name != "safety"]
    return jobs.NewImage(**{name: getattr(row, name) for name in names})


def test_a_worker_process_does_queued_jobs_wakes_for_new_ones_and_releases_them_when_stopped(client, service, start):
    queued = client.generate()
    worker = start("worker")
    until(lambda: client.job(queued).status == "succeeded", timeout_s=120)
    later = client.generate()
    until(lambda: client.job(later).status == "succeeded")
    training = client.train("my-dog", steps=1000)
    until(lambda: client.job(training).step >= 2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    job = client.job(training)
    assert (job.status, job.lost_attempts) == ("queued", 0)
    assert job.checkpoint_step >= 2
    with service.database.reading() as session:
        assert workers.active(session) == []


def test_a_training_of_a_killed_worker_is_continued_by_another_to_the_same_rows(client, start):
    whole = client.train("whole", seed=5, steps=400)
    worker = start("worker")
    start("worker", "--maintenance")
    until(lambda: client.job(whole).status == "succeeded", timeout_s=120)
    split = client.train("split", seed=5, steps=400)
    until(lambda: client.job(split).checkpoint_step > 0, timeout_s=60)
    worker.kill()
    worker.wait()
    start("worker")
    until(lambda: client.job(split).status == "succeeded", timeout_s=120)
    assert client.job(split).attempt == 2
    rows = [client.embedding(name).rows["text_encoder"].direction.numpy().tobytes() for name in ("whole", "split")]
    assert rows[0] == rows[1]


def test_a_worker_ends_although_the_broker_is_unavailable_and_works_without_it(client, environment, start):
    environment["DTI_BROKER_URL"] = "redis://127.0.0.1:1/0"
    worker = start("worker")
    job_id = client.generate()
    until(lambda: client.job(job_id).status == "succeeded", timeout_s=120)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0


def test_the_maintenance_needs_no_broker(client, service, environment, start):
    environment["DTI_BROKER_URL"] = "redis://127.0.0.1:1/0"
    job_id = client.generate()
    claim(service)
    process = start("worker", "--maintenance")
    until(lambda: client.job(job_id).status == "queued", timeout_s=60)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0


def test_any_number_of_stop_signals_hands_the_jobs_of_a_busy_worker_back(client, start):
    worker = start("worker")
    training = client.train("my-dog", steps=5000)
    until(lambda: client.job(training).step >= 2, timeout_s=120)
    for number in 2 * STOP_SIGNALS:
        worker.send_signal(number)
    assert worker.wait(timeout=30) == 0
    job = client.job(training)
    assert (job.status, job.lost_attempts, job.interruption) == ("queued", 0, "interrupted")
    assert job.checkpoint_step >= 2


def test_a_step_that_does_not_return_ends_its_worker_and_its_job_goes_on_elsewhere(client, environment, start):
    """The process stands still with its heartbeat alive, as in a driver that hangs."""
    hung = start(code=HANG, DTI_STEP_LIMIT_S="3")
    job_id = client.generate()
    assert hung.wait(timeout=120) == EX_STEP_TIMEOUT
    job = client.job(job_id)
    assert (job.status, job.lost_attempts, job.interruption) == ("queued", 1, "step_timeout")
    start("worker")
    until(lambda: client.job(job_id).status == "succeeded", timeout_s=120)
