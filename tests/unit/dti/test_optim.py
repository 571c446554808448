import copy
import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dti.optim import SphereSGD, rate, sphere_step
from dti.spec.settings import Training
from dti.sphere import angle
from tests.unit.dti.laws import law, other_seeds, rows, tolerance, unit


def noise(v, seed, scale=1.0):
    return scale * torch.randn(v.shape, dtype=v.dtype, generator=torch.Generator().manual_seed(seed))


def step_of(v, g, learning_rate=0.04):
    return sphere_step(v, g, learning_rate=learning_rate, beta=0.0, moment=torch.zeros_like(v[:, :1]), count=1)[0]


def gradient(v, target, lr, updates, schedule="constant"):
    """Follow the gradient of a chord length towards a target; returns the angles left after every update."""
    v = v.clone().requires_grad_()
    optimizer = SphereSGD([v], lr=lr)
    settings = Training(learning_rate=lr, steps=updates, schedule=schedule)
    left = []
    for step in range(updates):
        optimizer.param_groups[0]["lr"] = rate(settings, step)
        optimizer.zero_grad()
        (v - target).square().sum().backward()
        optimizer.step()
        left.append(float(angle(v.detach(), target).max()))
    return left


@law
@given(rows(), other_seeds, st.floats(1e-4, 1e4), st.floats(1e-4, 1.0))
def test_every_step_rotates_every_row_by_atan_of_the_learning_rate_at_any_gradient_scale(v, seed, scale, learning_rate):
    rotation = angle(v, step_of(v, noise(v, seed, scale), learning_rate))
    # The floor under the norm shortens a step by 1e-8 over the tangent's length.
    length = scale * (noise(v, seed) - (noise(v, seed) * v).sum(-1, keepdim=True) * v).norm(dim=-1)
    short = 1e-8 / length
    assert ((rotation - math.atan(learning_rate)).abs() <= learning_rate * short + tolerance(v, 32)).all()


@law
@given(rows(), other_seeds)
def test_a_step_decreases_the_loss(v, seed):
    g = noise(v, seed)
    moved = step_of(v, g, 1e-3)
    assert (((moved - v) * g).sum(-1) < 0).all()


@law
@given(rows(), other_seeds)
def test_rows_are_independent(v, seed):
    g = noise(v, seed)
    alone = torch.cat([step_of(v[i : i + 1], g[i : i + 1]) for i in range(len(v))])
    assert torch.allclose(step_of(v, g), alone, atol=tolerance(v), rtol=0)


@law
@given(rows())
def test_a_row_with_zero_gradient_is_unchanged(v):
    assert torch.allclose(step_of(v, torch.zeros_like(v)), v, atol=tolerance(v), rtol=0)


@pytest.mark.parametrize("shape", [(1, 768), (3, 2048)])
def test_rows_stay_unit_to_1e_6_over_five_thousand_float32_steps(shape):
    generator = torch.Generator().manual_seed(0)
    v = unit(torch.randn(shape, generator=generator)).requires_grad_()
    optimizer = SphereSGD([v], lr=0.04)
    for _ in range(5000):
        v.grad = 1e-3 * torch.randn(shape, generator=generator)
        optimizer.step()
    assert (v.detach().double().norm(dim=-1) - 1).abs().max() <= 1e-6


@law
@given(rows(dtype=torch.float32), other_seeds)
def test_descent_converges_to_within_a_step_and_closer_with_decay(v, seed):
    target = unit(v + unit(noise(v, seed)))
    constant, cosine = (gradient(v, target, 0.05, 100, schedule) for schedule in ("constant", "cosine"))
    assert constant[-1] <= 0.06
    assert cosine[-1] <= 0.005


def test_a_moving_average_shortens_steps_after_a_large_gradient():
    v = unit(torch.tensor([[1.0, 2.0, 3.0]]))
    g = torch.tensor([[3.0, -1.0, 0.0]])
    _, moment = sphere_step(v, g, learning_rate=0.1, beta=0.9, moment=torch.zeros(1, 1), count=1)
    after, _ = sphere_step(v, g / 10, learning_rate=0.1, beta=0.9, moment=moment, count=2)
    assert float(angle(v, after)) < 0.5 * math.atan(0.1)


def test_a_state_dict_resumes_exactly():
    generator = torch.Generator().manual_seed(1)
    gradients = torch.randn((10, 2, 16), generator=generator)
    first = unit(torch.randn((2, 16), generator=generator)).requires_grad_()
    optimizer = SphereSGD([first], lr=0.03, beta=0.9)
    for g in gradients[:4]:
        first.grad = g.clone()
        optimizer.step()
    second = first.detach().clone().requires_grad_()
    resumed = SphereSGD([second], lr=1.0)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for g in gradients[4:]:
        first.grad, second.grad = g.clone(), g.clone()
        optimizer.step()
        resumed.step()
    assert torch.equal(first, second)
    assert float(resumed.state[second]["step"]) == 10


def test_the_state_contains_tensors_only():
    v = torch.eye(2, requires_grad=True)
    optimizer = SphereSGD([v], lr=0.1)
    v.grad = torch.ones(2, 2)
    optimizer.step()
    assert {name: type(value) for name, value in optimizer.state[v].items()} == {
        "step": torch.Tensor,
        "moment": torch.Tensor,
    }


def test_parameters_without_gradients_are_unchanged():
    v, w = torch.eye(2).requires_grad_(), torch.eye(2).requires_grad_()
    optimizer = SphereSGD([v, w], lr=0.1)
    v.grad = torch.ones(2, 2)
    optimizer.step()
    assert not torch.equal(v, torch.eye(2))
    assert torch.equal(w, torch.eye(2))


def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned():
    v = torch.eye(2).requires_grad_()

    def closure():
        loss = v.sum()
        loss.backward()
        return float(loss.detach())

    assert SphereSGD([v], lr=0.1).step(closure) == 2
    assert not torch.equal(v, torch.eye(2))


def test_a_constant_rate_is_the_learning_rate():
    settings = Training(learning_rate=0.04, steps=7)
    assert {rate(settings, step) for step in range(7)} == {0.04}


@law
@given(st.integers(1, 5000), st.floats(1e-6, 1.0))
def test_a_cosine_rate_starts_at_the_learning_rate_falls_and_stays_positive(steps, learning_rate):
    settings = Training(learning_rate=learning_rate, steps=steps, schedule="cosine")
    rates = [rate(settings, step) for step in range(steps)]
    assert rates[0] == learning_rate
    assert all(later < earlier for earlier, later in itertools.pairwise(rates))
    assert rates[-1] > 0
    assert sum(rates) == pytest.approx(learning_rate * (steps + 1) / 2)


@pytest.mark.parametrize(("share", "left"), [(0.25, 0.8535534), (0.5, 0.5), (0.75, 0.1464466)])
def test_a_cosine_rate_follows_half_a_wave(share, left):
    settings = Training(learning_rate=0.04, steps=400, schedule="cosine")
    assert rate(settings, int(400 * share)) == pytest.approx(0.04 * left)
