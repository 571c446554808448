import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dti.embeddings.embedding import Rows
from dti.encoders import class_rows, vocabulary_norm
from dti.methods import create
from dti.optim import SphereSGD
from dti.spec.settings import DirectionalTraining
from dti.sphere import angle
from tests.unit.dti.laws import law, seeds, unit
from tests.unit.dti.methods.test_methods import table

DTI = create("dti")
kappas = st.floats(1e-6, 1.0)
phrases = st.sampled_from(["dog", "stuffed animal", "three word thing"])


def start(class_word="dog", initial=None, **settings):
    return DTI.start(table(), class_word, DirectionalTraining(**settings), initial)


@law
@given(phrases, st.none() | st.integers(1, 7))
def test_directions_start_at_the_class_words_repeated_or_cut_to_the_requested_count(class_word, count):
    learned = start(class_word, num_vectors=count)
    rows = class_rows(table(), class_word, None)
    wanted = len(rows) if count is None else count
    assert torch.allclose(learned.parameters["v"], unit(rows.repeat(7, 1)[:wanted]), atol=1e-6)
    assert torch.equal(learned.parameters["v"], learned.constants["mu"])


@law
@given(phrases, st.none() | st.integers(1, 7), kappas, seeds)
def test_the_gradient_of_the_penalty_is_minus_kappa_mu_wherever_the_rows_are(class_word, count, kappa, seed):
    learned = start(class_word, num_vectors=count, kappa=kappa)
    v = learned.parameters["v"]
    with torch.no_grad():
        v.copy_(unit(torch.randn(v.shape, generator=torch.Generator().manual_seed(seed))))
    (gradient,) = torch.autograd.grad(DTI.penalty(learned), v)
    assert torch.allclose(gradient, -kappa * learned.constants["mu"], rtol=1e-6, atol=0)


@law
@given(phrases, kappas)
def test_the_penalty_is_least_at_the_class_word(class_word, kappa):
    learned = start(class_word, kappa=kappa)
    assert DTI.penalty(learned).item() == pytest.approx(-kappa * len(learned.parameters["v"]), rel=1e-5)


def test_the_prior_alone_converges_to_the_class_word():
    learned = start("stuffed animal", Rows(unit(torch.ones(2, 16)), torch.ones(2, 1)), kappa=1e-4)
    optimizer = DTI.optimizer([learned], DirectionalTraining())
    for _ in range(200):
        optimizer.zero_grad()
        DTI.penalty(learned).backward()
        optimizer.step()
    assert (angle(learned.parameters["v"].detach(), learned.constants["mu"]) <= math.atan(0.04)).all()


def test_every_update_rotates_every_row_by_atan_of_the_learning_rate_and_keeps_the_norm():
    learned = start("stuffed animal", learning_rate=0.03)
    before = learned.parameters["v"].detach().clone()
    optimizer = DTI.optimizer([learned], DirectionalTraining(learning_rate=0.03))
    (1e-3 * DTI.vectors(learned).sum()).backward()
    optimizer.step()
    assert isinstance(optimizer, SphereSGD)
    assert torch.allclose(angle(before, learned.parameters["v"].detach()), torch.full((2,), math.atan(0.03)), atol=1e-5)
    assert torch.allclose(DTI.rotation(learned), torch.full((2,), math.atan(0.03)), atol=1e-5)
    norms = DTI.vectors(learned).norm(dim=-1)
    assert torch.allclose(norms, torch.full((2,), vocabulary_norm(table().vocabulary, "mean")), rtol=1e-6)


@pytest.mark.parametrize("choice", ["mean", "median", "min", "max"])
def test_a_magnitude_is_a_statistic_of_the_non_zero_rows(choice):
    norms = torch.arange(1, 10).double()
    vocabulary = torch.cat([torch.zeros(5, 4), norms.float()[:, None] * torch.eye(4)[0]])
    expected = {"mean": 5.0, "median": 5.0, "min": 1.0, "max": 9.0}[choice]
    for dtype in (torch.float32, torch.bfloat16):
        assert vocabulary_norm(vocabulary.to(dtype), choice) == expected
    assert float(start(magnitude=choice).constants["magnitude"]) == pytest.approx(
        vocabulary_norm(table().vocabulary, choice)
    )


def test_a_magnitude_can_be_given_as_a_number():
    learned = start(magnitude=2.5)
    assert float(DTI.finish(learned).magnitude) == 2.5
    assert DTI.vectors(learned).norm().item() == pytest.approx(2.5)


def test_continuing_keeps_the_class_words_prior_and_the_settings_magnitude():
    initial = Rows(unit(torch.ones(2, 16)), torch.full((2, 1), 99.0))
    learned = start("stuffed animal", initial)
    assert torch.equal(learned.parameters["v"], initial.direction)
    assert torch.equal(learned.constants["mu"], start("stuffed animal").constants["mu"])
    assert torch.equal(learned.constants["magnitude"], start("stuffed animal").constants["magnitude"])
    assert torch.equal(DTI.rotation(learned), torch.zeros(2))


def test_half_precision_norms_do_not_overflow():
    vocabulary = torch.full((4, 1024), 300.0, dtype=torch.float16)
    assert vocabulary_norm(vocabulary, "mean") == pytest.approx(9600)
