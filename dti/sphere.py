"""Geometry of the unit sphere: the few maps with which directions are moved, compared and averaged.

Owns the formulas and their behaviour at the edges (equal points, opposite points). It knows nothing of embeddings,
gradients' origin or training. All functions take points as unit vectors along the last axis, `(..., d)` with d >= 2,
broadcast over the rest, keep dtype and device, and are safe in float32 and float64.
"""

import math

import torch
from torch import Tensor

_MEAN_ROUNDS = 1000
"""Far above the few dozen that points within a quarter turn of their mean need."""

_MEAN_ACCURACY = 1e-14
"""Radians at which a mean stands still; rounding alone moves it by a tenth of that."""


def normalize(x: Tensor) -> Tensor:
    """The directions of vectors. A zero vector has none and gives NaN: callers refuse it where it can occur."""
    return x / _length(x)


def tangent(v: Tensor, g: Tensor) -> Tensor:
    """The part of vectors g that is perpendicular to v: the Riemannian gradient of a Euclidean one."""
    return g - (v * g).sum(dim=-1, keepdim=True) * v


def retract(v: Tensor, u: Tensor) -> Tensor:
    """Walk from v along the straight tangent u, then fall back on the sphere: turns v by atan(|u|)."""
    return normalize(v + u)


def exp(v: Tensor, u: Tensor) -> Tensor:
    """Walk from v along the great circle that starts in the tangent direction u: turns v by |u| radians."""
    theta = _length(u)
    return theta.cos() * v + torch.sinc(theta / math.pi) * u


def log(v: Tensor, w: Tensor) -> Tensor:
    """The tangent at v that leads to w by the shortest way, the inverse of `exp`.

    From a point to its exact opposite all ways are equally short; then the way over the coordinate axis furthest
    from both is taken, so that the result is always finite, as long as the angle, and the same on every machine.
    """
    return angle(v, w).unsqueeze(-1) * _heading(v, w)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """The angle between directions, in radians within 0 … pi.

    By the half-angle form, exact to rounding everywhere: an acos clamped a little inside one, as is usual, cannot see
    angles below 0.014 rad, a third of one step of training, and in float32 none sees them below 3.5e-4.

    Returns:
        Angles `(...)`: the last axis is gone.
    """
    return 2 * torch.atan2(_length(a - b), _length(a + b)).squeeze(-1)


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """The point at a share of the way from a to b along their great circle; opposite points as in `log`.

    Args:
        a: the directions at share 0.
        b: the directions at share 1.
        share: 0 … 1; values outside go on along the circle.
    """
    return exp(a, share * log(a, b))


def mean(points: Tensor, weights: Tensor) -> Tensor:
    """The weighted Fréchet (Karcher) mean: where the weighted sum of squared angles to the points is least.

    Found by gradient descent in float64 from the normalised weighted sum, or from the heaviest point where that sum
    vanishes. Unique when all points lie within a quarter turn of one point; otherwise a stationary point.

    Args:
        points: directions `(k, ..., d)`.
        weights: non-negative `(k,)`, with a positive sum, which need not be 1.

    Source: Karcher, "Riemannian center of mass and mollifier smoothing", 1977.
    """
    # Unit rows of float32 are unit to 1e-7 only; the rest would look like an angle between equal points.
    places = normalize(points.double())
    shares = (weights.double() / weights.double().sum()).reshape(-1, *[1] * (points.dim() - 1))
    total = (shares * places).sum(dim=0)
    vanished = _length(total) < torch.finfo(torch.float64).eps
    here = normalize(torch.where(vanished, places[weights.argmax()], total))
    for _ in range(_MEAN_ROUNDS):
        step = (shares * log(here, places)).sum(dim=0)
        here = normalize(exp(here, step))
        if step.abs().max() < _MEAN_ACCURACY:
            break
    return here.to(points.dtype)


def _length(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length


def _heading(v: Tensor, w: Tensor) -> Tensor:
    """The unit tangent at v towards w; zero where they are equal."""
    # From the difference, because w itself loses the small angles; projected twice, because what the first
    # projection leaves near the opposite point is mostly rounding and no longer perpendicular to v.
    towards = tangent(v, w - v)
    length = _length(towards)
    lost = length == 0
    towards = tangent(v, towards / torch.where(lost, 1.0, length))
    opposite = lost & ((v * w).sum(dim=-1, keepdim=True) < 0)
    towards = torch.where(opposite, tangent(v, _furthest_axis(v)), towards)
    return torch.where(lost & ~opposite, 0.0, normalize(towards))


def _furthest_axis(v: Tensor) -> Tensor:
    """The coordinate axis that is closest to perpendicular to v."""
    return torch.nn.functional.one_hot(v.abs().argmin(dim=-1), v.shape[-1]).to(v.dtype)
