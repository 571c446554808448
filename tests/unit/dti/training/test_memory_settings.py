"""Settings that save memory change no result: checkpointing not a bit, micro-batches by rounding."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from dti.families import load
from dti.spec.registry import METHODS
from dti.sphere import angle
from dti.training.loss_scale import LossScale
from dti.training.trainer import Trainer
from tests.checkpoints import CHECKPOINTS
from tests.unit.dti.works import pictures, training_work

UPDATES = 20


@pytest.fixture(scope="module")
def work():
    settings = METHODS["dti"].settings(
        seed=3, resolution=32, steps=UPDATES, batch_size=3, learning_rate=0.02, kappa=1e-2, selection=False
    )
    return training_work(pictures=pictures(2, 32, 32), captions=[None, "a red {}"], settings=settings)


def rows(family, *works, micro_batch=None):
    """Directions after training together, of the last work."""
    trainer = Trainer(family, micro_batch)
    runs = [trainer.admit(work) for work in works]
    while trainer.runs:
        assert all(update.error is None for update in trainer.advance())
    return {name: one.direction for name, one in runs[-1].embedding().rows.items()}


@pytest.fixture(scope="module")
def whole(family, work):
    return rows(family, work)


def test_checkpointing_gives_the_same_rows_bit_for_bit(family, work, whole):
    family.set_checkpointing(enabled=True)
    try:
        checkpointed = rows(family, work)
    finally:
        family.set_checkpointing(enabled=False)
    assert all(torch.equal(checkpointed[name], direction) for name, direction in whole.items())


def linear_calls(network):
    """A counter of the calls of a network's linear layers."""
    calls = Counter()
    for layer in network.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_pre_hook(lambda *_call: calls.update(total=1))
    return calls


def test_checkpointing_computes_denoiser_and_encoders_again(checkpoint_name, checkpoint, work):
    """Otherwise the law above would hold of a switch that does nothing."""
    family = load(CHECKPOINTS[checkpoint_name].family, checkpoint, device="cpu")
    trainer = Trainer(family)
    trainer.admit(work)
    trainer.advance()  # computes what is kept, such as the states of a prompt's common beginning
    *computing, _autoencoder = family.networks
    calls = [linear_calls(network) for network in computing]
    trainer.advance()
    once = [count.pop("total") for count in calls]
    family.set_checkpointing(enabled=True)
    trainer.advance()
    assert all(count["total"] > 1.3 * single for count, single in zip(calls, once, strict=True))


@pytest.mark.parametrize("micro_batch", [1, 2])
def test_accumulated_micro_batches_give_the_rows_of_the_whole_batch(family, work, whole, micro_batch):
    other = replace(work, settings=replace(work.settings, seed=9, steps=3))
    accumulated = rows(family, other, work, micro_batch=micro_batch)
    for name, direction in whole.items():
        assert angle(accumulated[name], direction).max() <= 1e-3


def test_micro_batches_bound_every_forward_pass(plain_family, work, monkeypatch):
    seen, condition = [], plain_family.condition
    monkeypatch.setattr(plain_family, "condition", lambda *given: seen.append(len(given[0])) or condition(*given))
    trainer = Trainer(plain_family, micro_batch=2)
    trainer.admit(replace(work, settings=replace(work.settings, selection=True)))
    trainer.advance()
    assert max(seen) == 2


def test_an_overflowing_update_in_float16_is_skipped_and_halves_the_loss_scale(plain_family, work, monkeypatch):
    trainer = Trainer(plain_family)
    run = trainer.admit(work)
    run.loss_scale = LossScale(torch.float16)
    before, scale, loss = run.embedding().rows["text_encoder"].direction, run.loss_scale.value, plain_family.loss

    def overflowing(*given):
        losses = loss(*given)
        return losses + 0 * (losses - losses.detach()).abs().sqrt()

    with monkeypatch.context() as patched:
        patched.setattr(plain_family, "loss", overflowing)
        (update,) = trainer.advance()
    assert update.error is None
    assert (run.step, run.loss_scale.value) == (1, scale / 2)
    assert torch.equal(run.embedding().rows["text_encoder"].direction, before)
    resumed = Trainer(plain_family).admit(work, run.checkpoint())
    assert resumed.loss_scale.value == scale / 2
    (update,) = trainer.advance()
    assert update.error is None
    assert not torch.equal(run.embedding().rows["text_encoder"].direction, before)


def test_the_loss_scale_grows_after_steady_updates_and_is_constant_outside_of_float16():
    dynamic, constant = LossScale(torch.float16), LossScale(torch.bfloat16)
    start = dynamic.value
    for _ in range(200):
        dynamic.succeeded()
        constant.succeeded()
    assert (dynamic.value, constant.value) == (2 * start, start)
    assert not constant.overflowed()
    assert [dynamic.overflowed() for _ in range(14)] == [True] * 13 + [False]
