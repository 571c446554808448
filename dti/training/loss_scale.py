"""Loss scale of a run: the factor that keeps float16 gradients between underflow and overflow."""

import torch

from dti.families.base import LOSS_SCALE

_LARGEST = 2.0**16
_SMALLEST = 1.0

_GROWS_AFTER = 200
"""Finite updates after which the scale doubles. Sources: Micikevicius et al., "Mixed Precision Training", arXiv
1710.03740, section 3.2, and `torch.amp.GradScaler`, whose 2,000 updates are more than a training has."""


class LossScale:
    """The scale and its history; constant for dtypes with the exponents of float32.

    Attributes:
        value: current factor, a power of two.
        steady: finite updates since its last change.
        dynamic: whether it changes.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.value = LOSS_SCALE
        self.steady = 0
        self.dynamic = dtype == torch.float16

    def overflowed(self) -> bool:
        """Halve the scale after gradients that are not finite.

        Returns:
            Whether a smaller scale may help; False if the scale is constant or at its smallest.
        """
        if not self.dynamic or self.value <= _SMALLEST:
            return False
        self.value, self.steady = self.value / 2, 0
        return True

    def succeeded(self) -> None:
        """Count an update with finite gradients; from time to time the scale doubles."""
        self.steady += 1
        if self.dynamic and self.steady >= _GROWS_AFTER:
            self.value, self.steady = min(self.value * 2, _LARGEST), 0
