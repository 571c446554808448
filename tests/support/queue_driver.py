"""A driver of the job queue: it submits, claims and ends jobs at times of the test's choosing."""

from datetime import UTC, datetime, timedelta

from service import jobs
from service.database.tables import LOCAL_OWNER_ID, Job, Owner

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE_S = 15.0


class QueueDriver:
    def __init__(self, database, broker):
        self.database = database
        self.broker = broker

    def owner(self, owner_id):
        with self.database.writing() as session:
            session.merge(Owner(id=owner_id, name=owner_id, created_at=NOON))
        return owner_id

    def submit(self, kind="generate", *, owner=LOCAL_OWNER_ID, model="tiny", limit=1000, **rest):
        defaults = {"input": {"from": "class_word"}, "total": 20, "slots": 1}
        if kind == "train":
            defaults["concepts"] = [_unlearned()]
        new = jobs.NewJob(owner_id=owner, kind=kind, model=model, **{**defaults, **rest})
        with self.database.writing() as session:
            return jobs.submit(session, new, broker=self.broker, unfinished_limit=limit, now=NOON).id

    def claim(self, worker="ada", *, models=("tiny",), pictures=100, trainings=100, rpcs=100, after_s=0.0):
        with self.database.writing() as session:
            return jobs.claim(
                session,
                worker_id=worker,
                models=models,
                picture_slots=pictures,
                training_slots=trainings,
                rpc_slots=rpcs,
                now=moment(after_s),
                lease_s=LEASE_S,
            )

    def beat(self, claims, worker="ada", *, after_s=0.0):
        with self.database.writing() as session:
            return jobs.extend_leases(session, worker_id=worker, claims=claims, now=moment(after_s), lease_s=LEASE_S)

    def expire(self, *, after_s=LEASE_S + 1, attempts=3):
        with self.database.writing() as session:
            return jobs.expire_leases(session, moment(after_s), attempts=attempts)

    def write(self, move, *arguments, **keywords):
        """One of the state machine's writes, in its own transaction."""
        with self.database.writing() as session:
            return move(session, *arguments, **keywords)

    def job(self, job_id):
        with self.database.reading() as session:
            return session.get(Job, job_id)

    def events(self, job_id):
        with self.database.reading() as session:
            return [(event.number, event.name) for event in jobs.events_after(session, job_id, 0)]


def moment(after_s):
    return NOON + timedelta(seconds=after_s)


def _unlearned():
    return jobs.PinnedConcept(id="con_x", name="x", embedding_key=None, embedding_sha256=None)
