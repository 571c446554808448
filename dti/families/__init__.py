"""The model families by name: listing one here is what makes it loadable and puts it under the tests' laws."""

from collections.abc import Mapping
from pathlib import Path

from dti.families.base import Conditioning, Family, LatentDistribution, choose_device
from dti.families.sd import StableDiffusion

FAMILIES: Mapping[str, type[Family]] = {"sd": StableDiffusion}

__all__ = ["FAMILIES", "Conditioning", "Family", "LatentDistribution", "load"]


def load(family: str, source: str | Path, device: str = "auto") -> Family:
    """A model of a family, on a device, in the device's best dtype.

    Args:
        family: a name of `FAMILIES`.
        source: a folder in the diffusers layout, or the id of one on the Hugging Face Hub.
        device: "auto" is the GPU where there is one.

    Raises:
        ModelUnavailableError: what is missing, or why it is no model of this family.
    """
    return FAMILIES[family].load(source, device=choose_device(device))
