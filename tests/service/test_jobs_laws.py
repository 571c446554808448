"""Invariants of the state machine under every order of events."""

import itertools
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select

from service import jobs
from service.database.tables import Event, Job, JobConcept
from service.errors import JobEndedError, LeaseLostError
from service.jobs.states import MOVES
from tests.support.queue_driver import LEASE_S, QueueDriver, moment

WORKERS = ("ada", "bob")
ATTEMPTS = 3


class Queue(RuleBasedStateMachine):
    """Two workers, a clock that moves, clients who submit and cancel; each worker remembers what it believes."""

    def __init__(self, database, broker):
        super().__init__()
        self.database = database
        self.queue = QueueDriver(database, broker)
        self.clock_s = 0.0
        self.held = {worker: {} for worker in WORKERS}
        self.seen = {}
        self.steps = itertools.count(1)

    @initialize()
    def begin_with_an_empty_queue(self):
        with self.database.writing() as session:
            for table in (Event, JobConcept, Job):
                session.query(table).delete()

    def write(self, worker, move, claim, *arguments, **keywords):
        """A fenced write succeeds exactly where the worker's belief is true."""
        owned = self.owns(worker, claim)
        try:
            self.queue.write(move, claim, *arguments, **keywords)
        except LeaseLostError:
            assert not owned
        else:
            assert owned

    def owns(self, worker, claim):
        job = self.queue.job(claim.job_id)
        return job.status == "running" and job.attempt == claim.attempt and job.worker_id == worker

    @rule(kind=st.sampled_from(["train", "generate"]), slots=st.integers(1, 4))
    def submit(self, kind, slots):
        self.queue.submit(kind, slots=1 if kind == "train" else slots)

    @rule(worker=st.sampled_from(WORKERS), pictures=st.integers(0, 4), trainings=st.integers(0, 2))
    def claim(self, worker, pictures, trainings):
        for claim in self.queue.claim(worker, pictures=pictures, trainings=trainings, after_s=self.clock_s):
            self.held[worker][claim.job_id, claim.attempt] = claim

    @rule(worker=st.sampled_from(WORKERS), seconds=st.sampled_from([1.0, LEASE_S / 2]))
    def beat(self, worker, seconds):
        self.clock_s += seconds
        claims = {claim.job_id: claim for claim in self.held[worker].values()}.values()
        lost = self.queue.beat(claims, worker, after_s=self.clock_s)
        assert lost == {claim.job_id for claim in claims if not self.owns(worker, claim)}

    @precondition(lambda self: any(self.held.values()))
    @rule(data=st.data())
    def act(self, data):
        worker = data.draw(st.sampled_from([worker for worker in WORKERS if self.held[worker]]))
        key = data.draw(st.sampled_from(sorted(self.held[worker])))
        claim = self.held[worker][key]
        step = next(self.steps)
        moves = {
            "progress": lambda: self.write(worker, jobs.progress, claim, step=step, total=step, loss=0.5, eta_s=None),
            "checkpoint": lambda: self.write(worker, jobs.save_checkpoint, claim, key=f"c{step}", step=step),
            "succeed": lambda: self.write(worker, jobs.succeed, claim),
            "fail": lambda: self.write(worker, jobs.fail, claim, "code", "message"),
            "cancelled": lambda: self.write(worker, jobs.confirm_cancel, claim),
            "release": lambda: self.write(worker, jobs.release, claim),
        }
        move = data.draw(st.sampled_from(sorted(moves)))
        moves[move]()
        if move not in {"progress", "checkpoint"}:
            del self.held[worker][key]

    @rule(seconds=st.sampled_from([1.0, LEASE_S, 100.0]))
    def maintenance(self, seconds):
        self.clock_s += seconds
        self.queue.expire(after_s=self.clock_s, attempts=ATTEMPTS)

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def cancel(self, data):
        job_id = data.draw(st.sampled_from(sorted(self.seen)))
        ended_otherwise = self.queue.job(job_id).status in {"succeeded", "failed"}
        try:
            self.queue.write(jobs.request_cancel, job_id, at=moment(self.clock_s))
        except JobEndedError:
            assert ended_otherwise
        else:
            assert not ended_otherwise

    @invariant()
    def the_rows_agree(self):
        with self.database.reading() as session:
            rows = session.scalars(select(Job)).all()
            numbers = {}
            for event in session.scalars(select(Event).order_by(Event.number)):
                numbers.setdefault(event.job_id, []).append((event.number, event.name))
        for job in rows:
            self.check_row(job)
            self.check_events(job, numbers[job.id])
            before = self.seen.get(job.id)
            assert before is None or reachable(before, job.status)
            self.seen[job.id] = job.status
        for worker in WORKERS:
            running = [job for job in rows if job.status == "running" and job.worker_id == worker]
            assert len(running) <= 1 or all(job.lost_attempts == 0 for job in running)

    def check_row(self, job):
        running = job.status == "running"
        assert (job.worker_id is not None) == (job.lease_expires_at is not None) == running
        assert (job.finished_at is not None) == (job.status in jobs.ENDED)
        assert not (job.status == "queued" and job.cancel_requested)
        assert job.lost_attempts < ATTEMPTS or job.status in {"failed", "cancelled"}
        assert job.attempt >= job.lost_attempts
        assert not running or job.lease_expires_at <= moment(self.clock_s) + timedelta(seconds=LEASE_S)

    def check_events(self, job, events):
        assert [number for number, _ in events] == list(range(1, job.last_event_number + 1))
        done = [number for number, name in events if name == "done"]
        assert done == ([job.last_event_number] if job.status in jobs.ENDED else [])


def reachable(start, end):
    """Whether moves lead from one state to another; a rule may make two, such as queued, running, queued."""
    known, fresh = set(), {start}
    while fresh:
        known |= fresh
        fresh = {after for state in fresh for after in MOVES[state]} - known
    return end in known


@pytest.fixture
def examples(database):
    """As many sequences as a second or two allow."""
    return settings(
        max_examples=12 if database.engine.dialect.name == "sqlite" else 6,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


def test_the_state_machine_keeps_its_laws(database, broker, examples):
    run_state_machine_as_test(lambda: Queue(database, broker), settings=examples)
