import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dti import sphere
from tests.unit.dti.laws import dtypes, law, other_seeds, pairs, rows, tolerance, unit


def tangents(v, length, seed):
    """A tangent of this length at every row, exact in float64."""
    noise = torch.randn(v.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    wide = unit(v.double())
    u = noise - (noise * wide).sum(-1, keepdim=True) * wide
    return length * unit(u)


@law
@given(rows(), st.floats(1e-6, 1e6))
def test_normalization_gives_unit_norm_and_keeps_the_direction(v, length):
    x = (v.double() * length).to(v.dtype)
    assert torch.allclose(sphere.normalize(x).norm(dim=-1), torch.ones(1, dtype=v.dtype), atol=tolerance(v), rtol=0)
    assert torch.allclose(sphere.normalize(x), v, atol=tolerance(v), rtol=0)


@law
@given(rows(), other_seeds, st.floats(1e-3, 1e3))
def test_tangent_projection_is_perpendicular_and_idempotent(v, seed, scale):
    g = scale * torch.randn(v.shape, dtype=v.dtype, generator=torch.Generator().manual_seed(seed))
    u = sphere.tangent(v, g)
    length = g.norm(dim=-1)
    assert ((u * v).sum(-1).abs() <= tolerance(v) * length).all()
    assert ((sphere.tangent(v, u) - u).norm(dim=-1) <= tolerance(v) * length).all()


@law
@given(rows(), other_seeds, st.floats(1e-3, 10))
def test_retraction_rotates_by_the_arc_tangent_of_the_length(v, seed, length):
    moved = sphere.retract(v, tangents(v, length, seed).to(v.dtype))
    assert torch.allclose(sphere.angle(v, moved), torch.full_like(v[:, 0], math.atan(length)), atol=tolerance(v))


@law
@given(rows(), other_seeds, st.floats(0, math.pi))
def test_exp_rotates_by_the_length_and_stays_on_the_sphere(v, seed, length):
    moved = sphere.exp(v, tangents(v, length, seed).to(v.dtype))
    assert torch.allclose(moved.norm(dim=-1), torch.ones(1, dtype=v.dtype), atol=tolerance(v))
    assert torch.allclose(sphere.angle(v, moved), torch.full_like(v[:, 0], length), atol=tolerance(v))


@law
@given(pairs())
def test_log_inverts_exp_from_equal_points_to_antipodes(pair):
    a, b = pair
    assert torch.allclose(sphere.exp(a, sphere.log(a, b)), b, atol=tolerance(a), rtol=0)


@law
@given(pairs())
def test_a_log_is_a_tangent_as_long_as_the_angle(pair):
    a, b = pair
    u = sphere.log(a, b)
    assert torch.allclose(u.norm(dim=-1), sphere.angle(a, b), atol=tolerance(a), rtol=0)
    assert ((u * a).sum(-1).abs() <= tolerance(a, 32)).all()


@law
@given(pairs())
def test_an_angle_is_symmetric_and_supplementary_to_the_antipodes(pair):
    a, b = pair
    assert torch.equal(sphere.angle(a, b), sphere.angle(b, a))
    whole = sphere.angle(a, b) + sphere.angle(-a, b)
    assert torch.allclose(whole, torch.full_like(whole, math.pi), atol=tolerance(a), rtol=0)


@law
@given(rows(dtype=torch.float32), other_seeds, st.floats(1e-6, 0.014))
def test_an_angle_too_small_for_acos_is_exact_to_rounding_in_float32(v, seed, theta):
    wide = unit(v.double())
    moved = (math.cos(theta) * wide + math.sin(theta) * tangents(v, 1.0, seed)).float()
    assert (sphere.angle(v, moved) - theta).abs().max() <= 2.5e-7


def test_an_angle_of_1e_9_is_exact_in_float64():
    a = torch.tensor([1.0, 0.0], dtype=torch.float64)
    b = torch.tensor([math.cos(1e-9), math.sin(1e-9)], dtype=torch.float64)
    assert float(sphere.angle(a, b)) == pytest.approx(1e-9, rel=1e-12)
    assert float(sphere.angle(a, a)) == 0
    assert float(sphere.angle(a, -a)) == math.pi


@law
@given(pairs(), st.floats(0, 1))
def test_slerp_has_constant_speed(pair, share):
    a, b = pair
    point = sphere.slerp(a, b, share)
    whole = sphere.angle(a, b)
    assert torch.allclose(point.norm(dim=-1), torch.ones(1, dtype=a.dtype), atol=tolerance(a), rtol=0)
    assert torch.allclose(sphere.angle(a, point), share * whole, atol=tolerance(a), rtol=0)
    assert torch.allclose(sphere.angle(point, b), (1 - share) * whole, atol=tolerance(a), rtol=0)


def test_slerp_is_exact_within_rounding_of_the_antipode():
    generator = torch.Generator().manual_seed(0)
    a = unit(torch.randn(10_000, 3, generator=generator, dtype=torch.float64))
    b = unit(2e-16 * torch.randn(a.shape, generator=generator, dtype=torch.float64) - a)
    assert (sphere.angle(a, sphere.slerp(a, b, 0.5)) - sphere.angle(a, b) / 2).abs().max() < tolerance(a)


@law
@given(rows(), rows(), st.floats(0, 1))
def test_slerp_is_symmetric(a, other, share):
    b = unit(other.new_ones(a.shape) + a.roll(1, -1) / 2).to(a.dtype)
    there, back = sphere.slerp(a, b, share), sphere.slerp(b, a, 1 - share)
    assert torch.allclose(there, back, atol=tolerance(a, 64), rtol=0)


@st.composite
def clouds(draw):
    """Points (k, n, d) within an eighth of a turn of a middle, and weights."""
    middle = draw(rows())
    count = draw(st.integers(1, 6))
    lengths = [draw(st.floats(0, math.pi / 4)) for _ in range(count)]
    points = [sphere.exp(middle, tangents(middle, length, draw(other_seeds)).to(middle.dtype)) for length in lengths]
    weights = torch.tensor([draw(st.floats(0.01, 10)) for _ in range(count)], dtype=torch.float64)
    return torch.stack(points), weights


@law
@given(clouds())
def test_the_weighted_logs_cancel_at_the_mean(cloud):
    points, weights = cloud
    middle = sphere.mean(points, weights)
    pull = (weights.reshape(-1, 1, 1) * sphere.log(middle, points)).sum(0) / weights.sum()
    assert pull.norm(dim=-1).max() <= tolerance(points)
    assert torch.allclose(middle.norm(dim=-1), torch.ones(1, dtype=points.dtype), atol=tolerance(points))


@law
@given(clouds(), st.floats(0.1, 100))
def test_a_mean_depends_neither_on_order_nor_on_the_weights_sum(cloud, factor):
    points, weights = cloud
    assert torch.allclose(
        sphere.mean(points, weights), sphere.mean(points.flip(0), factor * weights.flip(0)), atol=tolerance(points)
    )


@law
@given(rows(), other_seeds, st.floats(0.05, 2.5), st.floats(0.01, 0.99))
def test_the_mean_of_two_equals_their_slerp(a, seed, distance, share):
    b = sphere.exp(a, tangents(a, distance, seed).to(a.dtype))
    middle = sphere.mean(torch.stack([a, b]), torch.tensor([1 - share, share], dtype=torch.float64))
    assert torch.allclose(middle, sphere.slerp(a, b, share), atol=tolerance(a, 32), rtol=0)


@given(dtypes)
def test_the_mean_of_antipodes_is_on_the_sphere(dtype):
    a = torch.eye(3, dtype=dtype)
    middle = sphere.mean(torch.stack([a, -a]), torch.tensor([1.0, 1.0]))
    assert torch.allclose(middle.norm(dim=-1), torch.ones(1, dtype=dtype))
