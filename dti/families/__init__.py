"""Model families; `dti.spec.registry.FAMILIES` lists them by name."""

from pathlib import Path

import torch

from dti.errors import ModelTooLargeError
from dti.families.base import Conditioning, Family, LatentDistribution, choose_device
from dti.spec.registry import FAMILIES

__all__ = ["Conditioning", "Family", "LatentDistribution", "load"]


def load(family: str, source: str | Path, device: str = "auto", *, offload: bool = False) -> Family:
    """Load a model of a family onto a device, in the device's best dtype.

    Args:
        family: a name of `dti.spec.registry.FAMILIES`.
        source: a folder in the diffusers layout, or a Hugging Face Hub id.
        device: a torch device name; "auto" selects the GPU if present.
        offload: whether text encoders and autoencoder are on a GPU only while in use.

    Raises:
        ModelUnavailableError: files are missing, or the checkpoint is of another family.
        ModelTooLargeError: the model does not fit into memory.
    """
    chosen = choose_device(device)
    kind: type[Family] = FAMILIES[family].load()
    try:
        return kind.load(source, device=chosen, offload=offload and chosen.type != "cpu")
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelTooLargeError(str(source), _memory(chosen)) from error


def _memory(device: torch.device) -> str:
    """Description of a device's memory and, on a GPU, of its free part."""
    if device.type != "cuda":
        return f"memory of this machine ({device})"
    free, total = (count / 1e9 for count in torch.cuda.mem_get_info(device))
    return f"memory of {torch.cuda.get_device_name(device)} ({free:.1f} of {total:.1f} GB are free)"
