"""Model families; `dti.spec.registry.FAMILIES` lists them by name."""

from pathlib import Path

import torch

from dti.errors import ModelTooLargeError
from dti.families.base import Conditioning, Family, LatentDistribution, choose_device, choose_dtype
from dti.spec.registry import FAMILIES

__all__ = ["Conditioning", "Family", "LatentDistribution", "load"]


def load(
    family: str, source: str | Path, device: str = "auto", *, offload: bool = False, dtype: str = "auto"
) -> Family:
    """Load a model of a family onto a device.

    Args:
        family: a name of `dti.spec.registry.FAMILIES`.
        source: a folder in the diffusers layout, or a Hugging Face Hub id.
        device: a torch device name; "auto" selects the GPU if present.
        offload: whether text encoders and autoencoder are on a GPU only while in use.
        dtype: dtype of denoiser and text encoders by name; "auto" selects the device's best that the family stands.

    Raises:
        ModelUnavailableError: files are missing, the checkpoint is of another family, or the family does not stand
            the dtype.
        ModelTooLargeError: the model does not fit into memory.
    """
    chosen = choose_device(device)
    kind: type[Family] = FAMILIES[family].load()
    try:
        return kind.load(
            source,
            device=chosen,
            dtype=choose_dtype(family, chosen, dtype),
            offload=offload and chosen.type != "cpu",
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise ModelTooLargeError(str(source), _memory(chosen)) from error


def _memory(device: torch.device) -> str:
    """Description of a device's memory and, on a GPU, of its free part."""
    if device.type != "cuda":
        return f"memory of this machine ({device})"
    free, total = (count / 1e9 for count in torch.cuda.mem_get_info(device))
    return f"memory of {torch.cuda.get_device_name(device)} ({free:.1f} of {total:.1f} GB are free)"
