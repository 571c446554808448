"""Jobs survive lost workers, lost messages and several maintenance processes."""

import os
import signal
import subprocess
from datetime import timedelta

import pytest
import redis

from service import jobs, workers
from service.broker import queue_name
from tests.support.stack import CLI
from tests.support.worker_driver import MODEL, WorkerDriver, later, until
from worker.maintenance import Maintenance


@pytest.fixture
def environment(environment):
    return {**environment, "DTI_LEASE_S": "1.5", "DTI_RENOTIFY_S": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture
def start(environment, tmp_path):
    """Starts commands as processes; those still running at the end of the test are killed."""
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
            jobs.expire_leases(session, max_attempts=3)
        until(lambda: heartbeat.lost(claimed))


def test_the_maintenance_requeues_jobs_of_lost_workers_and_wakes_others(client, service):
    job_id = client.generate()
    claim(service)
    before = messages(service)
    Maintenance(later(service, timedelta(minutes=1))).expire_leases()
    assert (client.job(job_id).status, client.job(job_id).lost_attempts) == ("queued", 1)
    assert messages(service) > before


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
        jobs.fail(session, claimed, "internal_error", "It ended.")
    for maintenance in (Maintenance(service), Maintenance(service)):
        maintenance.delete_expired()
    assert not service.storage.exists(key)
    assert client.job(training).checkpoint_key is None


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
    until(lambda: client.job(split).checkpoint_step >= 50, timeout_s=60)
    worker.kill()
    worker.wait()
    start("worker")
    until(lambda: client.job(split).status == "succeeded", timeout_s=120)
    assert client.job(split).attempt == 2
    rows = [client.embedding(name).rows["text_encoder"].direction.numpy().tobytes() for name in ("whole", "split")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("arguments", [("worker",), ("worker", "--maintenance")])
def test_a_worker_ends_although_the_broker_is_unavailable(environment, start, tmp_path, arguments):
    environment["DTI_BROKER_URL"] = "redis://127.0.0.1:1/0"
    process = start(*arguments)
    until(lambda: "Cannot connect" in (tmp_path / "processes.log").read_text(), timeout_s=120)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 0
