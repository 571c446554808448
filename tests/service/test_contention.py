"""Several processes on one database at once: nothing is lost, nothing is done twice."""

import multiprocessing
import os
import time
from collections import Counter

import pytest
from sqlalchemy import select

from service import jobs
from service.broker import Broker
from service.database.engine import Database
from service.database.tables import Event, Job, ModelCard
from service.errors import TooManyJobsError
from service.settings import Settings
from tests.support.queue_driver import NOON, QueueDriver

spawn = multiprocessing.get_context("spawn")
PROCESSES = 3


def together(target, *arguments):
    """Run a function in several processes at once and return what each of them returned."""
    with spawn.Pool(PROCESSES) as pool:
        results = [pool.apply_async(target, (number, *arguments)) for number in range(PROCESSES)]
        return [result.get(100) for result in results]


def increment(_number, url, times):
    database = Database(url)
    for _ in range(times):
        with database.writing() as session:
            row = session.scalars(select(ModelCard).with_for_update()).one()
            row.card = {"count": row.card["count"] + 1}
    database.close()


def test_no_increment_is_lost(database, database_url):
    with database.writing() as session:
        session.add(ModelCard(name="counter", card={"count": 0}, published_at=NOON))
    together(increment, database_url, 100)
    with database.reading() as session:
        assert session.scalars(select(ModelCard.card)).one() == {"count": PROCESSES * 100}


def work(number, url, until_idle_s):
    """Claim, write and end jobs until nothing came for a while; the ids of those that this process ended."""
    queue = QueueDriver(Database(url), broker=None)
    worker, done, idle_since = f"worker-{number}-{os.getpid()}", [], time.monotonic()
    while time.monotonic() - idle_since < until_idle_s:
        for claim in queue.claim(worker, pictures=4, trainings=1):
            queue.write(jobs.progress, claim, step=1, total=20, loss=None, eta_s=None)
            queue.write(jobs.succeed, claim)
            done.append(claim.job_id)
            idle_since = time.monotonic()
    queue.database.close()
    return done


def test_every_job_is_executed_once_and_its_events_have_no_gaps(queue, database, database_url):
    submitted = [queue.submit("train" if number % 5 == 0 else "generate", slots=1) for number in range(60)]
    done = Counter(job_id for ids in together(work, database_url, 1.0) for job_id in ids)
    assert done == Counter(submitted)
    with database.reading() as session:
        assert {(job.status, job.attempt) for job in session.scalars(select(Job))} == {("succeeded", 1)}
        for job_id in submitted:
            numbers = session.scalars(select(Event.number).where(Event.job_id == job_id).order_by(Event.number)).all()
            assert numbers == [1, 2, 3, 4, 5]


def submit(_number, url, broker_url, times):
    queue = QueueDriver(Database(url), Broker(Settings(broker_url=broker_url)))
    accepted = 0
    for _ in range(times):
        try:
            queue.submit(limit=10)
            accepted += 1
        except TooManyJobsError:
            pass
    queue.broker.close()
    queue.database.close()
    return accepted


@pytest.mark.usefixtures("database")
def test_the_limit_of_unfinished_jobs_holds_when_many_submit_at_once(database_url, valkey_url):
    assert sum(together(submit, database_url, valkey_url, 8)) == 10
