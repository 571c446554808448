"""Fingerprint of a model's weights, whatever files they came from."""

import hashlib
from collections.abc import Sequence

import torch
from torch import nn

_SAMPLE = 4096
"""Values of every weight that enter the fingerprint: enough to tell two trainings apart, in little time."""


def fingerprint(networks: Sequence[nn.Module]) -> str:
    """Fingerprint of networks' weights.

    Hashes the signs of every weight's first values. Signs survive every rounding, so a model saved again in another
    dtype, layout or naming keeps its fingerprint, while any further training turns the signs of some small values.

    Args:
        networks: loaded, on any devices, in any dtypes.

    Returns:
        Sixteen hexadecimal digits.
    """
    weights = [weight.detach() for network in networks for weight in network.parameters()]
    signs = [torch.signbit(weight.reshape(-1)[:_SAMPLE]).cpu() for weight in weights]
    # Sorted, because names and order of the weights are the library's, not the model's.
    digests = sorted(_digest(weight.numel(), sign) for weight, sign in zip(weights, signs, strict=True))
    return hashlib.sha256(b"".join(digests)).hexdigest()[:16]


def _digest(count: int, signs: torch.Tensor) -> bytes:
    return hashlib.sha256(count.to_bytes(8, "big") + signs.numpy().tobytes()).digest()
