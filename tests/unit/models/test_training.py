"""Training of the bundled model's networks: what must hold at any size."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch

from tools.tiny.autoencoder import build_autoencoder, encode, principal_components, set_encoder, to_unit
from tools.tiny.dataset import make_picture
from tools.tiny.hearing import EMPTY, PLAIN
from tools.tiny.muon import orthogonalise
from tools.tiny.networks import ROW_NORM, LookEncoder, embedding_tables, writers
from tools.tiny.training import WARM_UP_STEPS, Teacher, Trainee, TrainingPlan, centre_weights, concentrate, train

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pictures():
    return np.stack([make_picture(0, number).picture for number in range(40)])


@pytest.fixture(scope="module")
def folder(pictures, tmp_path_factory):
    """A run's folder with 40 scenes, their looks and latents."""
    place = tmp_path_factory.mktemp("run")
    samples = [make_picture(0, number) for number in range(40)]
    (place / "scenes.json").write_text(json.dumps([asdict(sample.scene) for sample in samples]))
    np.save(place / "looks.npy", np.stack([sample.look for sample in samples]))
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


def test_errors_weigh_more_where_objects_stand():
    weights = centre_weights(16)
    assert weights.mean() == pytest.approx(1)
    assert weights[8, 8] == 3 * weights[0, 0]


def test_rows_are_held_at_one_norm_unused_ones_at_zero_and_writers_within_their_caps(folder, tmp_path):
    train(folder, tmp_path / "run.pt", tmp_path / "nowhere.pt", TrainingPlan(2, batch=4), CPU)
    trainee = Trainee(CPU)
    trainee.load(tmp_path / "run.pt")
    norms = embedding_tables(trainee.text_model)[0].norm(dim=1)
    assert torch.equal(norms > 0, trainee.used_rows[:, 0])
    assert torch.allclose(norms[norms > 0], torch.tensor(ROW_NORM), atol=1e-5)
    held = list(writers(trainee.text_model))
    assert len(held) == 16
    assert all(weight.norm() <= cap * 1.001 for weight, cap in held)


def test_a_lesson_finds_the_noun_of_every_caption(folder):
    trainee = Trainee(CPU)
    teacher = Teacher(folder, trainee, TrainingPlan(1, batch=40))
    lesson = teacher.lesson(range(40), np.random.default_rng(0))
    layout, ids = lesson.layout, lesson.ids
    full = layout.kinds != EMPTY
    assert ((layout.nouns > 0) & (layout.nouns < layout.ends))[full].all()
    assert (ids[torch.arange(40), layout.ends] == trainee.tokenizer.eos_token_id).all()
    assert (layout.ends == 1)[~full].all()
    assert not (layout.kinds[lesson.by_look] == EMPTY).any()
    assert (layout.kinds == PLAIN).any()


def test_looks_have_rows_of_the_table_s_norm_and_different_ones():
    torch.manual_seed(0)
    encoder = LookEncoder()
    looks = torch.tensor(np.stack([make_picture(0, number).look for number in range(4)]))
    nouns = torch.randn(4, 128)
    rows = encoder(looks.permute(0, 3, 1, 2).float() / 255, nouns)
    assert torch.allclose(rows.norm(dim=1), torch.tensor(ROW_NORM))
    same_noun = encoder(looks.permute(0, 3, 1, 2).float() / 255, nouns[:1].expand(4, -1))
    assert (same_noun[0] - same_noun[1]).norm() > 1e-4
