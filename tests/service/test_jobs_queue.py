"""Who is served when: rank, lanes, slots, and what a claim carries."""

from datetime import timedelta

import pytest
import redis
from sqlalchemy import insert

from service import jobs
from service.database.ids import new_id
from service.database.tables import Job
from service.errors import TooManyJobsError
from tests.service.hands import LEASE_S, NOON, moment


def ids(claims):
    return [claim.job_id for claim in claims]


def test_jobs_are_claimed_in_the_order_in_which_they_came(hands):
    submitted = [hands.submit() for _ in range(5)]
    assert ids(hands.claim()) == submitted


def test_a_claim_takes_each_job_once_and_starts_its_lease(hands):
    submitted = hands.submit()
    (claim,) = hands.claim()
    assert hands.claim("bob") == []
    job = hands.job(submitted)
    assert (job.status, job.attempt, job.worker_id) == ("running", 1, "ada")
    assert (claim.attempt, claim.isolated) == (1, False)
    assert job.lease_expires_at == NOON + timedelta(seconds=LEASE_S)
    assert job.started_at == NOON


def test_an_owner_with_many_unfinished_jobs_stands_behind_one_with_few(hands):
    greedy, modest = hands.owner("own_greedy"), hands.owner("own_modest")
    many = [hands.submit(owner=greedy) for _ in range(10)]
    one = hands.submit(owner=modest)
    assert ids(hands.claim())[:3] == [many[0], one, many[1]]


def test_a_thousand_jobs_of_one_owner_do_not_starve_the_one_of_another(hands):
    greedy, modest = hands.owner("own_greedy"), hands.owner("own_modest")
    first, second = (hands.job(hands.submit(owner=greedy)) for _ in range(2))
    turn = second.rank - first.rank
    columns = {column.name: getattr(second, column.name) for column in Job.__table__.columns}
    more = [columns | {"id": new_id("job"), "rank": second.rank + turn * n} for n in range(1, 999)]
    with hands.database.writing() as session:
        session.execute(insert(Job), more)
    assert len(hands.claim(pictures=16)) == 16
    one = hands.submit(owner=modest)
    assert ids(hands.claim(pictures=1)) == [one]


def test_who_waits_is_not_overtaken_for_ever_by_those_who_keep_coming(hands):
    greedy, steady = hands.owner("own_greedy"), hands.owner("own_steady")
    waiting = [hands.submit(owner=greedy) for _ in range(5)]
    served = []
    for _ in range(10):
        hands.submit(owner=steady)
        (claim,) = hands.claim(pictures=1)
        hands.write(jobs.succeed, claim, NOON)
        served.append(claim.job_id)
    assert set(waiting) <= set(served)


def test_running_jobs_count_as_unfinished_when_the_next_one_is_placed(hands):
    busy, idle = hands.owner("own_busy"), hands.owner("own_idle")
    hands.submit(owner=busy)
    hands.claim()
    second = hands.submit(owner=busy)
    first = hands.submit(owner=idle)
    assert ids(hands.claim("bob")) == [first, second]


def test_pictures_go_before_trainings(hands):
    training = hands.submit("train")
    generation = hands.submit("generate")
    interpolation = hands.submit("interpolate")
    assert hands.job(generation).rank < hands.job(interpolation).rank < hands.job(training).rank
    assert ids(hands.claim()) == [generation, interpolation, training]


def test_pictures_are_taken_while_slots_are_left_and_the_last_job_may_be_larger(hands):
    first, second, third = hands.submit(slots=3), hands.submit(slots=16), hands.submit(slots=1)
    assert ids(hands.claim(pictures=4)) == [first, second]
    assert ids(hands.claim(pictures=4)) == [third]


@pytest.mark.parametrize(("pictures", "trainings", "kinds"), [(1, 0, {"generate"}), (0, 1, {"train"}), (0, 0, set())])
def test_only_what_there_is_room_for_is_claimed(hands, pictures, trainings, kinds):
    for kind in ("generate", "train", "generate", "train"):
        hands.submit(kind)
    claims = hands.claim(pictures=pictures, trainings=trainings)
    assert {claim.kind for claim in claims} == kinds
    assert len(claims) == len(kinds)


def test_a_worker_is_given_its_own_models_only(hands):
    hands.submit(model="sd15")
    mine = hands.submit(model="tiny")
    with hands.database.reading() as session:
        assert not jobs.has_claimable(session, models=["other"], pictures=True, trainings=True, rpcs=False)
        assert jobs.has_claimable(session, models=["sd15"], pictures=True, trainings=False, rpcs=False)
        assert not jobs.has_claimable(session, models=["sd15"], pictures=False, trainings=True, rpcs=False)
    assert ids(hands.claim(models=["tiny"])) == [mine]


def test_the_limit_of_unfinished_jobs_holds_and_an_ended_one_makes_room(hands):
    hands.submit(limit=2)
    hands.submit(limit=2)
    with pytest.raises(TooManyJobsError):
        hands.submit(limit=2)
    hands.write(jobs.succeed, hands.claim()[0], NOON)
    hands.submit(limit=2)


def test_a_refused_job_leaves_no_trace_and_rings_for_nobody(hands, broker, valkey_url):
    with pytest.raises(TooManyJobsError):
        hands.submit(limit=0)
    with redis.Redis.from_url(valkey_url) as valkey:
        assert valkey.llen("dti.model.tiny") == 0
        hands.submit()
        assert valkey.llen("dti.model.tiny") == 1


def test_the_queue_position_counts_those_who_are_served_before(hands):
    submitted = [hands.submit() for _ in range(3)]
    hands.submit(model="sd15")
    hands.submit("train")
    assert positions(hands, submitted) == [0, 1, 2]
    hands.claim(pictures=1, trainings=0)
    assert positions(hands, submitted) == [None, 0, 1]


def positions(hands, job_ids):
    with hands.database.reading() as session:
        expected = jobs.estimate(session, [hands.job(job_id) for job_id in job_ids], NOON)
    return [expected[job_id].position if job_id in expected else None for job_id in job_ids]


def test_models_are_rung_for_again_when_a_job_was_queued_too_long(hands):
    hands.submit()
    with hands.database.reading() as session:
        assert jobs.models_with_stale_jobs(session, moment(4), after_s=5) == set()
        assert jobs.models_with_stale_jobs(session, moment(6), after_s=5) == {"tiny"}
    hands.claim()
    with hands.database.reading() as session:
        assert jobs.models_with_stale_jobs(session, moment(6), after_s=5) == set()
