"""Placement: loaded models first, within bounds of fairness; a simulation of three models on two cards."""

import random
from collections import Counter

import pytest

from service import jobs, workers
from tests.support.queue_driver import at_time, moment

MODELS = ("a", "b", "c")
LOAD_AFTER_S = 10.0


@pytest.fixture
def claimable(queue):
    def models(loaded, after_s=0.0):
        rule = {"served": MODELS, "loaded": loaded, "load_after_s": LOAD_AFTER_S}
        return set(queue.read(jobs.claimable_models, at=moment(after_s), **rule))

    return models


def see(queue, worker, loaded, after_s=0.0):
    presence = workers.Presence(worker_id=worker, device="cpu", models=loaded, served_models=MODELS)
    queue.write(workers.heartbeat, presence, at=moment(after_s))


def test_an_empty_queue_allows_the_loaded_models_alone(claimable):
    assert claimable(["a"]) == {"a"}


def test_a_worker_without_work_for_its_models_loads_the_model_that_waits_longest(queue, claimable):
    queue.submit(model="c")
    assert claimable(["a"]) == {"a", "c"}


def test_a_worker_with_work_for_its_models_leaves_others_until_they_are_overdue(queue, claimable):
    queue.submit(model="a")
    queue.submit(model="b")
    assert claimable(["a"], after_s=LOAD_AFTER_S - 1) == {"a"}
    assert claimable(["a"], after_s=LOAD_AFTER_S) == {"a", "b"}


def test_a_job_is_left_to_a_worker_that_has_loaded_its_model_until_it_is_overdue(queue, claimable):
    see(queue, "other", ["b"])
    queue.submit(model="b")
    assert claimable(["a"]) == {"a"}
    assert claimable(["b"]) == {"b"}
    assert claimable(["a"], after_s=LOAD_AFTER_S) == {"a", "b"}


def test_one_overdue_model_is_loaded_at_a_time(queue, claimable):
    for model in ("c", "b"):
        queue.submit(model=model)
    assert len(claimable(["a"], after_s=60)) == 2


def test_a_worker_that_has_just_loaded_a_model_works_on_it_before_it_loads_the_next(queue):
    queue.submit(model="a")
    queue.submit(model="b")
    rule = {"served": MODELS, "loaded": ("a",), "load_after_s": LOAD_AFTER_S}
    assert queue.read(jobs.claimable_models, at=moment(60), since_load_s=3.0, **rule) == {"a"}
    assert queue.read(jobs.claimable_models, at=moment(60), since_load_s=10.0, **rule) == {"a", "b"}


def test_only_served_models_are_claimed(queue):
    queue.submit(model="b")
    rule = {"served": ("a",), "loaded": (), "load_after_s": 0.0}
    assert queue.read(jobs.claimable_models, **rule) <= {"a"}


LOAD_S, STEP_S = 8.0, 0.5


class Card:
    """A worker whose memory holds one model, and which does one job at a time."""

    def __init__(self, name):
        self.name = name
        self.loaded = []
        self.free_at = 0.0
        self.loads = 0
        self.last_load_at = -1000.0

    def turn(self, queue, now_s):
        """Claim and do the next job; returns it with its waiting time."""
        see(queue, self.name, self.loaded, after_s=now_s)
        rule = {
            "served": MODELS,
            "loaded": self.loaded,
            "load_after_s": LOAD_AFTER_S,
            "since_load_s": now_s - self.last_load_at,
        }
        models = queue.read(jobs.claimable_models, at=moment(now_s), **rule)
        claims = queue.claim(self.name, models=models, pictures=1, trainings=0, rpcs=0, after_s=now_s)
        if not claims:
            self.free_at = now_s + 0.25
            return None
        (claim,) = claims
        if claim.model not in self.loaded:
            self.loaded = [claim.model]
            self.loads += 1
            now_s += LOAD_S
            self.last_load_at = now_s
        self.free_at = now_s + STEP_S
        queue.write(jobs.succeed, claim, at=moment(self.free_at))
        return claim


def test_three_models_on_two_cards_under_a_mixed_load_are_loaded_for_a_tenth_of_the_jobs_and_starve_no_owner(queue):
    chance = random.Random(7)
    owners = [queue.owner(f"own_{name}") for name in ("ada", "bob", "cy")]
    arrivals = sorted((chance.uniform(0, 120), chance.choice(MODELS), chance.choice(owners)) for _ in range(300))
    cards, ended, waits = [Card("card-0"), Card("card-1")], Counter(), []
    submitted = {}
    while len(waits) < len(arrivals):
        card = min(cards, key=lambda card: card.free_at)
        while len(submitted) < len(arrivals) and arrivals[len(submitted)][0] <= card.free_at:
            at_s, model, owner = arrivals[len(submitted)]
            submitted[_submit(queue, model, owner, at_s)] = at_s
        start_s = card.free_at
        if (claim := card.turn(queue, start_s)) is not None:
            waits.append(start_s - submitted[claim.job_id])
            ended[claim.owner_id] += 1
    loads_per_job = sum(card.loads for card in cards) / len(waits)
    assert loads_per_job <= 0.1, loads_per_job
    assert min(ended.values()) > 0
    assert max(waits) < 240


def _submit(queue, model, owner, at_s):
    usual = queue.database
    queue.database = at_time(usual, moment(at_s))
    job_id = queue.submit(model=model, owner=owner)
    queue.database = usual
    return job_id


@pytest.fixture
def database_url(sqlite_url):
    return sqlite_url
