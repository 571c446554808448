"""A driver of the job queue: it submits, claims and ends jobs at times of the test's choosing."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from dti.spec.settings import CompleteRendering, DirectionalTraining, Interpolation
from service import jobs
from service.database.tables import LOCAL_OWNER_ID, Job, Owner
from service.kinds.jobs import GenerateInput, InterpolateInput, TrainInput
from service.kinds.rpc import NeighboursInput
from service.settings import Limits, Settings

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LEASE_S = 15.0


class QueueDriver:
    def __init__(self, database, broker):
        self.database = at_time(database, NOON)
        self.broker = broker

    def owner(self, owner_id):
        with self.database.writing() as session:
            session.merge(Owner(id=owner_id, name=owner_id, created_at=NOON))
        return owner_id

    def submit(self, kind="generate", *, steps=20, slots=1, owner=LOCAL_OWNER_ID, model="tiny", limit=1000, **rest):
        if kind == "train":
            rest.setdefault("concepts", [_unlearned()])
        new = jobs.NewJob(owner_id=owner, model=model, input=job_input(kind, steps=steps, slots=slots), **rest)
        with self.database.writing() as session:
            return jobs.submit(self._within(limit), session, new).id

    def claim(self, worker="ada", *, models=("tiny",), pictures=100, trainings=100, rpcs=100, after_s=0.0):
        with at_time(self.database, moment(after_s)).writing() as session:
            return jobs.claim(
                session,
                worker_id=worker,
                models=models,
                slots={"pictures": pictures, "trainings": trainings, "rpcs": rpcs},
                lease_s=LEASE_S,
            )

    def beat(self, claims, worker="ada", *, after_s=0.0):
        with at_time(self.database, moment(after_s)).writing() as session:
            return jobs.extend_leases(session, worker_id=worker, claims=claims, lease_s=LEASE_S)

    def expire(self, *, after_s=LEASE_S + 1, attempts=3):
        with at_time(self.database, moment(after_s)).writing() as session:
            return jobs.expire_leases(session, max_attempts=attempts, lease_s=LEASE_S)

    def write(self, rule, *arguments, at=NOON, **keywords):
        """The result of a rule in a writing transaction of its own, at a time of the test's choosing."""
        with at_time(self.database, at).writing() as session:
            return rule(session, *arguments, **keywords)

    def read(self, rule, *arguments, at=NOON, **keywords):
        """The result of a rule in a reading transaction of its own, at a time of the test's choosing."""
        with at_time(self.database, at).reading() as session:
            return rule(session, *arguments, **keywords)

    def _within(self, limit):
        """The parts of a service that a submission needs."""
        return SimpleNamespace(settings=Settings(limits=Limits(unfinished_jobs=limit)), broker=self.broker)

    def job(self, job_id):
        with self.database.reading() as session:
            return session.get(Job, job_id)

    def events(self, job_id):
        with self.database.reading() as session:
            return [(event.number, event.name) for event in jobs.events_after(session, job_id, 0)]


def at_time(database, moment):
    """A database whose transactions all happen at one moment."""
    return database.with_clock(lambda: moment)


def moment(after_s):
    return NOON + timedelta(seconds=after_s)


def job_input(kind, *, steps=20, slots=1):
    """An input of a kind, with so many steps a slot."""
    rendering = CompleteRendering(
        num_images=slots if kind == "generate" else 1,
        width=64,
        height=64,
        steps=steps,
        guidance_scale=4.0,
        scheduler="ddim",
        seed=7,
    )
    pictures = {"prompt": "a photo", "negative_prompt": "", "model": "tiny", "rendering": rendering}
    match kind:
        case "train":
            return TrainInput(
                concept_id="con_x",
                name="x",
                class_word="dog",
                learnable_property="object",
                method="dti",
                start="class_word",
                training=DirectionalTraining(steps=steps, seed=7, resolution=64),
            )
        case "generate":
            return GenerateInput(**pictures)
        case "interpolate":
            shares = tuple(number / max(1, slots - 1) for number in range(slots))
            between = Interpolation(frames=slots)
            return InterpolateInput(start="x", end="y", interpolation=between, shares=shares, **pictures)
        case "rpc":
            return NeighboursInput()


def _unlearned():
    return jobs.PinnedConcept(id="con_x", name="x", embedding_key=None, embedding_sha256=None)
