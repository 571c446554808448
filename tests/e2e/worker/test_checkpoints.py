"""What keeps jobs going although workers, messages and maintenance come and go."""

import os
import signal
import subprocess
from datetime import timedelta

import pytest
import redis

from service import jobs, workers
from service.broker import queue_name
from tests.support.stack import CLI
from tests.support.worker_driver import MODEL, WorkerDriver, now, until
from worker.maintenance import Maintenance


@pytest.fixture
def environment(environment):
    return {**environment, "DTI_LEASE_S": "1.5", "DTI_RENOTIFY_S": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def start(environment, tmp_path):
    """Starts this program's commands as processes; what is left of them ends with the test."""
    started = []

    def run(*arguments):
        with (tmp_path / "processes.log").open("ab") as log:
            process = subprocess.Popen([*CLI, *arguments], env=os.environ | environment, stdout=log, stderr=log)
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
            picture_slots=4,
            training_slots=4,
            rpc_slots=0,
            now=now(),
            lease_s=1.5,
        )


def rings(service):
    with redis.Redis.from_url(service.settings.broker_url) as broker:
        return broker.llen(queue_name(MODEL))


def test_a_held_job_outlives_its_lease_and_a_lost_one_is_known_as_lost(client, service):
    client.generate()
    (held,) = claim(service)
    worker = WorkerDriver(service)
    with worker.heartbeat as lease:
        lease.hold([held])
        first = client.job(held.job_id).lease_expires_at
        until(lambda: client.job(held.job_id).lease_expires_at > first + timedelta(seconds=1.5))
        assert not lease.lost(held)
        with service.database.writing() as session:
            assert MODEL not in workers.loaded(session, now())
            assert [desk.worker_id for desk in workers.present(session, now())] == ["ada"]
            jobs.expire_leases(session, now() + timedelta(minutes=1), attempts=3)
        until(lambda: lease.lost(held))


def test_chores_take_jobs_from_the_silent_and_ring_for_others(client, service):
    job_id = client.generate()
    claim(service)
    before = rings(service)
    Maintenance(service).watch(now() + timedelta(minutes=1))
    assert (client.job(job_id).status, client.job(job_id).lost_attempts) == ("queued", 1)
    assert rings(service) > before


def test_chores_ring_again_for_a_job_whose_bell_was_lost(client, service):
    client.generate()
    with redis.Redis.from_url(service.settings.broker_url) as broker:
        broker.flushall()
    Maintenance(service).watch(now())
    assert rings(service) == 0
    Maintenance(service).watch(now() + timedelta(seconds=2))
    assert rings(service) == 1


def test_chores_delete_the_checkpoints_of_jobs_that_ended_once_however_many_do_so(client, service):
    training = client.train("my-dog")
    (held,) = claim(service)
    key = f"{held.owner_id}/checkpoints/{training}/x.safetensors"
    service.storage.put(key, b"state", "application/octet-stream")
    with service.database.writing() as session:
        jobs.save_checkpoint(session, held, key=key, step=3)
    Maintenance(service).sweep(now())
    assert service.storage.exists(key)
    with service.database.writing() as session:
        jobs.fail(session, held, "internal_error", "It ended.", now())
    for maintenance in (Maintenance(service), Maintenance(service)):
        maintenance.sweep(now())
    assert not service.storage.exists(key)
    assert client.job(training).checkpoint_key is None


def test_a_worker_process_works_what_it_finds_hears_the_bell_and_hands_back_when_it_is_stopped(client, service, start):
    found = client.generate()
    worker = start("worker")
    until(lambda: client.job(found).status == "succeeded", timeout_s=120)
    rung = client.generate()
    until(lambda: client.job(rung).status == "succeeded")
    training = client.train("my-dog", steps=1000)
    until(lambda: client.job(training).step >= 2)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=60) == 0
    job = client.job(training)
    assert (job.status, job.lost_attempts) == ("queued", 0)
    assert job.checkpoint_step >= 2
    with service.database.reading() as session:
        assert workers.present(session, now()) == []


def test_a_killed_worker_is_replaced_by_the_chores_and_another_with_the_same_rows_in_the_end(client, start):
    whole = client.train("whole", seed=5, steps=400)
    worker = start("worker")
    start("worker", "--maintenance")
    until(lambda: client.job(whole).status == "succeeded", timeout_s=120)
    split = client.train("split", seed=5, steps=400)
    until(lambda: client.job(split).checkpoint_step >= 50, timeout_s=60)
    worker.kill()
    worker.wait()
    start("worker")
    until(lambda: client.job(split).status == "succeeded", timeout_s=120)
    assert client.job(split).attempt == 2
    rows = [client.embedding(name).rows["text_encoder"].direction.numpy().tobytes() for name in ("whole", "split")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("arguments", [("worker",), ("worker", "--maintenance")])
def test_a_broker_that_is_away_does_not_keep_a_worker_from_ending(environment, start, tmp_path, arguments):
    environment["DTI_BROKER_URL"] = "redis://127.0.0.1:1/0"
    process = start(*arguments)
    until(lambda: "Cannot connect" in (tmp_path / "processes.log").read_text(), timeout_s=120)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
