"""Methods that learn a concept's rows; `dti.spec.registry.METHODS` lists them by name."""

from typing import Any

from dti.methods.base import Learned, Method
from dti.spec.registry import METHODS

__all__ = ["Learned", "Method", "create"]


def create(name: str) -> Method[Any]:
    """The method of this name in `METHODS`, imported on first use."""
    method: Method[Any] = METHODS[name].load()()
    return method
