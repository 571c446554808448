"""Riemannian gradient descent on unit rows: the update as a pure function, its optimizer, and learning-rate schedules.

Rows and state are float32 or float64, never the model's dtype, in which small steps would be lost. The prior is part of
the loss, not of the optimizer.
"""

import math
from collections.abc import Callable, Iterable
from typing import overload

import torch
from torch import Tensor

from dti.spec.settings import Training
from dti.sphere import retract, tangent

_FLOOR = 1e-8
"""Added to the gradient's norm, as published: smaller gradients shorten the step instead of amplifying rounding."""


def sphere_step(
    v: Tensor, g: Tensor, *, learning_rate: float, beta: float, moment: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """One update of unit rows: project the gradient to the tangent space, normalise it, step, retract.

    With beta = 0 every row rotates by atan(learning_rate) radians, independent of the gradient's scale.

    Args:
        v: unit rows `(n, d)`.
        g: gradient of the loss with respect to v, `(n, d)`.
        learning_rate: length of the tangent step.
        beta: decay 0 <= beta < 1 of the moving average of the squared gradient norm; 0 as published.
        moment: that average before this step, not bias-corrected, `(n, 1)`; zeros initially.
        count: number of this step, from 1.

    Returns:
        The new rows and the new moment.

    Source: Kim et al., "Directional Textual Inversion", arXiv 2512.13672; steps 2 to 4 of docs/method.md.
    """
    direction = tangent(v, g)
    moment = beta * moment + (1 - beta) * direction.square().sum(dim=-1, keepdim=True)
    scale = (moment / (1 - beta**count)).sqrt() + _FLOOR
    return retract(v, -learning_rate / scale * direction), moment


class SphereSGD(torch.optim.Optimizer):
    """`sphere_step` as a torch optimizer.

    Its state contains tensors only (`moment`, `step`), so checkpoints need no pickle.

    Args:
        params: leaf tensors `(n, d)` of unit rows; they stay unit rows.
        lr: learning rate of `sphere_step`; may change in `param_groups` between steps.
        beta: beta of `sphere_step`.
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
            # Named and typed as in torch's own optimizers: load_state_dict casts every other state to the parameter's
            # dtype and device.
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["moment"] = torch.zeros_like(v[..., :1])
        state["step"] += 1
        rows, state["moment"] = sphere_step(
            v, g, learning_rate=learning_rate, beta=beta, moment=state["moment"], count=int(state["step"])
        )
        v.copy_(rows)


def rate(settings: Training, step: int) -> float:
    """Learning rate of an update.

    Args:
        settings: settings of the training; `learning_rate`, `schedule` and `steps` apply.
        step: number of earlier updates, 0 … steps - 1.

    Returns:
        `learning_rate` for "constant"; for "cosine" half a wave from it at the first update to zero one update after
        the last.

    Source: Loshchilov and Hutter, "SGDR", arXiv 1608.03983, equation 5, without restarts.
    """
    if settings.schedule == "constant":
        return settings.learning_rate
    return settings.learning_rate * (1 + math.cos(math.pi * step / settings.steps)) / 2
