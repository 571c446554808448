"""Training of the bundled model's networks: what must hold at any size."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from tools.tiny.autoencoder import build_autoencoder, encode, principal_components, set_encoder, to_unit
from tools.tiny.dataset import make_picture
from tools.tiny.muon import orthogonalise
from tools.tiny.networks import UPDATE_NORM_CAP, embedding_tables
from tools.tiny.training import WARM_UP_STEPS, Trainee, TrainingPlan, concentrate, train

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures():
    return np.stack([make_picture(0, number)[1] for number in range(40)])


@pytest.fixture(scope="module")
def folder(pictures, tmp_path_factory):
    """A run's folder with 40 scenes and their latents."""
    place = tmp_path_factory.mktemp("run")
    scenes = [asdict(make_picture(0, number)[0]) for number in range(40)]
    (place / "scenes.json").write_text(json.dumps(scenes))
    autoencoder = build_autoencoder()
    set_encoder(autoencoder, *principal_components(pictures)[:2])
    torch.save(encode(autoencoder, pictures, CPU), place / "latents.pt")
    return place


def test_the_encoder_is_the_projection_on_principal_components(pictures):
    projection, offset, kept = principal_components(pictures)
    autoencoder = build_autoencoder()
    set_encoder(autoencoder, projection, offset)
    patches = torch.nn.functional.pixel_unshuffle(to_unit(pictures).add(1).div(2), 4)
    wanted = torch.einsum("cp,npij->ncij", projection, patches) + offset[:, None, None]
    assert torch.allclose(autoencoder.encode(to_unit(pictures)).latents, wanted, atol=1e-4)
    assert wanted.mean().abs() < 1e-3
    assert 0.8 < kept < 1


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 8, 40), (2, 40, 8)])
def test_orthogonalised_updates_have_singular_values_near_one(shape):
    values = torch.linalg.svdvals(orthogonalise(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
    assert values.max() < 1.3
    assert values.median() > 0.6


def test_a_resumed_run_equals_an_uninterrupted_one(folder, tmp_path):
    nowhere = tmp_path / "nowhere.pt"
    train(folder, tmp_path / "whole.pt", nowhere, TrainingPlan(3, batch=4), CPU)
    train(folder, tmp_path / "parts.pt", nowhere, TrainingPlan(1, batch=4), CPU)
    train(folder, tmp_path / "parts.pt", nowhere, TrainingPlan(3, batch=4), CPU)
    whole, parts = (torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "parts.pt"))
    assert whole["step"] == parts["step"] == 3
    for kind in ("weights", "average"):
        assert all(torch.equal(whole[kind][name], parts[kind][name]) for name in whole[kind])


def test_an_annealed_branch_starts_from_the_stable_run_and_leaves_it_alone(folder, tmp_path):
    stable, branch = tmp_path / "stable.pt", tmp_path / "branch.pt"
    train(folder, stable, tmp_path / "nowhere.pt", TrainingPlan(2, batch=4), CPU)
    before = stable.read_bytes()
    train(folder, branch, stable, TrainingPlan(4, batch=4, anneal=2), CPU)
    assert torch.load(branch, weights_only=True)["step"] == 4
    assert stable.read_bytes() == before


def test_the_rate_warms_up_stays_and_anneals_to_nothing():
    plan = TrainingPlan(1000, batch=1, anneal=200)
    assert plan.rate(0) == pytest.approx(1 / WARM_UP_STEPS)
    assert plan.rate(500) == plan.rate(800) == 1
    assert plan.rate(900) == 0.5
    assert plan.rate(999) == 0.005
    assert TrainingPlan(1000, batch=1).rate(999) == 1


def test_times_crowd_in_the_middle_and_reach_both_ends():
    shares = concentrate(torch.linspace(0, 1, 1001))
    assert shares[0] == 0
    assert shares[-1] == pytest.approx(1)
    assert (shares.diff() > 0).all()
    assert shares.diff()[500] < shares.diff()[0] / 2


def test_rows_of_unused_tokens_stay_zero_and_text_updates_stay_small(folder, tmp_path):
    train(folder, tmp_path / "run.pt", tmp_path / "nowhere.pt", TrainingPlan(2, batch=4), CPU)
    trainee = Trainee(CPU)
    trainee.load(tmp_path / "run.pt")
    rows = embedding_tables(trainee.text_model)[0]
    unused = trainee.used_rows[:, 0] == 0
    assert (rows[unused] == 0).all()
    assert (rows[~unused].norm(dim=1) > 0).all()
    writers = [w for n, w in trainee.text_model.named_parameters() if n.endswith(("out_proj.weight", "fc2.weight"))]
    assert writers
    assert all(weight.norm() <= UPDATE_NORM_CAP * 1.001 for weight in writers)
