"""Laws of every method in `METHODS`."""

from copy import deepcopy
from dataclasses import dataclass

import pytest
import torch

from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.methods import Learned, create
from dti.optim import rate
from dti.spec import registry
from dti.sphere import angle
from tests.unit.dti.laws import unit

WORDS = {"dog": [5], "stuffed animal": [7, 8], "three word thing": [5, 7, 8], "nothing": [3], " ": []}


@dataclass
class Table:
    """A vocabulary without an encoder behind it: all that the present methods look at."""

    vocabulary: torch.Tensor
    name: str = "text_encoder"

    @property
    def width(self):
        return self.vocabulary.shape[1]

    def word_ids(self, text):
        return WORDS[text]

    def output(self, ids):
        return self.vocabulary[list(ids)].float()


def table(width=16, dtype=torch.float32, seed=0):
    vocabulary = torch.randn((40, width), generator=torch.Generator().manual_seed(seed))
    vocabulary[3] = 0
    return Table(vocabulary.to(dtype))


def target_for(learned, method):
    return torch.randn(method.vectors(learned).shape, generator=torch.Generator().manual_seed(9))


def follow(method, learned, optimizer, settings, updates):
    """Pull the vectors towards fixed targets; returns the losses."""
    losses = []
    for step in range(*updates):
        for group in optimizer.param_groups:
            group["lr"] = rate(settings, step)
        optimizer.zero_grad()
        loss = sum((method.vectors(one) - target_for(one, method)).square().sum() for one in learned)
        (loss + sum(method.penalty(one) for one in learned)).backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.fixture(params=registry.METHODS)
def method(request):
    return create(request.param)


def settings_for(method, **given):
    return registry.METHODS[method.name].settings(**given)


def test_every_method_has_its_registered_name():
    assert all(create(name).name == name for name in registry.METHODS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("class_word", "num_vectors", "count"), [("dog", None, 1), ("stuffed animal", None, 2), ("dog", 3, 3)]
)
def test_initial_rows_have_the_requested_count_in_float32(method, dtype, class_word, num_vectors, count):
    learned = method.start(table(dtype=dtype), class_word, settings_for(method, num_vectors=num_vectors), None)
    vectors = method.vectors(learned)
    assert (vectors.shape, vectors.dtype) == ((count, 16), torch.float32)
    assert vectors.isfinite().all()
    assert torch.equal(vectors, learned.constants["start"])
    assert torch.equal(method.rotation(learned), torch.zeros(count))
    for parameter in learned.parameters.values():
        assert parameter.is_leaf
        assert parameter.requires_grad
        assert parameter.dtype == torch.float32


def test_rows_of_several_encoders_train_under_one_optimizer_with_a_frozen_vocabulary(method):
    encoders = [table(), table(width=24, seed=1)]
    before = [encoder.vocabulary.clone() for encoder in encoders]
    settings = settings_for(method, learning_rate=0.05, steps=40)
    learned = [method.start(encoder, "stuffed animal", settings, None) for encoder in encoders]
    losses = follow(method, learned, method.optimizer(learned, settings), settings, (0, 40))
    assert losses[-1] < 0.9 * losses[0]
    for one, encoder, frozen in zip(learned, encoders, before, strict=True):
        assert (method.rotation(one) > 0.1).all()
        assert torch.equal(encoder.vocabulary, frozen)
        assert encoder.vocabulary.grad is None


def test_finished_rows_have_the_spliced_directions_and_are_detached(method):
    settings = settings_for(method, steps=5)
    learned = method.start(table(), "stuffed animal", settings, None)
    optimizer = method.optimizer([learned], settings)
    follow(method, [learned], optimizer, settings, (0, 5))
    rows, spliced = method.finish(learned), method.vectors(learned).detach().clone()
    follow(method, [learned], optimizer, settings, (0, 5))
    assert angle(rows.direction, unit(spliced)).max() < 1e-6
    assert (rows.magnitude > 0).all()
    assert torch.allclose(rows.direction.norm(dim=-1), torch.ones(2), atol=1e-6)
    assert not rows.direction.requires_grad


def test_parameters_constants_and_optimizer_state_suffice_to_resume(method):
    settings = settings_for(method, steps=20, schedule="cosine")
    learned = method.start(table(), "stuffed animal", settings, None)
    optimizer = method.optimizer([learned], settings)
    follow(method, [learned], optimizer, settings, (0, 8))
    resumed = Learned(
        {name: value.detach().clone().requires_grad_() for name, value in learned.parameters.items()},
        {name: value.clone() for name, value in learned.constants.items()},
    )
    second = method.optimizer([resumed], settings)
    second.load_state_dict(deepcopy(optimizer.state_dict()))
    losses = follow(method, [learned], optimizer, settings, (8, 20))
    assert follow(method, [resumed], second, settings, (8, 20)) == losses
    assert torch.equal(method.vectors(learned), method.vectors(resumed))


def test_a_finished_concept_can_be_continued(method):
    settings = settings_for(method, steps=10)
    learned = method.start(table(), "stuffed animal", settings, None)
    follow(method, [learned], method.optimizer([learned], settings), settings, (0, 10))
    rows = method.finish(learned)
    again = method.start(table(), "stuffed animal", settings, rows)
    assert torch.allclose(method.finish(again).vectors, rows.vectors, atol=1e-6)
    follow(method, [again], method.optimizer([again], settings), settings, (0, 10))
    assert torch.equal(rows.direction, method.finish(learned).direction)


def test_continuing_requires_the_given_rows_count(method):
    rows = method.finish(method.start(table(), "dog", settings_for(method, num_vectors=3), None))
    assert len(method.vectors(method.start(table(), "dog", settings_for(method), rows))) == 3
    assert len(method.vectors(method.start(table(), "dog", settings_for(method, num_vectors=3), rows))) == 3
    with pytest.raises(EmbeddingMismatchError, match="3 vectors, but num_vectors is 2"):
        method.start(table(), "dog", settings_for(method, num_vectors=2), rows)


@pytest.mark.parametrize(("class_word", "complaint"), [(" ", "no tokens"), ("nothing", "zero row")])
def test_a_class_word_without_tokens_or_direction_is_refused(method, class_word, complaint):
    with pytest.raises(InvalidSettingError, match=complaint) as caught:
        method.start(table(), class_word, settings_for(method), None)
    assert caught.value.field == "class_word"
