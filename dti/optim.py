"""Riemannian gradient descent on unit rows: one pure step, one thin optimizer round it, and the rate of every step.

Owns the update rule and the learning-rate schedules. It knows no prior (a penalty on the loss), no magnitude, no
model; its rows and its state are float32 or float64, never the model's dtype, in which small steps would be lost.
"""

import math
from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import Tensor

from dti.spec.settings import Training
from dti.sphere import retract, tangent

_FLOOR = 1e-8
"""Added to the gradient's norm, as published: below it a step shrinks instead of following rounding."""


def sphere_step(
    v: Tensor, g: Tensor, *, learning_rate: float, beta: float, moment: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """One update of unit rows: project the gradient, divide it by its own norm, walk, fall back on the sphere.

    With beta = 0 every row turns by atan(learning_rate) radians, whatever the gradient's scale.

    Args:
        v: unit rows `(n, d)`.
        g: the loss's gradient with respect to v, `(n, d)`.
        learning_rate: the tangent's length.
        beta: share 0 <= beta < 1 of the past in the moving average of the squared norm; 0 as published.
        moment: that average before this step, not bias-corrected, `(n, 1)`; zeros at first.
        count: this step's number, from 1.

    Returns:
        The new rows and the new moment.

    Source: Kim et al., "Directional Textual Inversion", arXiv 2512.13672; steps 2 to 4 of docs/method.md.
    """
    direction = tangent(v, g)
    moment = beta * moment + (1 - beta) * direction.square().sum(dim=-1, keepdim=True)
    scale = (moment / (1 - beta**count)).sqrt() + _FLOOR
    return retract(v, -learning_rate / scale * direction), moment


class SphereSGD(torch.optim.Optimizer):
    """`sphere_step` for parameters whose last axis holds unit rows.

    Its state is tensors only (`moment`, `step`), so that a checkpoint needs no pickle.

    Args:
        params: leaves `(n, d)` with unit rows; they stay unit rows.
        lr: see `sphere_step`; may be changed in `param_groups` between steps.
        beta: see `sphere_step`.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, beta: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "beta": beta})

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for v in group["params"]:
                if v.grad is not None:
                    self._update(v, v.grad, learning_rate=group["lr"], beta=group["beta"])
        return loss

    def _update(self, v: Tensor, g: Tensor, *, learning_rate: float, beta: float) -> None:
        state = self.state[v]
        if not state:
            # `step` as torch's own optimizers keep it: under this name its load_state_dict leaves the value alone.
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["moment"] = torch.zeros_like(v[..., :1])
        state["step"] += 1
        rows, state["moment"] = sphere_step(
            v, g, learning_rate=learning_rate, beta=beta, moment=state["moment"], count=int(state["step"])
        )
        v.copy_(rows)


def rate(settings: Training, step: int) -> float:
    """The learning rate of one update.

    Args:
        settings: of the training; `learning_rate`, `schedule` and `steps` are read.
        step: how many updates were made before this one, 0 … steps - 1.

    Returns:
        The whole rate for "constant". For "cosine" half a wave from the whole rate at the first update towards zero,
        which it would reach one update after the last.
    """
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * (1 + math.cos(math.pi * step / settings.steps)) / 2
