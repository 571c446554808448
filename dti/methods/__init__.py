"""The methods by name, as `dti.spec.registry.METHODS` lists them; one is imported when it is asked for."""

from collections.abc import Mapping
from typing import Any

from dti.methods.base import Encoder, Learned, Method
from dti.spec import registry
from dti.spec.registry import LazyRegistry

METHODS: Mapping[str, type[Method[Any]]] = LazyRegistry(registry.METHODS)

__all__ = ["METHODS", "Encoder", "Learned", "Method"]
