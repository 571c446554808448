"""The memory plan of a model on this worker's device, made before the model is loaded."""

import logging
from pathlib import Path

import torch

from dti.families.base import choose_device, choose_dtype
from dti.planning.layouts import PUBLISHED, Layout
from dti.planning.needs import Needs, measure
from dti.planning.plans import Plan, RenderingPlan, TrainingPlan, plan, smallest, usable
from service.catalogue.models import ModelEntry

log = logging.getLogger(__name__)

_AMPLE = 20
"""Weights that fit this many times into the free memory need no plan: everything else fits as well."""


def plan_for(entry: ModelEntry, device_name: str = "auto") -> Plan | None:
    """The fastest settings that fit into the device's free memory; the smallest ones if none do.

    Args:
        entry: the model.
        device_name: a torch device; "auto" selects the GPU if present.

    Returns:
        None if memory is ample, or if nothing is known of the model before it is loaded.
    """
    device = choose_device(device_name)
    budget, layout = free_bytes(device), layout_of(entry)
    if layout is None or budget is None or _is_small(entry, budget):
        return None
    needs = needs_of(entry, layout, choose_dtype(entry.family, device, entry.dtype))
    chosen = plan(needs, budget, batch_size=batch_size(entry), offload=entry.offload)
    fallback = smallest(needs, batch_size=batch_size(entry))
    log.info("%s: training %s; rendering %s", entry.name, *describe(chosen))
    return Plan(chosen.training or fallback.training, chosen.rendering or fallback.rendering)


def describe(made: Plan) -> tuple[str, str]:
    """How a model trains and renders, in words."""
    return _training(made.training), _rendering(made.rendering)


def _training(made: TrainingPlan | None) -> str:
    if made is None:
        return "no"
    ways = [f"{made.micro_batch} at once"]
    ways += [way for way, used in (("checkpointing", made.checkpointing), ("offload", made.offload)) if used]
    return f"yes, {', '.join(ways)} ({made.peak / 1e9:.1f} GB)"


def _rendering(made: RenderingPlan | None) -> str:
    if made is None:
        return "no"
    ways = [f"{made.pictures} at once"]
    ways += [way for way, used in (("decoded in tiles", made.tiled), ("offload", made.offload)) if used]
    return f"yes, {', '.join(ways)} ({made.peak / 1e9:.1f} GB)"


def _is_small(entry: ModelEntry, budget: int) -> bool:
    """Whether a checkpoint's files are small beside the memory; the bundled one's always are."""
    folder = Path(entry.source)
    if entry.source.startswith("bundled:"):
        return True
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) if folder.is_dir() else None
    return size is not None and size * _AMPLE < budget


def layout_of(entry: ModelEntry) -> Layout | None:
    """The configurations of an entry's checkpoint, without a download; None if they are unknown."""
    if Path(entry.source).is_dir():
        return Layout.read(entry.family, Path(entry.source))
    return PUBLISHED.get(entry.source.partition("@")[0])


_measured: dict[tuple[str, str, torch.dtype], Needs] = {}


def needs_of(entry: ModelEntry, layout: Layout, dtype: torch.dtype) -> Needs:
    """Memory that an entry needs at its default sizes; computed once in a process, in some twenty seconds.

    Args:
        entry: the model.
        layout: its configurations.
        dtype: of denoiser and text encoders.
    """
    key = (entry.name, entry.source, dtype)
    if key not in _measured:
        resolution = int(entry.training_by("dti").get("resolution", entry.width))
        _measured[key] = measure(layout, dtype=dtype, resolution=resolution, width=entry.width, height=entry.height)
    return _measured[key]


def batch_size(entry: ModelEntry) -> int:
    """Pictures of an update by default."""
    return int(entry.training_by("dti").get("batch_size", 4))


def free_bytes(device: torch.device) -> int | None:
    """Bytes of a device that tensors can take; None if the system does not tell."""
    if device.type == "cuda":
        free, _total = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return usable(free + unused)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)
