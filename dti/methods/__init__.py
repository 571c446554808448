"""The methods by name: listing one here is what makes it selectable and puts it under the tests' laws."""

from collections.abc import Mapping

from dti.methods.base import Encoder, Learned, Method
from dti.methods.directional import DirectionalInversion

METHODS: Mapping[str, Method] = {"dti": DirectionalInversion()}

__all__ = ["METHODS", "Encoder", "Learned", "Method"]
