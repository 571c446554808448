"""The thread that extends leases."""

import threading
import time

from service import jobs
from service.workers import Presence
from tests.support.worker_driver import MODEL, until
from worker.heartbeat import Heartbeat

PRESENCE = Presence(worker_id="ada", device="cpu", models=())


def claimed(session):
    (claim,) = jobs.claim(
        session,
        worker_id="ada",
        models=[MODEL],
        slots={"pictures": 1, "trainings": 1, "rpcs": 0},
        lease_s=15.0,
    )
    return claim


def test_beats_go_on_after_an_unexpected_error(service):
    beats = []

    def presence():
        beats.append(len(beats))
        if len(beats) == 1:
            raise ValueError("unexpected")
        return PRESENCE

    heartbeat = Heartbeat(service, presence)
    heartbeat._lease_s = 0.1
    with heartbeat:
        until(lambda: len(beats) > 2, timeout_s=5)


def test_a_job_claimed_again_during_a_beat_is_not_reported_lost(client, service):
    client.generate()
    beating = threading.Event()
    heartbeat = Heartbeat(service, lambda: beating.set() or PRESENCE)
    with service.database.writing() as session:
        first = claimed(session)
    heartbeat.track([first])
    beat = threading.Thread(target=heartbeat.beat)
    # The beat has listed its claims and waits for the database, which this transaction has locked.
    with service.database.writing() as session:
        jobs.release(session, first)
        beat.start()
        assert beating.wait(5)
        time.sleep(0.2)
        heartbeat.untrack(first)
        second = claimed(session)
        heartbeat.track([second])
    beat.join(10)
    assert not beat.is_alive()
    assert not heartbeat.lost(second)
