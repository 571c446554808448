"""The model families by name, as `dti.spec.registry.FAMILIES` lists them; one is imported when it is asked for."""

from collections.abc import Mapping
from pathlib import Path

import torch

from dti.errors import ModelTooLargeError
from dti.families.base import Conditioning, Family, LatentDistribution, choose_device
from dti.spec import registry
from dti.spec.registry import LazyRegistry

FAMILIES: Mapping[str, type[Family]] = LazyRegistry(registry.FAMILIES)

__all__ = ["FAMILIES", "Conditioning", "Family", "LatentDistribution", "load"]


def load(family: str, source: str | Path, device: str = "auto", *, offload: bool = False) -> Family:
    """A model of a family, on a device, in the device's best dtype.

    Args:
        family: a name of `FAMILIES`.
        source: a folder in the diffusers layout, or the id of one on the Hugging Face Hub.
        device: "auto" is the GPU where there is one.
        offload: whether text encoders and autoencoder come to a GPU only while they work.

    Raises:
        ModelUnavailableError: what is missing, or why it is no model of this family.
        ModelTooLargeError: it does not fit into the memory.
    """
    place = choose_device(device)
    try:
        return FAMILIES[family].load(source, device=place, offload=offload and place.type != "cpu")
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelTooLargeError(str(source), _memory(place)) from error


def _memory(device: torch.device) -> str:
    """A device and, where it can be told, how much of its memory is free."""
    if device.type != "cuda":
        return f"memory of this machine ({device})"
    free, total = (count / 1e9 for count in torch.cuda.mem_get_info(device))
    return f"memory of {torch.cuda.get_device_name(device)} ({free:.1f} of {total:.1f} GB are free)"
