import gc
import math
import weakref
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load, save

from dti.errors import (
    CheckpointError,
    EmbeddingMismatchError,
    InvalidSettingError,
    NoPicturesError,
    PromptTooLongError,
    TrainingDivergedError,
    UnknownTriggerError,
)
from dti.spec.settings import DirectionalTraining
from dti.sphere import angle
from dti.training import dataset
from dti.training.trainer import Trainer
from tests.unit.dti.works import concept, picture_work, pictures, rendered, trained, training_work


def changed(work, **settings):
    return replace(work, settings=replace(work.settings, **settings))


def file_of(run):
    return run.embedding().to_bytes()


@pytest.fixture
def work():
    return training_work()


def test_a_training_alone_is_reproducible_bit_for_bit(plain_family, work):
    assert file_of(trained(plain_family, work)) == file_of(trained(plain_family, work))


def test_updates_are_counted_and_reported_and_the_last_one_ends_the_run(plain_family, work):
    trainer = Trainer(plain_family)
    run = trainer.admit(work)
    assert (run.step, run.total, run.loss, run.finished) == (0, 6, None, False)
    assert run.angle_rad == 0
    losses = []
    while trainer.runs:
        (update,) = trainer.advance()
        assert (update.run, update.error, update.loss) == (run, None, run.loss)
        losses.append(update.loss)
    assert (run.step, run.finished, len(losses)) == (6, True, 6)
    assert all(math.isfinite(loss) for loss in losses)
    assert 0 < run.angle_rad <= 6 * math.atan(work.settings.learning_rate) + 1e-5


@pytest.mark.parametrize("stop", range(6))
def test_a_resumed_training_equals_an_uninterrupted_one(plain_family, work, stop):
    trainer = Trainer(plain_family)
    stopped = trainer.admit(work)
    for _ in range(stop):
        trainer.advance()
    resumed = trained(plain_family, work, stopped.checkpoint())
    straight = trained(plain_family, work)
    assert file_of(resumed) == file_of(straight)
    assert (resumed.loss, resumed.step) == (straight.loss, straight.step)
    assert resumed.angle_rad == straight.angle_rad


def test_pictures_are_assessed_once_across_a_resumption(plain_family, monkeypatch):
    """A second judgement may differ, by a device's rounding, and the deck would deal other pictures."""
    work = changed(training_work(pictures=[*pictures(), pictures()[0]], captions=[None] * 4), selection=True)
    trainer = Trainer(plain_family)
    stopped = trainer.admit(work)
    trainer.advance()
    monkeypatch.setattr(dataset, "assess", lambda *_pictures, **_asked: pytest.fail("judged again"))
    resumed = Trainer(plain_family).admit(work, stopped.checkpoint())
    assert resumed.training_set.assessments == stopped.training_set.assessments
    assert [assessment.reason for assessment in resumed.training_set.assessments] == [
        None,
        None,
        None,
        "near_duplicate",
    ]
    assert len(resumed.training_set.crops) == 3


def test_a_checkpoint_of_a_finished_training_resumes_as_finished(plain_family, work):
    done = trained(plain_family, work)
    again = Trainer(plain_family)
    run = again.admit(work, done.checkpoint())
    assert run.finished
    assert again.runs == []
    assert file_of(run) == file_of(done)


def test_batched_rows_stay_close_to_those_trained_alone(plain_family, work):
    works = [
        work,
        replace(changed(work, seed=4, batch_size=3, steps=4), class_word="cat", trigger="a-cat"),
        replace(changed(work, num_vectors=3, seed=5), learnable_property="style", pictures=pictures(seed=1)),
        changed(work, resolution=40),
    ]
    trainer = Trainer(plain_family)
    runs = [trainer.admit(one) for one in works]
    while trainer.runs:
        assert all(update.error is None for update in trainer.advance())
    for run, one in zip(runs, works, strict=True):
        assert run.step == one.settings.steps
        alone = trained(plain_family, one).embedding().rows
        for name, together in run.embedding().rows.items():
            assert angle(together.direction, alone[name].direction).max() < 0.02


def test_dismissing_a_run_does_not_affect_the_others(plain_family, work):
    trainer = Trainer(plain_family)
    stays, leaves = trainer.admit(work), trainer.admit(changed(work, seed=9))
    trainer.advance()
    trainer.dismiss(leaves)
    while trainer.runs:
        trainer.advance()
    assert (stays.step, leaves.step) == (6, 1)
    assert leaves.embedding().steps == 1


def test_training_and_rendering_alternate_on_one_model_independently(family, work):
    work, rendering = changed(work, steps=2), picture_work(family, steps=2)
    (picture,) = rendered(family, rendering)
    trainer = Trainer(family)
    run = trainer.admit(work)
    while trainer.runs:
        trainer.advance()
        assert (rendered(family, rendering)[0] == picture).all()
    assert file_of(run) == file_of(trained(family, work))


def test_the_embedding_records_concept_model_and_settings(plain_family, work):
    embedding = trained(plain_family, work).embedding()
    plain_family.check_fits(embedding)
    assert (embedding.trigger, embedding.class_word, embedding.method) == ("my-dog", "dog", work.method)
    assert (embedding.steps, embedding.settings["seed"]) == (6, 3)


def test_rows_of_another_model_cannot_be_continued(plain_family, work):
    foreign = replace(concept(plain_family), fingerprint="0" * 16)
    with pytest.raises(EmbeddingMismatchError):
        Trainer(plain_family).admit(replace(work, initial=foreign))


def test_a_cosine_rate_rotates_the_rows_less_and_less(plain_family, work):
    trainer = Trainer(plain_family)
    run = trainer.admit(changed(work, schedule="cosine"))
    turns, before = [], run.embedding().rows["text_encoder"].direction
    while trainer.runs:
        trainer.advance()
        now = run.embedding().rows["text_encoder"].direction
        turns.append(float((now - before).norm()))
        before = now
    assert turns == sorted(turns, reverse=True)
    assert turns[-1] < 0.2 * turns[0]


def test_decoded_pictures_are_released_after_encoding(plain_family):
    seen = pictures()
    watched = [weakref.ref(picture) for picture in seen]
    run = Trainer(plain_family).admit(training_work(pictures=seen))
    del seen
    gc.collect()
    assert [ref() for ref in watched] == [None] * 3
    assert len(run.training_set.crops) == 3


def test_every_picture_is_dealt_once_before_a_reshuffle(plain_family, work):
    run = Trainer(plain_family).admit(changed(work, batch_size=3))
    dealt = [run._deal() for _ in range(9)]
    assert all(sorted(dealt[i : i + 3]) == [0, 1, 2] for i in (0, 3, 6))
    assert len({tuple(dealt[i : i + 3]) for i in (0, 3, 6)}) > 1


def test_captions_are_used_unless_disabled(plain_family, work):
    given = replace(work, captions=["a red {}"] * 3)
    assert file_of(trained(plain_family, given)) != file_of(trained(plain_family, changed(given, captions=False)))


def poison(family, monkeypatch, row):
    """Let the next loss of one picture of the batch be no number."""
    loss = family.loss

    def poisoned(latents, weights, conditioning, generators):
        monkeypatch.setattr(family, "loss", loss)
        losses = loss(latents, weights, conditioning, generators)
        return torch.where(torch.arange(len(losses)) == row, torch.nan, losses)

    monkeypatch.setattr(family, "loss", poisoned)


def test_a_diverging_training_ends_alone_with_its_last_finite_rows(plain_family, work, monkeypatch):
    neighbour_alone = trained(plain_family, changed(work, seed=9))
    trainer = Trainer(plain_family)
    bad, good = trainer.admit(work), trainer.admit(changed(work, seed=9))
    trainer.advance()
    rows = file_of(bad)
    poison(plain_family, monkeypatch, row=1)
    updates = trainer.advance()
    assert isinstance(updates[0].error, TrainingDivergedError)
    assert updates[0].error.step == 2
    assert math.isnan(updates[0].loss)
    assert file_of(bad) == rows
    assert updates[1].error is None
    assert trainer.runs == [good]
    while trainer.runs:
        trainer.advance()
    rows, alone = good.embedding().rows["text_encoder"], neighbour_alone.embedding().rows["text_encoder"]
    assert angle(rows.direction, alone.direction).max() < 0.02


def test_non_finite_gradients_end_a_training(plain_family, work, monkeypatch):
    trainer = Trainer(plain_family)
    run = trainer.admit(work)
    rows = file_of(run)
    loss = plain_family.loss

    def steep(latents, weights, conditioning, generators):
        losses = loss(latents, weights, conditioning, generators)
        return losses + (losses - losses.detach()).abs().sqrt()

    monkeypatch.setattr(plain_family, "loss", steep)
    (update,) = trainer.advance()
    assert isinstance(update.error, TrainingDivergedError)
    assert file_of(run) == rows


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"pictures": [], "captions": []}, NoPicturesError, "no pictures"),
        ({"captions": ["a {} " + "red " * 600] * 3}, PromptTooLongError, "tokens"),
        ({"captions": ["a {} with <her-cat>"] * 3}, UnknownTriggerError, "her-cat"),
        ({"class_word": " "}, InvalidSettingError, "class_word"),
        ({"settings": DirectionalTraining(seed=1, resolution=33)}, InvalidSettingError, "multiple of 4"),
        ({"settings": DirectionalTraining(seed=None, resolution=32)}, InvalidSettingError, "seed"),
        ({"settings": DirectionalTraining(seed=1, resolution=None)}, InvalidSettingError, "resolution"),
    ],
)
def test_invalid_work_is_refused_at_admission(plain_family, fields, error, says):
    trainer = Trainer(plain_family)
    with pytest.raises(error, match=says):
        trainer.admit(training_work(**fields))
    assert trainer.runs == []


def test_prompts_are_checked_before_pictures_are_encoded(plain_family, monkeypatch):
    monkeypatch.setattr(plain_family, "encode", lambda _pixels: pytest.fail("a picture was encoded"))
    with pytest.raises(PromptTooLongError):
        Trainer(plain_family).admit(training_work(captions=[None, None, "a {} " + "red " * 600]))


def test_a_caption_too_long_with_all_vectors_is_refused_at_admission(family):
    frames = [encoder.frame for encoder in family.encoders.values()]
    limit, available = min((frame.token_limit, frame.chunks * frame.words) for frame in frames)
    settings = DirectionalTraining(seed=1, resolution=32, num_vectors=32)
    captions = ["a {}" + " red" * (available - 30)] * 3
    with pytest.raises(PromptTooLongError, match=f"{limit + 3} tokens"):
        Trainer(family).admit(training_work(settings=settings, captions=captions))


@pytest.mark.parametrize(
    "other",
    [
        {"class_word": "cat"},
        {"pictures": pictures(seed=1)},
        {"captions": [None] * 3},
        {"learnable_property": "style"},
        {"settings": DirectionalTraining(seed=4, resolution=32, steps=6, batch_size=2)},
    ],
)
def test_a_checkpoint_of_other_work_is_refused(plain_family, other):
    trainer = Trainer(plain_family)
    checkpoint = trainer.admit(training_work()).checkpoint()
    with pytest.raises(CheckpointError, match="another training"):
        trainer.admit(training_work(**other), checkpoint)
    assert len(trainer.runs) == 1


def damaged(checkpoint):
    tensors = load(checkpoint)
    rows = next(name for name in tensors if name.endswith("/start"))
    yield checkpoint[:-7]
    yield b""
    yield b"no safetensors at all"
    yield save({name: tensor for name, tensor in tensors.items() if name != rows})
    yield save(tensors | {rows: tensors[rows][..., :-1].contiguous()})
    yield save(tensors | {"generator": tensors["generator"][:10]})
    yield save(tensors | {"facts": tensors["facts"][:-2]})


def test_a_damaged_checkpoint_is_refused(plain_family):
    trainer = Trainer(plain_family)
    run = trainer.admit(training_work())
    trainer.advance()
    for checkpoint in damaged(run.checkpoint()):
        with pytest.raises(CheckpointError, match="damaged"):
            Trainer(plain_family).admit(training_work(), checkpoint)
