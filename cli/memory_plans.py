"""`dti doctor --models`: how the catalogue's models and the presets train and render within a device's memory.

Plans are computed from configurations: nothing is downloaded or loaded, and no GPU is needed.
"""

import re
from collections.abc import Iterator, Mapping

import torch

from dti.errors import InvalidSettingError
from dti.families.base import choose_device, choose_dtype
from dti.planning.plans import plan, usable
from service.catalogue.models import Catalogue, ModelEntry, preset
from service.catalogue.presets import PRESETS
from service.settings import Settings
from worker import memory

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(GB|GiB)?", re.IGNORECASE)
_UNITS = {"gb": 10**9, "gib": 2**30}


def lines(settings: Settings, size: str | None) -> Iterator[str]:
    """The table, a line a model, each as soon as it is computed.

    Args:
        settings: of the service.
        size: memory of a GPU, such as "12GB"; None for this device and its free memory.

    Raises:
        InvalidSettingError: the size cannot be read.
    """
    budget, device = _budget(size)
    yield f"Memory for tensors: {budget / 1e9:.1f} GB ({size or device}). Sizes, steps and batches are the defaults."
    for entry in _entries(Catalogue.load(settings.models)).values():
        yield f"{entry.name}: {_plan(entry, budget, device)}"


def _budget(size: str | None) -> tuple[int, torch.device]:
    """Bytes for tensors, and the device that they are on."""
    if size is not None:
        return usable(parse(size)), torch.device("cuda")
    device = choose_device("auto")
    free = memory.free_bytes(device)
    if free is None:
        raise InvalidSettingError("memory", "this system does not tell its free memory. Give a size, such as 12GB.")
    return free, device


def parse(size: str) -> int:
    """Bytes of a size such as "12GB", "8 GiB" or "24" (GB).

    Raises:
        InvalidSettingError: it is none.
    """
    match = _SIZE.fullmatch(size.strip())
    if match is None:
        raise InvalidSettingError("memory", f"{size!r} is no size. Write it as 12GB.")
    return int(float(match[1]) * _UNITS[(match[2] or "GB").lower()])


def _entries(catalogue: Catalogue) -> Mapping[str, ModelEntry]:
    """The catalogue's models, then the presets that are none of them."""
    return dict(catalogue) | {name: preset(name) for name in PRESETS if name not in catalogue}


def _plan(entry: ModelEntry, budget: int, device: torch.device) -> str:
    if entry.source.startswith("bundled:"):
        return "training yes; rendering yes (it needs less than a gigabyte)"
    layout = memory.layout_of(entry)
    if layout is None:
        return f"unknown until {entry.source} has been downloaded"
    # A named size stands for a GPU that computes in bfloat16, which need not be here.
    bfloat16 = device.type == "cuda" and entry.dtype == "auto"
    dtype = torch.bfloat16 if bfloat16 else choose_dtype(entry.family, device, entry.dtype)
    needs = memory.needs_of(entry, layout, dtype)
    made = plan(needs, budget, batch_size=memory.batch_size(entry), offload=entry.offload)
    training, rendering = memory.describe(made)
    return f"weights {needs.weights / 1e9:.1f} GB; training {training}; rendering {rendering}"
