"""Denoising as arithmetic: every sampler is one line with its own coefficients, worked out before the first step.

Owns the coefficients of DDIM, Euler and DPM++ 2M. Which times and noise levels a sampler visits is read from
diffusers' own scheduler objects, made from the checkpoint's configuration, so that its spacing, offset, terminal noise
and final level are followed. It knows no model and no picture.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import diffusers
import torch
from torch import Tensor

Prediction = Literal["epsilon", "v_prediction"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How one picture is denoised: x starts as `start` times unit noise; then, per step, with the raw output m at x,

        D = p x + q m                        the clean picture as predicted
        x <- a x + b D + c D_previous

    Attributes:
        start: factor to unit noise.
        times: what the denoiser is told, `(steps,)` float32.
        coefficients: p, q, a, b, c per step, `(steps, 5)` float32.
    """

    start: float
    times: Tensor
    coefficients: Tensor


@dataclass(frozen=True, slots=True)
class _Path:
    """Noise levels of a sampler: at every step, and where the step leads, as the noise's share sin and signal cos."""

    start: float
    times: Tensor
    here: Tensor
    there: Tensor


def schedule(scheduler: str, config: Mapping[str, object], steps: int) -> Schedule:
    """The schedule of a scheduler of `SCHEDULERS`.

    Args:
        scheduler: its name.
        config: of the checkpoint's own diffusers scheduler, with `prediction_type` epsilon or v_prediction.
        steps: how many.

    Source: DDIM (Song et al., arXiv 2010.02502, eq. 12); Euler (Karras et al., arXiv 2206.00364, algorithm 1 without
    correction); DPM-Solver++ 2M (Lu et al., arXiv 2211.01095, algorithm 2).
    """
