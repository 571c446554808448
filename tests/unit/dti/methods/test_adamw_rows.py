"""Methods with AdamW rows: norms, initial values and penalties."""

import pytest
import torch

from dti.embeddings.embedding import Rows
from dti.encoders import class_rows, vocabulary_norm
from dti.methods import create
from dti.spec import registry
from dti.sphere import angle
from tests.unit.dti.laws import unit
from tests.unit.dti.methods.test_methods import follow, settings_for, table


def start(name, class_word="stuffed animal", initial=None, encoder=None, **given):
    method = create(name)
    settings = settings_for(method, **given)
    learned = method.start(encoder or table(), class_word, settings, initial)
    return method, settings, learned


def pulled(name, updates=20, **given):
    """A method and its rows after updates towards fixed targets."""
    method, settings, learned = start(name, **given)
    follow(method, [learned], method.optimizer([learned], settings), settings, (0, updates))
    return method, learned


@pytest.mark.parametrize("name", ["ti", "ti-rescaled", "ti-norm"])
def test_rows_start_at_the_class_words_vocabulary_rows(name):
    method, _, learned = start(name)
    assert torch.equal(method.vectors(learned), class_rows(table(), "stuffed animal", None))


def test_free_rows_take_any_norm_and_are_exported_unchanged():
    method, learned = pulled("ti", steps=20)
    vectors = method.vectors(learned).detach()
    assert (vectors.norm(dim=-1) - learned.constants["start"].norm(dim=-1)).abs().min() > 0.01
    assert torch.allclose(method.finish(learned).vectors, vectors, atol=1e-6)


@pytest.mark.parametrize("name", ["ti", "ti-rescaled", "ti-norm", "crossinit", "subspace"])
def test_adamw_decays_the_parameters_by_a_hundredth_of_the_rate_and_nothing_else(name):
    method, settings, learned = start(name)
    optimizer = method.optimizer([learned], settings)
    (group,) = optimizer.param_groups
    assert (group["weight_decay"], group["betas"], group["eps"]) == (0.01, (0.9, 0.999), 1e-8)
    assert group["lr"] == settings.learning_rate
    assert [id(leaf) for leaf in group["params"]] == [id(leaf) for leaf in learned.parameters.values()]


@pytest.mark.parametrize("choice", ["mean", "median", 2.5])
def test_rescaled_rows_are_trained_freely_and_every_embedding_has_the_norm(choice):
    method, learned = pulled("ti-rescaled", magnitude=choice)
    free, plain = pulled("ti")
    m = vocabulary_norm(table().vocabulary, choice)
    assert torch.equal(method.vectors(learned), free.vectors(plain))
    assert torch.allclose(method.finish(learned).magnitude, torch.full((2, 1), m))
    before = start("ti-rescaled", magnitude=choice)[2]
    assert torch.allclose(method.finish(before).magnitude, torch.full((2, 1), m))


def test_rows_are_reset_to_the_median_norm_after_every_update():
    method, settings, learned = start("ti-norm", learning_rate=0.05)
    optimizer = method.optimizer([learned], settings)
    median = vocabulary_norm(table().vocabulary, "median")
    for step in range(3):
        before = method.vectors(learned).detach().clone()
        follow(method, [learned], optimizer, settings, (step, step + 1))
        after = method.vectors(learned).detach()
        assert torch.allclose(after.norm(dim=-1), torch.full((2,), median), rtol=1e-6)
        assert (angle(unit(before), unit(after)) > 0.01).all()


def test_rows_of_another_norm_are_continued_with_their_own_directions():
    initial = Rows(unit(torch.ones(2, 16)), torch.full((2, 1), 9.0))
    for name, norm in {"ti": 9.0, "crossinit": 9.0, "ti-rescaled": vocabulary_norm(table().vocabulary, "mean")}.items():
        method, _, learned = start(name, initial=initial)
        rows = method.finish(learned)
        assert angle(rows.direction, initial.direction).max() < 1e-6
        assert torch.allclose(rows.magnitude, torch.full((2, 1), norm))


class Shouting(type(table())):
    """An encoder whose output is far longer than its vocabulary's rows, as those of real ones are."""

    def output(self, ids):
        assert len(ids) == len(set(ids)), "the class word is read as it stands, not repeated"
        return 50 * self.vocabulary[list(ids)].float().roll(1, dims=-1)


def shouting():
    return Shouting(table().vocabulary)


def test_cross_initialization_starts_at_the_encoders_output_repeated_to_the_requested_count():
    method, _, learned = start("crossinit", num_vectors=3, encoder=shouting())
    outputs = shouting().output([7, 8])
    assert torch.equal(method.vectors(learned), outputs[[0, 1, 0]])
    assert torch.equal(method.rotation(learned), torch.zeros(3))


def test_the_penalty_is_the_weighted_mean_distance_from_the_start_with_a_finite_gradient_there():
    method, _, learned = start("crossinit", regularization=0.5, encoder=shouting())
    e = learned.parameters["e"]
    assert method.penalty(learned).item() == 0
    (gradient,) = torch.autograd.grad(method.penalty(learned), e)
    assert torch.equal(gradient, torch.zeros_like(e))
    with torch.no_grad():
        e[0, 0] += 4
        e[1, 1] += 2
    assert method.penalty(learned).item() == pytest.approx(0.5 * 3, rel=1e-5)


def test_when_continuing_the_penalty_is_still_towards_the_class_words_output():
    initial = Rows(unit(torch.ones(2, 16)), torch.full((2, 1), 9.0))
    method, _, learned = start("crossinit", initial=initial, regularization=1.0, encoder=shouting())
    distances = (initial.vectors - shouting().output([7, 8])).norm(dim=-1)
    assert method.penalty(learned).item() == pytest.approx(distances.mean().item(), rel=1e-6)


@pytest.mark.parametrize("name", ["ti", "ti-rescaled", "ti-norm", "subspace"])
def test_other_methods_have_no_penalty(name):
    method, _, learned = start(name)
    assert method.penalty(learned).item() == 0


def test_the_published_defaults():
    of = {name: listing.settings() for name, listing in registry.METHODS.items()}
    assert [(one.learning_rate, one.steps, one.batch_size) for one in of.values()] == [
        (0.04, 400, 4),
        (0.02, 400, 4),
        (0.02, 400, 4),
        (2e-3, 400, 4),
        (5e-3, 320, 8),
        (2e-3, 1000, 4),
    ]
    assert (of["dti"].kappa, of["crossinit"].regularization, of["subspace"].basis_size) == (1e-4, 1e-5, None)
