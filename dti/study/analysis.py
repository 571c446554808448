"""Analysis of the tables: means with intervals, differences from the reference arm, tuned arms, interpolations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dti.study.judges import Judge
from dti.study.manifest import CLASS_WORD, Manifest, Split
from dti.study.scoring import LOSSES, REFERENCES, TABLE, gather, values
from dti.study.statistics import Array, Interval, differences, intervals, mean

Rows = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class ArmResult:
    """An arm's mean of a metric and its paired difference from the reference arm."""

    arm: str
    mean: Interval
    difference: Interval


@dataclass(frozen=True, slots=True)
class Axes:
    """Metrics of the two axes."""

    likeness: str
    obedience: str


@dataclass(frozen=True, slots=True)
class MixResult:
    """Interpolations by one arm and mixing.

    Attributes:
        evenness: longest step between neighbouring pictures' likeness to the end, over an even step; 1 is smooth.
        obedience: at the middle.
        likeness: to the start at share 0.25, as a check that the way leaves the start gradually.
    """

    arm: str
    mixing: str
    evenness: Interval
    obedience: Interval
    likeness: Interval


def axes_of(judges: Sequence[Judge]) -> Axes:
    """The first judge's metric for each axis."""
    found: dict[str, str] = {}
    for judge in judges:
        for axis, metric in judge.axes.items():
            found.setdefault(axis, metric)
    return Axes(found["likeness"], found["obedience"])


class Analysis:
    """The tables of one study.

    Attributes:
        rows: of all pictures.
        losses: of all embeddings.
        arms: the class word and all arms, in the manifest's order.
    """

    def __init__(self, manifest: Manifest, folder: Path) -> None:
        """Read the tables of a study's folder."""
        self.manifest = manifest
        self.rows: Rows = gather(manifest, folder, TABLE)
        self.losses: Rows = gather(manifest, folder, LOSSES)
        self.arms = (CLASS_WORD, *(arm.name for arm in manifest.arms))

    def _names(self, split: Split) -> list[str]:
        return [concept.name for concept in self.manifest.concepts if concept.split == split]

    def grid(self, metric: str, split: Split, prompts: Sequence[int] | None = None) -> Array:
        """A metric as `(arms, concepts, prompts, seeds)`; NaN where a picture has no value."""
        known = values(self.rows, metric)
        chosen = range(len(self.manifest.prompts)) if prompts is None else prompts
        return np.array(
            [
                [
                    [
                        [known.get((arm, name, prompt, seed), np.nan) for seed in self.manifest.seeds]
                        for prompt in chosen
                    ]
                    for name in self._names(split)
                ]
                for arm in self.arms
            ]
        ).reshape(len(self.arms), len(self._names(split)), len(chosen), len(self.manifest.seeds))

    def results(self, metric: str, split: Split = "report", prompts: Sequence[int] | None = None) -> list[ArmResult]:
        """Every arm's mean and difference from the reference arm."""
        return self._compare(self.grid(metric, split, prompts))

    def losses_by_arm(self, metric: str) -> list[ArmResult]:
        """Every arm's loss and difference from the reference arm, over the report concepts."""
        names, known = self._names("report"), dict[tuple[str, str, int], float]()
        for row in self.losses:
            known[row["arm"], row["concept"], int(row["picture"])] = float(row[metric])
        count = 1 + max(picture for _, _, picture in known)
        grid = np.array(
            [
                [[[known.get((arm, name, picture), np.nan)] for picture in range(count)] for name in names]
                for arm in self.arms
            ]
        )
        return self._compare(grid)

    def _compare(self, grid: Array) -> list[ArmResult]:
        reference = self.arms.index(self.manifest.reference_arm)
        triples = zip(self.arms, intervals(grid), differences(grid, reference), strict=True)
        return [ArmResult(arm, own, difference) for arm, own, difference in triples]

    def ceiling(self, metric: str) -> float | None:
        """Mean of a metric over the references of the report concepts; None without values."""
        names = set(self._names("report"))
        found = [
            float(row[metric])
            for row in self.rows
            if row["arm"] == REFERENCES and row["concept"] in names and row.get(metric)
        ]
        return float(np.mean(found)) if found else None

    def tuned(self, axes: Axes) -> dict[str, str]:
        """For every tuned method the arm that is best on the development concepts.

        Best is the largest sum of both axes after each is divided by the spread of all arms on that axis.
        """
        likeness, obedience = (mean(self.grid(metric, "development")) for metric in (axes.likeness, axes.obedience))
        total = likeness / (np.nanstd(likeness) or 1) + obedience / (np.nanstd(obedience) or 1)
        best: dict[str, str] = {}
        for arm in self.manifest.arms:
            if arm.tuned is None:
                continue
            present = best.get(arm.tuned)
            if present is None or total[self.arms.index(arm.name)] > total[self.arms.index(present)]:
                best[arm.tuned] = arm.name
        return best

    def orders(self, metric: str) -> dict[str, list[ArmResult]]:
        """Results by the position of the prompts' context."""
        by_order: dict[str, list[int]] = {}
        for index, prompt in enumerate(self.manifest.prompts):
            by_order.setdefault(prompt.order, []).append(index)
        return {order: self.results(metric, prompts=indices) for order, indices in by_order.items()}

    def mixes(self, axes: Axes) -> list[MixResult]:
        """Interpolations by arm and mixing."""
        plan = self.manifest.interpolation
        if not plan.pairs:
            return []
        return [self._mix(arm, mixing, axes) for arm in plan.arms for mixing in ("slerp", "lerp")]

    def _mix(self, arm: str, mixing: str, axes: Axes) -> MixResult:
        rows = [row for row in self.rows if row["arm"] == arm and row.get("mixing") == mixing]
        shares = sorted({float(row["share"]) for row in rows})
        paths: dict[tuple[str, str, str], dict[float, tuple[float, float]]] = {}
        for row in rows:
            place = paths.setdefault((row["concept"], row["prompt"], row["seed"]), {})
            place[float(row["share"])] = (_number(row, axes.likeness), _number(row, axes.obedience))
        middle = shares[len(shares) // 2]
        uneven = [_unevenness([path[share][0] for share in shares]) for path in paths.values()]
        return MixResult(
            arm,
            mixing,
            _simple(uneven, paths),
            _simple([path[middle][1] for path in paths.values()], paths),
            _simple([path[shares[1]][0] for path in paths.values()], paths),
        )


def _number(row: Mapping[str, str], metric: str) -> float:
    return float(row[metric]) if row.get(metric) else float("nan")


def _unevenness(path: Sequence[float]) -> float:
    """Largest change between neighbours, over the mean change; 1 if even, the number of steps if all in one."""
    changes = np.abs(np.diff(path))
    return float(changes.max() / changes.mean()) if changes.mean() > 0 else float("nan")


def _simple(numbers: Sequence[float], paths: Mapping[tuple[str, str, str], object]) -> Interval:
    """Mean with an interval by resampling concepts."""
    grouped: dict[str, list[float]] = {}
    for (concept, _, _), number in zip(paths, numbers, strict=True):
        grouped.setdefault(concept, []).append(number)
    width = max(map(len, grouped.values()))
    grid = np.array([[group + [np.nan] * (width - len(group))] for group in grouped.values()])[None]
    return intervals(grid.reshape(1, len(grouped), width, 1))[0]
