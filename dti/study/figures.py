"""Figures of a report as SVG, by matplotlib."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dti.study.analysis import ArmResult, Axes
from dti.study.items import training_item
from dti.study.manifest import CLASS_WORD, Manifest

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def _figure(width: float = 7.0, height: float = 4.6) -> "Figure":
    # Without pyplot: no window system, no global state.
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, needed by reports alone

    return Figure(figsize=(width, height), layout="constrained")


def _svg(figure: "Figure") -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def front(
    manifest: Manifest, likeness: Sequence[ArmResult], obedience: Sequence[ArmResult], axes: Axes, ceiling: float | None
) -> str:
    """Obedience against likeness with 95 % intervals; arms of a front are joined.

    Args:
        manifest: gives the fronts.
        likeness: of all arms.
        obedience: of the same arms.
        axes: names of the metrics.
        ceiling: likeness of the references.
    """
    figure = _figure(8, 5.6)
    plot = figure.subplots()
    at = {result.arm: (other.mean.value, result.mean.value) for result, other in zip(likeness, obedience, strict=True)}
    for result, other in zip(likeness, obedience, strict=True):
        x, y = other.mean, result.mean
        plot.errorbar(
            [x.value],
            [y.value],
            xerr=[[x.value - x.low], [x.high - x.value]],
            yerr=[[y.value - y.low], [y.high - y.value]],
            fmt="s" if result.arm == CLASS_WORD else "o",
            capsize=2,
            linewidth=1,
        )
        plot.annotate(result.arm, (x.value, y.value), xytext=(5, 4), textcoords="offset points", fontsize=8)
    for name, arms in _fronts(manifest).items():
        plot.plot([at[arm][0] for arm in arms], [at[arm][1] for arm in arms], linewidth=0.8, linestyle=":", label=name)
    if ceiling is not None:
        plot.axhline(ceiling, linewidth=0.8, linestyle="--", color="grey", label="references")
    plot.set_xlabel(f"obedience ({axes.obedience})")
    plot.set_ylabel(f"likeness ({axes.likeness})")
    plot.legend(fontsize=8)
    return _svg(figure)


def _fronts(manifest: Manifest) -> dict[str, list[str]]:
    """Arms by front; the reference arm belongs to every front of its method."""
    fronts: dict[str, list[str]] = {}
    for arm in manifest.arms:
        if arm.front is not None:
            fronts.setdefault(arm.front, []).append(arm.name)
    for arms in fronts.values():
        if manifest.reference_arm not in arms:
            arms.insert(0, manifest.reference_arm)
    return {name: arms for name, arms in fronts.items() if len(arms) > 1}


def norms(manifest: Manifest, folder: Path) -> str:
    """Mean norm of the rows over the updates, by arm, averaged over concepts."""
    figure = _figure()
    plot = figure.subplots()
    for arm in manifest.arms:
        curves = [
            json.loads(training_item(manifest, concept, arm).curve(folder).read_text("utf-8"))
            for concept in manifest.concepts
        ]
        length = min(len(curve["steps"]) for curve in curves)
        means = [sum(curve["norms"][index] for curve in curves) / len(curves) for index in range(length)]
        plot.plot(curves[0]["steps"][:length], means, label=arm.name)
    plot.set_yscale("log")
    plot.set_xlabel("updates")
    plot.set_ylabel("norm of the rows")
    plot.legend(fontsize=8)
    return _svg(figure)
