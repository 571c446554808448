"""The paired cluster bootstrap."""

import numpy as np
import pytest

from dti.study.statistics import differences, intervals, mean, resample

RNG = np.random.default_rng(3)


def grid(arms, concepts=12, prompts=4, seeds=3):
    shared = RNG.normal(size=(1, concepts, 1, 1)) + RNG.normal(size=(1, concepts, prompts, seeds)) / 10
    return shared + np.array(arms, dtype=float)[:, None, None, None]


def test_a_constant_difference_between_arms_has_no_width():
    found = differences(grid([0, 0.3]), 0)[1]
    assert (found.low, found.high) == (pytest.approx(0.3), pytest.approx(0.3))


def test_the_reference_arm_differs_from_itself_by_exactly_nothing():
    own = differences(grid([0, 1]), 1)[1]
    assert (own.value, own.low, own.high) == (0, 0, 0)
    assert not own.excludes_zero


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(100):
        values = rng.normal(size=(1, 25, 1, 1))
        (found,) = intervals(values)
        held += found.low <= 0 <= found.high
    assert 85 <= held <= 100


def test_clusters_and_not_pictures_decide_the_width():
    per_concept = np.repeat(RNG.normal(size=(1, 10, 1, 1)), 50, axis=2)
    (wide,) = intervals(per_concept)
    (narrow,) = intervals(per_concept.reshape(1, 500, 1, 1))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_missing_values_are_left_out():
    values = grid([0, 0])
    values[1, 3] = np.nan
    assert mean(values)[1] == pytest.approx(np.nanmean(values[1]))
    assert np.isfinite(resample(values)).all()


def test_an_arm_without_values_has_no_interval():
    values = grid([0, 0])
    values[1] = np.nan
    assert np.isnan(intervals(values)[1].low)
