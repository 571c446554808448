"""The thread that keeps a worker's jobs its own."""

import threading
import time

from service import jobs
from service.workers import Presence
from tests.support.worker_driver import MODEL, now, until
from worker.heartbeat import Heartbeat

HERE = Presence(worker_id="ada", device="cpu", models=())


def claimed(session):
    (claim,) = jobs.claim(
        session,
        worker_id="ada",
        models=[MODEL],
        picture_slots=1,
        training_slots=1,
        rpc_slots=0,
        now=now(),
        lease_s=15.0,
    )
    return claim


def test_a_beat_that_fails_unexpectedly_is_not_the_last(service):
    tries = []

    def presence():
        tries.append(len(tries))
        if len(tries) == 1:
            raise ValueError("unexpected")
        return HERE

    lease = Heartbeat(service, presence)
    lease._lease_s = 0.1
    with lease:
        until(lambda: len(tries) > 2, timeout_s=5)


def test_a_job_claimed_again_while_a_beat_waits_is_not_taken_for_lost(client, service):
    client.generate()
    asked = threading.Event()
    lease = Heartbeat(service, lambda: asked.set() or HERE)
    with service.database.writing() as session:
        first = claimed(session)
    lease.hold([first])
    beat = threading.Thread(target=lease.beat)
    # The beat has noted what it holds and waits for the database, which this transaction has for itself.
    with service.database.writing() as session:
        jobs.release(session, first, now())
        beat.start()
        assert asked.wait(5)
        time.sleep(0.2)
        lease.give_up(first)
        second = claimed(session)
        lease.hold([second])
    beat.join(10)
    assert not beat.is_alive()
    assert not lease.lost(second)
