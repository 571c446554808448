"""Laws of every method on every family, over `METHODS` and `CHECKPOINTS`."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from dti.embeddings.embedding import Embedding
from dti.methods import create
from dti.pictures import View
from dti.spec.prompts import parse_prompt
from dti.spec.registry import METHODS
from dti.sphere import angle
from dti.tokens import Placeholder, tokenize
from dti.training.run import Run
from dti.training.trainer import Trainer
from tests.unit.dti.works import generators, picture_work, pictures, random_pixels, rendered, trained, training_work


@dataclass
class RecordedRun:
    """A finished training, with its losses and checkpoints."""

    run: Run
    losses: list[float]
    checkpoints: list[bytes]
    weights_changed: list[str]


def weights_of(family):
    return {
        f"{type(network).__name__}.{name}": weight
        for network in family.networks
        for name, weight in network.state_dict().items()
    }


@pytest.fixture(scope="module", params=METHODS)
def work(request):
    # Square pictures have one crop each: there is little to encode.
    seen = pictures(2, width=32, height=32)
    return training_work(method=request.param, steps=3, batch_size=1, pictures=seen, captions=[None, "a red {}"])


@pytest.fixture(scope="module")
def recorded(family, work):
    before = {name: weight.clone() for name, weight in weights_of(family).items()}
    trainer = Trainer(family)
    run = trainer.admit(work)
    losses, checkpoints = [], []
    while trainer.runs:
        checkpoints.append(run.checkpoint())
        (update,) = trainer.advance()
        losses.append(update.loss)
    changed = [name for name, weight in weights_of(family).items() if not torch.equal(weight, before[name])]
    return RecordedRun(run, losses, checkpoints, changed)


def test_every_row_rotates_and_stays_finite(recorded):
    assert np.isfinite(recorded.losses).all()
    for one in recorded.run.state.learned.values():
        rotation = recorded.run.method.rotation(one)
        assert rotation.isfinite().all()
        assert (rotation > 1e-4).all()
    recorded.run.family.check_fits(recorded.run.embedding())


def test_gradients_reach_the_rows_only_and_the_model_is_unchanged_bit_for_bit(family, recorded):
    assert recorded.weights_changed == []
    parameters = [weight for network in family.networks for weight in network.parameters()]
    assert all(weight.grad is None and not weight.requires_grad for weight in parameters)


def test_interrupted_or_not_a_training_alone_is_the_same_bit_for_bit(family, work, recorded):
    resumed = trained(family, work, recorded.checkpoints[1])
    assert resumed.embedding().to_bytes() == recorded.run.embedding().to_bytes()
    assert (resumed.loss, resumed.angle_rad) == (recorded.run.loss, recorded.run.angle_rad)


def test_batched_with_another_method_rows_stay_close_to_those_trained_alone(family, work, recorded):
    others = training_work(
        method=next(name for name in METHODS if name != work.method),
        seed=4,
        steps=2,
        batch_size=1,
        pictures=work.pictures,
        captions=[None, None],
        class_word="stuffed animal",
        trigger="a-toy",
    )
    trainer = Trainer(family)
    run = trainer.admit(work)
    trainer.admit(others)
    while trainer.runs:
        assert all(update.error is None for update in trainer.advance())
    for name, rows in run.embedding().rows.items():
        alone = recorded.run.embedding().rows[name]
        assert angle(rows.direction, alone.direction).max() < 0.02
        assert torch.allclose(rows.magnitude, alone.magnitude, rtol=0.02)


def test_the_saved_embedding_is_the_previewed_one_alone_and_batched(family, recorded):
    embedding = recorded.run.embedding()
    read = Embedding.from_bytes(embedding.to_bytes())
    fields = {"prompt": "a photo of <my-dog>", "guidance_scale": 1.0, "steps": 2, "scheduler": family.schedulers[0]}
    shown, _ = rendered(
        family,
        picture_work(family, **fields, concepts={"my-dog": embedding}),
        picture_work(family, **fields | {"prompt": "a red cat"}),
    )
    (alone,) = rendered(family, picture_work(family, **fields, concepts={"my-dog": read}))
    assert np.abs(shown - alone).max() <= 1


def test_several_vectors_train_independently(family, work):
    many = replace(work, class_word="stuffed animal", settings=replace(work.settings, num_vectors=3, steps=1))
    run = trained(family, many)
    for name, rows in run.embedding().rows.items():
        assert rows.direction.shape == (3, family.encoders[name].width)
        assert len(rows.vectors.unique(dim=0)) == 3
        assert (run.method.rotation(run.state.learned[name]) > 0).all()


def test_learned_rows_can_be_continued(family, work, recorded):
    learned = recorded.run.embedding()
    run = Trainer(family).admit(replace(work, initial=learned))
    for name, rows in run.embedding().rows.items():
        assert torch.allclose(rows.vectors, learned.rows[name].vectors, rtol=1e-4, atol=1e-6)
    assert run.angle_rad == 0


def test_the_loss_falls_with_fixed_pictures_noise_and_prompt(family, work):
    method, settings = create(work.method), replace(work.settings, learning_rate=0.01)
    learned = {name: method.start(one, "dog", settings, None) for name, one in family.encoders.items()}
    optimizer = method.optimizer(list(learned.values()), settings)
    latents = family.encode(random_pixels(1)).mean
    placeholder = Placeholder("dog", dict.fromkeys(learned, 1))
    tokenized = tokenize(parse_prompt("a photo of <my-dog>"), family.encoders, {"my-dog": placeholder})
    losses = []
    for _ in range(4):
        rows = {name: method.vectors(one) for name, one in learned.items()}
        read = family.condition([tokenized.splice({"my-dog": rows})], [View.whole(32, 32)])
        loss = family.loss(latents, torch.ones_like(latents[:, :1]), read, generators(1)).sum()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]
