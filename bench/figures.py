"""A figure with its floor, the table of all figures, and the machine that they were taken on."""

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
    """Something measured.

    Args:
        what: in words.
        value: as measured.
        unit: of the value.
        floor: what is asked of it; None where it is only told.
        least: whether the floor is the least that is asked, instead of the most.
    """

    what: str
    value: float
    unit: str
    floor: float | None = None
    least: bool = False

    @property
    def verdict(self) -> str:
        """Whether the floor is held."""
        if self.floor is None:
            return ""
        held = self.value >= self.floor if self.least else self.value <= self.floor
        return "held" if held else "MISSED"


def show(figures: Iterable[Figure]) -> None:
    """Print the table."""
    table = Table(title=f"DTI on {machine()}", title_justify="left")
    for column in ("what", "measured", "floor", ""):
        table.add_column(column, justify="right" if column in {"measured", "floor"} else "left")
    for figure in figures:
        sign = "≥" if figure.least else "≤"
        floor = "" if figure.floor is None else f"{sign} {figure.floor:g} {figure.unit}"
        table.add_row(figure.what, f"{figure.value:.3g} {figure.unit}", floor, figure.verdict)
    Console(width=120).print(table)


def machine() -> str:
    """The device, the processor and what runs on them."""
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
