"""Muon: momentum whose matrix updates are made orthogonal, and Adam for everything that is no matrix.

It knows parameters and gradients, not models. Learning rates of both kinds are on Adam's scale.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95
ADAM_SCALE = 0.2


def orthogonalise(matrices: Tensor) -> Tensor:
    """Move the singular values of a stack of matrices near one.

    Args:
        matrices: `(n, rows, columns)`.

    Returns:
        The same shape; singular values between about 0.7 and 1.2.

    Source:
        Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024.
    """
    a, b, c = NEWTON_SCHULZ
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x: Tensor = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    """Orthogonalised momentum for weights of two dimensions and more; trailing dimensions are flattened.

    An update's mean square equals that of an Adam step (Liu et al., "Muon is scalable for LLM training", 2025).
    """

    def __init__(self, params: Iterable[Any], lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override] # nothing here needs the loss again
        """Move every weight once; weights of one shape are orthogonalised together."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                shapes[weight.shape].append(weight)
            for weights in shapes.values():
                self._move(weights, group["lr"], group["weight_decay"])

    def _move(self, weights: list[Tensor], lr: float, weight_decay: float) -> None:
        directions = torch.stack([self._direction(weight) for weight in weights])
        rows, columns = directions.shape[-2:]
        updates = orthogonalise(directions) * (ADAM_SCALE * max(rows, columns) ** 0.5)
        for weight, update in zip(weights, updates, strict=True):
            weight.mul_(1 - lr * weight_decay).sub_(lr * update.view_as(weight))

    def _direction(self, weight: Tensor) -> Tensor:
        momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
        assert weight.grad is not None  # noqa: S101 - every weight of the denoiser takes part in every step
        momentum.lerp_(weight.grad, 1 - MOMENTUM)
        return weight.grad.lerp(momentum, MOMENTUM).flatten(1)
