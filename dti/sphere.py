"""Geometry of the unit sphere: tangent projection, retraction, exp, log, angle, slerp and Fréchet mean.

Points are unit vectors along the last axis, `(..., d)` with d >= 2; functions broadcast over the other axes, keep dtype
and device, and are stable in float32 and float64, at equal and opposite points too.
"""

import math

import torch
from torch import Tensor

_MEAN_ITERATIONS = 1000
"""Far above the few dozen needed for points within a quarter turn of their mean."""

_MOSTLY_PARALLEL = 0.5
"""Norm of a unit vector's tangent part below which rounding in it counts."""

_MEAN_ACCURACY = 1e-14
"""Convergence threshold of the mean in radians; rounding alone moves it by a tenth of that."""


def normalize(x: Tensor) -> Tensor:
    """Vectors scaled to unit norm; NaN for a zero vector."""
    return x / _length(x)


def tangent(v: Tensor, g: Tensor) -> Tensor:
    """Projection of g onto the tangent space at v: the Riemannian gradient of a Euclidean one.

    Source: Absil, Mahony, Sepulchre, "Optimization Algorithms on Matrix Manifolds", 2008, section 3.6.1.
    """
    return g - (v * g).sum(dim=-1, keepdim=True) * v


def retract(v: Tensor, u: Tensor) -> Tensor:
    """Projective retraction of the tangent u at v: rotates v by atan(|u|).

    Source: Absil, Mahony, Sepulchre, 2008, example 4.1.1.
    """
    return normalize(v + u)


def exp(v: Tensor, u: Tensor) -> Tensor:
    """Exponential map of the tangent u at v: rotates v by |u| radians along a great circle."""
    theta = _length(u)
    return theta.cos() * v + torch.sinc(theta / math.pi) * u


def log(v: Tensor, w: Tensor) -> Tensor:
    """Logarithm map: the tangent at v that leads to w by the shortest arc; inverse of `exp`.

    To the antipode all arcs are equally short; the one through the coordinate axis furthest from both is chosen, so
    the result is finite, of the angle's length, and deterministic.
    """
    return angle(v, w).unsqueeze(-1) * _heading(v, w)


def angle(a: Tensor, b: Tensor) -> Tensor:
    """Angles `(...)` between directions, in radians within 0 … pi.

    Uses the half-angle form, exact to rounding everywhere. An acos with the usual clamp returns 0 below 0.014 rad,
    a third of a training step, and any acos in float32 does below 3.5e-4.

    Source: Kahan, "How Futile are Mindless Assessments of Roundoff in Floating-Point Computation?", 2006, section 12.
    """
    return 2 * torch.atan2(_length(a - b), _length(a + b)).squeeze(-1)


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Spherical linear interpolation from a to b; antipodes as in `log`.

    Args:
        a: directions at share 0.
        b: directions at share 1.
        share: 0 … 1; values outside extrapolate along the great circle.

    Source: Shoemake, "Animating Rotation with Quaternion Curves", SIGGRAPH 1985.
    """
    return exp(a, share * log(a, b))


def mean(points: Tensor, weights: Tensor) -> Tensor:
    """Weighted Fréchet (Karcher) mean, the minimiser of the weighted sum of squared angles.

    Gradient descent in float64 from the normalised weighted sum, or from the heaviest point where that sum vanishes.
    Unique if all points lie within a quarter turn of one point; otherwise a stationary point.

    Args:
        points: directions `(k, ..., d)`.
        weights: non-negative `(k,)`, with a positive sum.

    Source: Karcher, "Riemannian center of mass and mollifier smoothing", 1977.
    """
    # float32 rows are unit to 1e-7 only; renormalised, because the rest would look like an angle between equal points.
    points64 = normalize(points.double())
    shares = (weights.double() / weights.double().sum()).reshape(-1, *[1] * (points.dim() - 1))
    total = (shares * points64).sum(dim=0)
    vanished = _length(total) < torch.finfo(torch.float64).eps
    estimate = normalize(torch.where(vanished, points64[weights.argmax()], total))
    for _ in range(_MEAN_ITERATIONS):
        step = (shares * log(estimate, points64)).sum(dim=0)
        estimate = normalize(exp(estimate, step))
        if step.abs().max() < _MEAN_ACCURACY:
            break
    return estimate.to(points.dtype)


def _length(x: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
    return length


def _heading(v: Tensor, w: Tensor) -> Tensor:
    """Unit tangent at v towards w; zero where they are equal."""
    # The tangent part of w - v, because that of w cancels at small angles. Projected twice: near the antipode the first
    # projection leaves mostly rounding errors, which are not perpendicular to v; and once more where these errors were
    # nearly parallel to v, so that the second projection left little of them.
    towards = tangent(v, _unit_or_zero(tangent(v, w - v)))
    towards = torch.where(_length(towards) < _MOSTLY_PARALLEL, tangent(v, _unit_or_zero(towards)), towards)
    lost = _length(towards) == 0
    opposite = lost & ((v * w).sum(dim=-1, keepdim=True) < 0)
    towards = torch.where(opposite, tangent(v, _furthest_axis(v)), towards)
    return torch.where(lost & ~opposite, 0.0, normalize(towards))


def _unit_or_zero(x: Tensor) -> Tensor:
    length = _length(x)
    return x / torch.where(length == 0, 1.0, length)


def _furthest_axis(v: Tensor) -> Tensor:
    """The coordinate axis closest to perpendicular to v."""
    return torch.nn.functional.one_hot(v.abs().argmin(dim=-1), v.shape[-1]).to(v.dtype)
