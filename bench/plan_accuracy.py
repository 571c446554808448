"""Planned against measured memory of SD 1.5 and SDXL at real size: `python -m bench.plan_accuracy [sd15] [sdxl]`.

Random weights, no download. On a CPU the process's resident memory is measured: 9 GB, and minutes; SD 1.5 in float32,
SDXL in bfloat16. On a GPU the allocator's peak is measured, both in bfloat16.
"""

import gc
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch

from bench.figures import Figure, show
from dti.families.base import best_dtype, choose_device
from dti.planning import skeletons
from dti.planning.layouts import PUBLISHED
from dti.planning.needs import measure, update
from service.catalogue.models import preset

_STATUS = Path("/proc/self/status")
_RESET_PEAK = "5"
"""Written to clear_refs, it resets the peak of the resident memory. Source: proc_pid_clear_refs(5)."""

TOLERANCE = 0.15

RUNS = {"sd15": ((2, False), (1, True)), "sdxl": ((1, True),)}
"""Pictures of an update and whether it is checkpointed, by preset."""


def main(names: list[str]) -> int:
    """Measure, print the table, and return 1 if a plan is off by more than the tolerance."""
    figures = [figure for name in names or RUNS for figure in _compare(name)]
    show(figures)
    return int(any(figure.unit == "%" and abs(figure.value) > 100 * TOLERANCE for figure in figures))


def _compare(name: str) -> list[Figure]:
    entry, device = preset(name), choose_device("auto")
    needs = measure(
        PUBLISHED[entry.source],
        dtype=_dtype(name, device),
        resolution=int(entry.training["resolution"]),
        width=entry.width,
        height=entry.height,
    )
    figures: list[Figure] = []
    for pictures, checkpointing in RUNS[name]:
        # A process of its own: memory that an earlier run has freed may still be resident.
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            measured = process.submit(_measured, name, pictures, checkpointing).result()
        planned = needs.weights + (needs.checkpointed_update if checkpointing else needs.update).at(pictures)
        label = f"{name}: update of {pictures}{', checkpointed' * checkpointing}"
        figures += [
            Figure(f"{label}, planned", planned / 1e9, "GB"),
            Figure(f"{label}, measured", measured / 1e9, "GB"),
            Figure(f"{label}, error of the plan", 100 * (planned / measured - 1), "%"),
        ]
    return figures


def _measured(name: str, pictures: int, checkpointing: bool) -> int:  # noqa: FBT001 - the arguments of a process
    """Bytes of the model and of an update at its largest moment."""
    entry, device = preset(name), choose_device("auto")
    before = _resident(device)
    family = skeletons.build(PUBLISHED[entry.source], _dtype(name, device), device)
    family.set_checkpointing(enabled=checkpointing)
    return _peak(device, partial(update, family, int(entry.training["resolution"]), pictures)) - before


def _dtype(name: str, device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it, and for SDXL on a CPU: in float32 it needs 17 GB."""
    return torch.bfloat16 if name == "sdxl" else best_dtype(device)


def _peak(device: torch.device, act: Callable[[], object]) -> int:
    """Bytes at the largest moment of a call."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        act()
        return torch.cuda.max_memory_allocated(device)
    Path("/proc/self/clear_refs").write_text(_RESET_PEAK, encoding="ascii")
    act()
    return _status("VmHWM")


def _resident(device: torch.device) -> int:
    gc.collect()
    return torch.cuda.memory_allocated(device) if device.type == "cuda" else _status("VmRSS")


def _status(key: str) -> int:
    lines = _STATUS.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
