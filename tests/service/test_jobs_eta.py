"""How long a queued job will take, against what a simulated worker then needs."""

import pytest

from service import jobs, workers
from service.workers import Presence
from tests.service.hands import NOON, moment
from worker.time_sharing import TimeSharing

PICTURE_STEP_S = 0.02
TRAINING_STEP_S = 0.05


@pytest.fixture
def measured(hands):
    """A worker that has said how fast it is."""

    def say(worker="ada", pictures=True, trainings=True, slower=1.0):
        rendered = {"picture_steps": 100, "picture_s": 100 * PICTURE_STEP_S * slower} if pictures else {}
        trained = {"training_steps": 50, "training_s": 50 * TRAINING_STEP_S * slower} if trainings else {}
        presence = Presence(worker_id=worker, device="cpu", models=["tiny"], **rendered, **trained)
        hands.write(workers.seen, presence, NOON)

    return say


def eta_s(hands, job_id, after_s=0.0):
    with hands.database.reading() as session:
        expected = jobs.estimate(session, [hands.job(job_id)], moment(after_s)).get(job_id)
        return expected and expected.eta_s


def test_nothing_is_expected_where_nobody_has_measured_it(hands, measured):
    picture, training = hands.submit(), hands.submit("train")
    assert eta_s(hands, picture) is None
    measured(pictures=False, trainings=False)
    assert eta_s(hands, picture) is None
    measured(trainings=False)
    assert eta_s(hands, picture) == pytest.approx(20 * PICTURE_STEP_S / 0.75)
    assert eta_s(hands, training) is None
    measured()
    assert eta_s(hands, training) is not None
    assert eta_s(hands, training, after_s=workers.SILENT_S + 1) is None
    hands.claim()
    assert eta_s(hands, picture) is None


def test_jobs_wait_for_those_before_them_and_for_what_is_left_of_the_running_one(hands, measured):
    measured()
    first, second, third = (hands.submit(total=total) for total in (10, 20, 40))
    assert [eta_s(hands, job) for job in (first, second, third)] == pytest.approx([0.2, 0.6, 1.4])
    (claim,) = hands.claim(pictures=1)
    hands.write(jobs.progress, claim, step=5, total=10, loss=None, eta_s=None, now=NOON)
    assert [eta_s(hands, job) for job in (second, third)] == pytest.approx([0.5, 1.3])


def test_two_workers_share_what_is_ahead_and_not_the_job_itself(hands, measured):
    measured("ada")
    measured("bob")
    hands.submit(total=40)
    assert eta_s(hands, hands.submit(total=10)) == pytest.approx(40 * PICTURE_STEP_S / 2 + 10 * PICTURE_STEP_S)


def test_a_slow_worker_adds_little(hands, measured):
    measured("ada")
    measured("bob", slower=3.0)
    hands.submit(total=40)
    ahead_s = 40 / (1 / PICTURE_STEP_S + 1 / (3 * PICTURE_STEP_S))
    own_s = 10 * 2 / (1 / PICTURE_STEP_S + 1 / (3 * PICTURE_STEP_S))
    assert eta_s(hands, hands.submit(total=10)) == pytest.approx(ahead_s + own_s)


@pytest.mark.parametrize(
    "totals",
    [
        {"generate": [200, 300, 50], "train": []},
        {"generate": [], "train": [400, 100]},
        {"generate": [200, 400], "train": [400, 800]},
        {"generate": [1000], "train": [60, 20]},
    ],
)
def test_a_simulated_worker_needs_what_was_expected(hands, measured, totals):
    measured()
    owners = [hands.owner(f"own_{number}") for number in range(3)]
    queued = [
        hands.submit(kind, owner=owner, total=total)
        for kind in totals
        for owner, total in zip(owners, totals[kind], strict=False)
    ]
    expected = {job: eta_s(hands, job) for job in queued}
    ended = simulated(hands)
    assert ended.keys() == set(queued)
    for job, ended_s in ended.items():
        assert expected[job] == pytest.approx(ended_s, rel=0.1), (totals, expected, ended)


def simulated(hands):
    """When each job ends where a worker makes one picture and one training at a time."""
    turns, clock_s, ended = TimeSharing(), 0.0, {}
    working, had = {}, None
    while True:
        room = {engine: int(engine not in working) for engine in ("pictures", "trainings")}
        for claim in () if working.keys() == had else hands.claim(**room):
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
                hands.write(jobs.succeed, claim, NOON)
                ended[claim.job_id] = clock_s
                del working[engine]
