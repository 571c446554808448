"""Measured figures with targets, their table, and a description of the machine."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """A measured value.

    Args:
        label: description of the value.
        value: the value.
        unit: unit of the value.
        target: required bound; None for information only.
        minimum: whether the target is a lower bound instead of an upper one.
    """

    label: str
    value: float
    unit: str
    target: float | None = None
    minimum: bool = False

    @property
    def status(self) -> str:
        """Status: "met" or "MISSED"; empty without a target."""
        if self.target is None:
            return ""
        met = self.value >= self.target if self.minimum else self.value <= self.target
        return "met" if met else "MISSED"


def show(figures: Iterable[Figure]) -> None:
    """Print the table."""
    table = Table(title=f"DTI on {machine()}", title_justify="left")
    for column in ("figure", "measured", "target", ""):
        table.add_column(column, justify="right" if column in {"measured", "target"} else "left")
    for figure in figures:
        sign = "≥" if figure.minimum else "≤"
        target = "" if figure.target is None else f"{sign} {figure.target:g} {figure.unit}"
        table.add_row(figure.label, f"{figure.value:.3g} {figure.unit}", target, figure.status)
    Console(width=120).print(table)


def machine() -> str:
    """Processor, cores and load, device, and versions of Python and torch."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU only"
    load = os.getloadavg()[0]
    return (
        f"{_processor()}, {os.cpu_count()} cores (load {load:.1f}), {device}, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()
