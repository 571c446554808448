"""Order of the queue: rank, priority classes, slots; contents of a claim."""

from datetime import timedelta

import pytest
import redis
from sqlalchemy import insert, update

from service import jobs
from service.database.ids import new_id
from service.database.tables import Job
from service.errors import TooManyJobsError
from tests.support.queue_driver import LEASE_S, NOON, moment


def ids(claims):
    return [claim.job_id for claim in claims]


def test_jobs_are_claimed_in_the_order_of_submission(queue):
    submitted = [queue.submit() for _ in range(5)]
    assert ids(queue.claim()) == submitted


def test_a_claim_takes_each_job_once_and_starts_its_lease(queue):
    submitted = queue.submit()
    (claim,) = queue.claim()
    assert queue.claim("bob") == []
    job = queue.job(submitted)
    assert (job.status, job.attempt, job.worker_id) == ("running", 1, "ada")
    assert (claim.attempt, claim.isolated) == (1, False)
    assert job.lease_expires_at == NOON + timedelta(seconds=LEASE_S)
    assert job.started_at == NOON


def test_an_owner_with_many_unfinished_jobs_ranks_behind_one_with_few(queue):
    greedy, modest = queue.owner("own_greedy"), queue.owner("own_modest")
    many = [queue.submit(owner=greedy) for _ in range(10)]
    one = queue.submit(owner=modest)
    assert ids(queue.claim())[:3] == [many[0], one, many[1]]


def test_a_thousand_jobs_of_one_owner_do_not_starve_the_one_of_another(queue):
    greedy, modest = queue.owner("own_greedy"), queue.owner("own_modest")
    first, second = (queue.job(queue.submit(owner=greedy)) for _ in range(2))
    turn = second.rank - first.rank
    columns = {column.name: getattr(second, column.name) for column in Job.__table__.columns}
    more = [columns | {"id": new_id("job"), "rank": second.rank + turn * n} for n in range(1, 999)]
    with queue.database.writing() as session:
        session.execute(insert(Job), more)
    assert len(queue.claim(pictures=16)) == 16
    one = queue.submit(owner=modest)
    assert ids(queue.claim(pictures=1)) == [one]


def test_a_waiting_job_is_not_starved_by_new_ones(queue):
    greedy, steady = queue.owner("own_greedy"), queue.owner("own_steady")
    waiting = [queue.submit(owner=greedy) for _ in range(5)]
    served = []
    for _ in range(10):
        queue.submit(owner=steady)
        (claim,) = queue.claim(pictures=1)
        queue.write(jobs.succeed, claim)
        served.append(claim.job_id)
    assert set(waiting) <= set(served)


def test_running_jobs_count_as_unfinished_in_the_rank_of_the_next(queue):
    busy, idle = queue.owner("own_busy"), queue.owner("own_idle")
    queue.submit(owner=busy)
    queue.claim()
    second = queue.submit(owner=busy)
    first = queue.submit(owner=idle)
    assert ids(queue.claim("bob")) == [first, second]


def test_generations_rank_before_trainings(queue):
    training = queue.submit("train")
    generation = queue.submit("generate")
    interpolation = queue.submit("interpolate")
    assert queue.job(generation).rank < queue.job(interpolation).rank < queue.job(training).rank
    assert ids(queue.claim()) == [generation, interpolation, training]


def test_generations_are_claimed_while_slots_are_left_and_the_last_may_be_larger(queue):
    first, second, third = queue.submit(slots=3), queue.submit(slots=16), queue.submit(slots=1)
    assert ids(queue.claim(pictures=4)) == [first, second]
    assert ids(queue.claim(pictures=4)) == [third]


@pytest.mark.parametrize(("pictures", "trainings", "kinds"), [(1, 0, {"generate"}), (0, 1, {"train"}), (0, 0, set())])
def test_claims_stay_within_the_capacity(queue, pictures, trainings, kinds):
    for kind in ("generate", "train", "generate", "train"):
        queue.submit(kind)
    claims = queue.claim(pictures=pictures, trainings=trainings)
    assert {claim.kind for claim in claims} == kinds
    assert len(claims) == len(kinds)


def test_a_worker_claims_jobs_of_its_own_models_only(queue):
    queue.submit(model="sd15")
    mine = queue.submit(model="tiny")
    with queue.database.reading() as session:
        assert not jobs.has_claimable(session, models=["other"], slots={"pictures": 1, "trainings": 1})
        assert jobs.has_claimable(session, models=["sd15"], slots={"pictures": 1, "trainings": 0})
        assert not jobs.has_claimable(session, models=["sd15"], slots={"pictures": 0, "trainings": 1})
    assert ids(queue.claim(models=["tiny"])) == [mine]


@pytest.mark.parametrize("stored", [{"version": 99}, {"version": 1, "prompt": "a"}, {}])
def test_a_job_that_cannot_be_read_fails_and_takes_no_other_along(queue, stored):
    broken, intact = queue.submit(), queue.submit()
    with queue.database.writing() as session:
        session.execute(update(Job).where(Job.id == broken).values(input=stored))
    assert ids(queue.claim()) == [intact]
    assert (queue.job(broken).status, queue.job(broken).error_code) == ("failed", "internal_error")
    assert "Submit it again" in queue.job(broken).error_message
    assert [name for _, name in queue.events(broken)] == ["status", "status", "status", "done"]


def test_the_limit_of_unfinished_jobs_applies_until_one_ends(queue):
    queue.submit(limit=2)
    queue.submit(limit=2)
    with pytest.raises(TooManyJobsError):
        queue.submit(limit=2)
    queue.write(jobs.succeed, queue.claim()[0])
    queue.submit(limit=2)


def test_a_refused_job_leaves_no_row_and_sends_no_wake_up(queue, broker, valkey_url):
    with pytest.raises(TooManyJobsError):
        queue.submit(limit=0)
    with redis.Redis.from_url(valkey_url) as valkey:
        assert valkey.llen("dti.model.tiny") == 0
        queue.submit()
        assert valkey.llen("dti.model.tiny") == 1


def test_the_queue_position_counts_the_jobs_ahead(queue):
    submitted = [queue.submit() for _ in range(3)]
    queue.submit(model="sd15")
    queue.submit("train")
    assert positions(queue, submitted) == [0, 1, 2]
    queue.claim(pictures=1, trainings=0)
    assert positions(queue, submitted) == [None, 0, 1]


def positions(queue, job_ids):
    with queue.database.reading() as session:
        expected = jobs.estimate(session, [queue.job(job_id) for job_id in job_ids])
    return [expected[job_id].position if job_id in expected else None for job_id in job_ids]


def test_workers_are_notified_again_of_a_job_that_was_queued_too_long(queue):
    queue.submit()
    assert queue.read(jobs.models_with_stale_jobs, after_s=5, at=moment(4)) == set()
    assert queue.read(jobs.models_with_stale_jobs, after_s=5, at=moment(6)) == {"tiny"}
    queue.claim()
    assert queue.read(jobs.models_with_stale_jobs, after_s=5, at=moment(6)) == set()
