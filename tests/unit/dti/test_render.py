from dataclasses import replace

import numpy as np
import pytest
import torch

from dti.errors import (
    EmbeddingMismatchError,
    InvalidSettingError,
    PromptTooLongError,
    RenderingDivergedError,
    UnknownSchedulerError,
    UnknownTriggerError,
)
from dti.render import Renderer
from tests.unit.dti.works import concept, picture_work, rendered, unguided


def difference(one, other):
    return np.abs(one - other).max()


@pytest.fixture
def mixed(family):
    """Requests that have nothing in common but the model."""
    work = picture_work(family)
    return [
        work,
        replace(work, scheduler=family.schedulers[1], steps=7, seed=8),
        replace(work, scheduler=family.schedulers[0], guidance_scale=1.0, prompt="a cat"),
        replace(work, concepts={"my-dog": concept(family, seed=5, vectors=3)}, guidance_scale=0.0),
        replace(work, width=40, steps=3),
        replace(work, negative_prompt="<my-dog>", guidance_scale=9.0, width=40),
    ]


def test_a_picture_rendered_alone_is_reproducible_bit_for_bit(family, mixed):
    for work in mixed:
        assert difference(*rendered(family, work), *rendered(family, work)) == 0


def test_batched_pictures_equal_those_rendered_alone_within_one_level(family, mixed):
    for picture, work in zip(rendered(family, *mixed), mixed, strict=True):
        assert difference(picture, *rendered(family, work)) <= 1


def test_pictures_may_join_and_leave_between_steps(family, mixed):
    renderer = Renderer(family)
    waiting, slots, finished = list(mixed), [], []
    while waiting or renderer.slots:
        if waiting:
            slots.append(renderer.admit(waiting.pop(0)))
        if len(slots) == len(mixed) and not waiting and slots[1] in renderer.slots:
            renderer.dismiss(slots[1])
        finished += renderer.advance()
    assert {slots.index(slot) for slot in finished} == {0, 2, 3, 4, 5}
    assert slots[1].picture is None
    for slot in finished:
        assert difference(np.asarray(slot.picture, dtype=int), *rendered(family, slot.work)) <= 1


def test_every_setting_changes_the_picture(family):
    work = picture_work(family)
    (picture,) = rendered(family, work)
    # DDIM and Euler take the same steps over a checkpoint's "leading" spacing.
    other = next(name for name in family.schedulers if name not in {"ddim", "euler", work.scheduler})
    for wish in (
        {"seed": 8},
        {"steps": 5},
        {"prompt": "a photo of <my-dog>"},
        {"negative_prompt": "a cat"},
        {"guidance_scale": 2.0},
        {"guidance_scale": 1.0},
        {"scheduler": other},
        {"concepts": {"my-dog": concept(family, seed=2)}},
    ):
        assert difference(picture, *rendered(family, replace(work, **wish))) > 1, wish


def test_without_guidance_the_negative_prompt_has_no_effect(family):
    work = picture_work(family, guidance_scale=unguided(family))
    assert difference(*rendered(family, work), *rendered(family, replace(work, negative_prompt="a cat"))) == 0


def test_the_denoiser_runs_once_per_step_with_one_row_per_unguided_picture(family, monkeypatch):
    work = picture_work(family)
    rows, predict = [], family.predict

    def counting(latents, times, conditioning):
        rows.append((len(latents), len(times), *{len(part) for part in conditioning.values()}))
        return predict(latents, times, conditioning)

    monkeypatch.setattr(family, "predict", counting)
    rendered(family, work, replace(work, guidance_scale=unguided(family), steps=2), replace(work, seed=9))
    assert rows == [(5, 5, 5), (5, 5, 5), (4, 4, 4), (4, 4, 4)]


def test_pictures_of_one_request_encode_their_prompt_once(family, monkeypatch):
    reads, condition = [], family.condition

    def counting(prompts, views):
        reads.append(len(prompts))
        return condition(prompts, views)

    monkeypatch.setattr(family, "condition", counting)
    work = picture_work(family)
    rendered(family, work, replace(work, seed=8), replace(work, seed=9), replace(work, prompt="a cat"))
    assert reads == [2, 2]


def test_steps_are_counted_and_finished_pictures_leave_the_slots(family):
    renderer = Renderer(family)
    work = picture_work(family, steps=2)
    short, long = renderer.admit(work), renderer.admit(replace(work, steps=3))
    assert renderer.advance() == []
    assert (short.step, short.total, short.finished) == (1, 2, False)
    assert renderer.advance() == [short]
    assert short.finished
    assert renderer.slots == [long]
    assert renderer.advance() == [long]
    assert renderer.advance() == []


def test_non_finite_latents_fail_their_own_picture_only(family, monkeypatch):
    predict = family.predict
    work = picture_work(family)
    (expected,) = rendered(family, work)

    def poisoned(latents, times, conditioning):
        output = predict(latents, times, conditioning)
        output[1] = torch.nan
        return output

    renderer = Renderer(family)
    good, bad = renderer.admit(work), renderer.admit(replace(work, seed=8))
    monkeypatch.setattr(family, "predict", poisoned)
    while renderer.slots:
        renderer.advance()
    assert isinstance(bad.error, RenderingDivergedError)
    assert (bad.picture, bad.finished) == (None, True)
    assert good.error is None
    assert difference(np.asarray(good.picture, dtype=int), expected) <= 1


@pytest.mark.parametrize(
    ("wish", "error"),
    [
        ({"prompt": "a " * 600}, PromptTooLongError),
        ({"negative_prompt": "a " * 600}, PromptTooLongError),
        ({"prompt": "<somebody-else>"}, UnknownTriggerError),
        ({"scheduler": "lms"}, UnknownSchedulerError),
        ({"width": 30}, InvalidSettingError),
    ],
)
def test_invalid_work_is_refused_at_admission(family, wish, error):
    renderer = Renderer(family)
    with pytest.raises(error):
        renderer.admit(picture_work(family, **wish))
    assert renderer.slots == []


def test_a_concept_of_another_checkpoint_renders_unless_strict(family):
    foreign = replace(concept(family), fingerprint="0" * 16)
    work = picture_work(family, concepts={"my-dog": foreign})
    assert difference(*rendered(family, work), *rendered(family, picture_work(family))) == 0
    with pytest.raises(EmbeddingMismatchError, match="<my-dog>"):
        Renderer(family).admit(replace(work, strict=True))


def test_a_concept_of_another_family_is_refused(family):
    foreign = replace(concept(family), family="another")
    with pytest.raises(EmbeddingMismatchError, match="<my-dog>"):
        Renderer(family).admit(picture_work(family, concepts={"my-dog": foreign}))


def test_rendering_changes_no_weight(family, mixed):
    before = [weight.clone() for part in family.networks for weight in part.state_dict().values()]
    rendered(family, *mixed)
    after = [weight for part in family.networks for weight in part.state_dict().values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
