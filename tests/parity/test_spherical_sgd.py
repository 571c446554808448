"""The optimizer walks as the released one did; `spherical_sgd.json` says in words how its figures were made."""

import json
from pathlib import Path

import pytest
import torch

from dti.optim import SphereSGD, sphere_step

CASES = json.loads((Path(__file__).parent / "spherical_sgd.json").read_text())["cases"]


def wide(figures):
    return torch.tensor(figures, dtype=torch.float64)


@pytest.fixture(params=CASES, ids=[f"lr {case['lr']} kappa {case['kappa']} beta {case['beta']}" for case in CASES])
def case(request):
    return request.param


def test_the_first_ten_steps_are_the_released_ones_with_the_prior_as_a_penalty(case):
    v = wide(case["v0"]).requires_grad_()
    optimizer = SphereSGD([v], lr=case["lr"], beta=case["beta"])
    recorded = {point["step"]: point for point in case["trajectory"]}
    for step in range(1, 11):
        optimizer.zero_grad()
        loss = case["scale"] / 2 * ((v - wide(case["target"])) @ wide(case["A"]).T).square().sum()
        (loss - case["kappa"] * (wide(case["mu"]) * v).sum()).backward()
        optimizer.step()
        if step in recorded:
            assert loss.item() == pytest.approx(recorded[step]["loss"], abs=1e-9)
            assert torch.allclose(v, wide(recorded[step]["v"]), rtol=0, atol=1e-9)
    assert max(recorded) == 10


def test_single_steps_from_later_states_are_the_released_ones(case):
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
