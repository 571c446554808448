"""How long a queued job will take, against what a simulated worker then needs."""

import pytest

from service import jobs, workers
from service.jobs import queue_profile
from service.workers import Presence
from tests.support.queue_driver import moment
from worker.time_sharing import TimeSharing

PICTURE_STEP_S = 0.02
TRAINING_STEP_S = 0.05


@pytest.fixture
def measured(queue):
    """A worker that has reported its throughput."""

    def say(worker="ada", pictures=True, trainings=True, slower=1.0):
        rendered = {"picture_steps": 100, "picture_s": 100 * PICTURE_STEP_S * slower} if pictures else {}
        trained = {"training_steps": 50, "training_s": 50 * TRAINING_STEP_S * slower} if trainings else {}
        presence = Presence(
            worker_id=worker, device="cpu", models=["tiny"], served_models=["tiny"], **rendered, **trained
        )
        queue.write(workers.heartbeat, presence)

    return say


def eta_s(queue, job_id, after_s=0.0):
    expected = queue.read(jobs.estimate, [queue.job(job_id)], at=moment(after_s)).get(job_id)
    return expected and expected.eta_s


def test_without_a_measurement_there_is_no_eta(queue, measured):
    picture, training = queue.submit(), queue.submit("train")
    assert eta_s(queue, picture) is None
    measured(pictures=False, trainings=False)
    assert eta_s(queue, picture) is None
    measured(trainings=False)
    assert eta_s(queue, picture) == pytest.approx(20 * PICTURE_STEP_S / 0.75)
    assert eta_s(queue, training) is None
    measured()
    assert eta_s(queue, training) is not None
    assert eta_s(queue, training, after_s=workers.SILENT_S + 1) is None
    queue.claim()
    assert eta_s(queue, picture) is None


def test_the_eta_counts_the_jobs_ahead_and_the_rest_of_the_running_one(queue, measured):
    measured()
    first, second, third = (queue.submit(steps=steps) for steps in (10, 20, 40))
    assert [eta_s(queue, job) for job in (first, second, third)] == pytest.approx([0.2, 0.6, 1.4])
    (claim,) = queue.claim(pictures=1)
    queue.write(jobs.progress, claim, step=5, total=10, loss=None, eta_s=None)
    assert [eta_s(queue, job) for job in (second, third)] == pytest.approx([0.5, 1.3])


def test_two_workers_share_the_jobs_ahead_but_not_the_job_itself(queue, measured):
    measured("ada")
    measured("bob")
    queue.submit(steps=40)
    assert eta_s(queue, queue.submit(steps=10)) == pytest.approx(40 * PICTURE_STEP_S / 2 + 10 * PICTURE_STEP_S)


def test_a_slow_worker_adds_little(queue, measured):
    measured("ada")
    measured("bob", slower=3.0)
    queue.submit(steps=40)
    ahead_s = 40 / (1 / PICTURE_STEP_S + 1 / (3 * PICTURE_STEP_S))
    own_s = 10 * 2 / (1 / PICTURE_STEP_S + 1 / (3 * PICTURE_STEP_S))
    assert eta_s(queue, queue.submit(steps=10)) == pytest.approx(ahead_s + own_s)


@pytest.mark.parametrize(
    "totals",
    [
        {"generate": [200, 300, 50], "train": []},
        {"generate": [], "train": [400, 100]},
        {"generate": [200, 400], "train": [400, 800]},
        {"generate": [1000], "train": [60, 20]},
    ],
)
def test_the_eta_matches_a_simulated_worker(queue, measured, totals):
    measured()
    owners = [queue.owner(f"own_{number}") for number in range(3)]
    queued = [
        queue.submit(kind, owner=owner, steps=total)
        for kind in totals
        for owner, total in zip(owners, totals[kind], strict=False)
    ]
    expected = {job: eta_s(queue, job) for job in queued}
    ended = simulated(queue)
    assert ended.keys() == set(queued)
    for job, ended_s in ended.items():
        assert expected[job] == pytest.approx(ended_s, rel=0.1), (totals, expected, ended)


def simulated(queue):
    """When each job ends where a worker makes one picture and one training at a time."""
    turns, clock_s, ended = TimeSharing(), 0.0, {}
    working, had = {}, None
    while True:
        capacity = {engine: int(engine not in working) for engine in ("pictures", "trainings")}
        for claim in () if working.keys() == had else queue.claim(**capacity):
            working["trainings" if claim.kind == "train" else "pictures"] = [claim, claim.total]
        if not working:
            return ended
        had = set(working)
        if "pictures" in working:
            clock_s += PICTURE_STEP_S
            turns.rendered(PICTURE_STEP_S)
            working["pictures"][1] -= 1
        if "trainings" in working and turns.training_is_due(rendering="pictures" in working):
            clock_s += TRAINING_STEP_S
            turns.trained(TRAINING_STEP_S)
            working["trainings"][1] -= 1
        for engine, (claim, left) in list(working.items()):
            if left == 0:
                queue.write(jobs.succeed, claim)
                ended[claim.job_id] = clock_s
                del working[engine]


def test_a_long_queue_is_read_once_for_many_estimates_and_counts_as_a_short_one_does(queue, monkeypatch):
    owners = [queue.owner(f"own_{number}") for number in range(3)]
    ids = [queue.submit("generate", steps=10, owner=owners[number % 3]) for number in range(7)]
    ordered = sorted((queue.job(job_id) for job_id in ids), key=lambda job: (job.rank, job.id))
    exact = queue.read(jobs.estimate, ordered)
    monkeypatch.setattr(queue_profile, "SHORT", 3)
    assert queue.read(jobs.estimate, ordered) == exact
    assert [exact[job.id].position for job in ordered] == list(range(7))
    queue.claim(pictures=2)
    assert queue.read(jobs.estimate, [ordered[-1]])[ordered[-1].id].position == 6, "kept for a second"
