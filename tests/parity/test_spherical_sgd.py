"""Parity of the optimizer with the released one; `spherical_sgd.json` documents the origin of its trajectories."""

import json
from pathlib import Path

import pytest
import torch

from dti.optim import SphereSGD, sphere_step

CASES = json.loads((Path(__file__).parent / "spherical_sgd.json").read_text())["cases"]


def wide(figures):
    return torch.tensor(figures, dtype=torch.float64)


def objective(case, v):
    return case["scale"] / 2 * ((v - wide(case["target"])) @ wide(case["A"]).T).square().sum()


def prior(case, v):
    return -case["kappa"] * (wide(case["mu"]) * v).sum()


@pytest.fixture(params=CASES, ids=[f"lr {case['lr']} kappa {case['kappa']} beta {case['beta']}" for case in CASES])
def case(request):
    return request.param


def test_the_first_ten_steps_match_the_released_optimizer_with_the_prior_as_a_penalty(case):
    v = wide(case["v0"]).requires_grad_()
    optimizer = SphereSGD([v], lr=case["lr"], beta=case["beta"])
    recorded = {point["step"]: point for point in case["trajectory"]}
    for step in range(1, 11):
        optimizer.zero_grad()
        loss = objective(case, v)
        (loss + prior(case, v)).backward()
        optimizer.step()
        if step in recorded:
            assert loss.item() == pytest.approx(recorded[step]["loss"], abs=1e-9)
            assert torch.allclose(v, wide(recorded[step]["v"]), rtol=0, atol=1e-9)
    assert max(recorded) == 10


@pytest.mark.parametrize("pair", [(0, 1), (0, 2), (1, 2), (2, 3)], ids=str)
def test_two_encoders_in_one_optimizer_match_separate_trajectories(pair):
    """As on SDXL: rows of different counts and widths, each with its own mu, under one optimizer and one backward."""
    cases = [CASES[number] for number in pair]
    directions = [wide(case["v0"]).requires_grad_() for case in cases]
    groups = [
        {"params": [v], "lr": case["lr"], "beta": case["beta"]} for case, v in zip(cases, directions, strict=True)
    ]
    optimizer = SphereSGD(groups, lr=1.0)
    for step in range(1, 11):
        optimizer.zero_grad()
        sum(objective(case, v) + prior(case, v) for case, v in zip(cases, directions, strict=True)).backward()
        optimizer.step()
        for case, v in zip(cases, directions, strict=True):
            recorded = {point["step"]: point["v"] for point in case["trajectory"]}
            assert torch.allclose(v, wide(recorded.get(step, v.tolist())), rtol=0, atol=1e-9)
    assert all(case["trajectory"][-1]["step"] == step for case in cases)


def test_single_steps_from_later_states_match_the_released_optimizer(case):
    for point in case["single_steps"]:
        after, _ = sphere_step(
            wide(point["v_before"]),
            wide(point["gradient"]) - case["kappa"] * wide(case["mu"]),
            learning_rate=case["lr"],
            beta=case["beta"],
            moment=wide(point["moving_average_before"]),
            count=point["step"],
        )
        assert torch.allclose(after, wide(point["v_after"]), rtol=0, atol=1e-9), point["step"]
    assert len(case["single_steps"]) == 4
