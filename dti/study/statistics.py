"""Paired cluster bootstrap over concepts, prompts and seeds.

Arms share concepts, prompts and seeds, so every resample draws the same clusters for all arms and differences are
paired. Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993; crossed resampling of all three factors
is conservative (Owen, "The pigeonhole bootstrap", 2007).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies on one side of zero."""
        return self.low > 0 or self.high < 0


def resample(values: Array, *, resamples: int = RESAMPLES, seed: int = 0) -> Array:
    """Means of every arm in bootstrap resamples of the clusters.

    Args:
        values: `(arms, concepts, prompts, seeds)`; NaN where an arm has no value.
        resamples: number of resamples.
        seed: of the resamples.

    Returns:
        `(resamples, arms)`; NaN where a resample holds no value of an arm.
    """
    rng = np.random.default_rng(seed)
    present = np.isfinite(values)
    filled = np.where(present, values, 0.0)
    weights = [rng.multinomial(size, np.full(size, 1 / size), resamples).astype(float) for size in values.shape[1:]]
    totals = _weighted(filled, weights)
    counts = _weighted(present.astype(float), weights)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, totals / counts, np.nan)


def _weighted(values: Array, weights: Sequence[Array]) -> Array:
    concepts, prompts, seeds = weights
    by_seed = np.einsum("acps,ds->acpd", values, seeds)
    by_prompt = np.einsum("acpd,dp->acd", by_seed, prompts)
    return np.asarray(np.einsum("acd,dc->da", by_prompt, concepts))


def mean(values: Array) -> Array:
    """Mean of every arm over its values, `(arms,)`; NaN for an arm without any."""
    flat = values.reshape(len(values), -1)
    counts = np.isfinite(flat).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nansum(flat, 1) / np.where(counts, counts, np.nan))


def interval(value: float, draws: Array) -> Interval:
    """The 95 % percentile interval of an estimate from its resamples; NaN resamples are left out."""
    finite = draws[np.isfinite(draws)]
    if not finite.size:
        return Interval(value, np.nan, np.nan)
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def intervals(values: Array) -> list[Interval]:
    """Mean and interval of every arm."""
    draws = resample(values)
    return [interval(float(value), draws[:, arm]) for arm, value in enumerate(mean(values))]


def differences(values: Array, reference: int) -> list[Interval]:
    """Paired difference of every arm from a reference arm.

    Args:
        values: `(arms, concepts, prompts, seeds)`.
        reference: index of the reference arm.
    """
    draws, means = resample(values), mean(values)
    return [
        interval(float(means[arm] - means[reference]), draws[:, arm] - draws[:, reference])
        for arm in range(len(values))
    ]
