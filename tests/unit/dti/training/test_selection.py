"""Selection of training pictures, on the bundled model and its examples."""

import itertools
import json
import weakref
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFilter

import dti.training.dataset
from dti.families import load
from dti.models.tiny import CHECKPOINT
from dti.pictures import prepare
from dti.spec.settings import Training
from dti.training.dataset import build
from dti.training.selection import assess
from tests.unit.dti.works import pictures

EXAMPLES = Path(__file__).parents[4] / "examples"
CONCEPTS = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def tiny():
    return load("sd", CHECKPOINT, device="cpu")


def pictures_of(name):
    return [Image.open(path).convert("RGB") for path in sorted((EXAMPLES / name).glob("*.png"))]


def built(tiny, pictures, name="purple-owl", **settings):
    description = json.loads((EXAMPLES / name / "concept.json").read_text())
    return build(
        pictures,
        [str(place) for place in range(len(pictures))],
        tiny,
        class_word=description["class_word"],
        learnable_property="object",
        settings=Training(**settings),
        resolution=64,
        generator=torch.Generator().manual_seed(0),
    )


def reasons(training_set):
    return [assessment.reason for assessment in training_set.assessments]


@pytest.mark.parametrize("name", CONCEPTS)
def test_good_pictures_of_one_concept_are_all_kept(tiny, name):
    training_set = built(tiny, pictures_of(name), name)
    assert reasons(training_set) == [None] * 5
    assert all(0.5 < assessment.score <= 1 for assessment in training_set.assessments)


def test_of_near_duplicates_the_better_picture_is_kept(tiny):
    owls = pictures_of("purple-owl")
    twin = owls[0].resize((200, 200)).filter(ImageFilter.GaussianBlur(2))
    training_set = built(tiny, [twin, *owls])
    assert reasons(training_set) == ["near_duplicate", None, None, None, None, None]
    assert training_set.assessments[0].duplicate_of == 1
    assert list(training_set.captions) == ["1", "2", "3", "4", "5"]
    assert len(training_set.crops) == 5


def test_a_blurred_picture_is_excluded(tiny):
    *owls, last = pictures_of("purple-owl")
    assert reasons(built(tiny, [*owls, last.filter(ImageFilter.GaussianBlur(14))])) == [None] * 4 + ["blurred"]


@pytest.mark.parametrize(
    ("name", "other"),
    [("purple-owl", "pink-mushroom"), ("blue-penguin", "tuxedo-cat"), ("pink-mushroom", "teal-ghost")],
)
def test_a_picture_of_another_concept_is_excluded(tiny, name, other):
    training_set = built(tiny, [*pictures_of(name), pictures_of(other)[2]], name)
    assert reasons(training_set) == [None] * 5 + ["odd_one_out"]
    assert training_set.assessments[-1].agreement == min(
        assessment.agreement for assessment in training_set.assessments
    )


def test_at_least_three_pictures_are_kept(tiny):
    mixed = [pictures_of("purple-owl")[0], pictures_of("blue-car")[1], pictures_of("teal-ghost")[0]]
    assert reasons(built(tiny, mixed)) == [None] * 3


def test_a_single_picture_has_no_agreement(tiny):
    training_set = built(tiny, pictures_of("purple-owl")[:1])
    assert training_set.assessments[0].agreement is None
    assert reasons(training_set) == [None]


def test_without_selection_there_are_no_assessments(tiny):
    owls = pictures_of("purple-owl")
    training_set = built(tiny, [*owls, owls[0]], selection=False)
    assert training_set.assessments == ()
    assert len(training_set.crops) == 6


def test_assessments_are_deterministic(tiny):
    owls = pictures_of("purple-owl")
    assert built(tiny, owls).assessments == built(tiny, owls).assessments


def test_every_family_can_assess_and_is_unchanged_by_it(family):
    request = {"class_word": "dog", "learnable_property": "style", "settings": Training(batch_size=8), "resolution": 32}
    judged = build(pictures(2), [None, None], family, **request, generator=torch.Generator().manual_seed(0))
    assert all(-1 <= assessment.agreement <= 1 for assessment in judged.assessments)
    assert all(weight.grad is None for network in family.networks for weight in network.parameters())


def test_a_picture_with_a_non_finite_loss_has_no_agreement(tiny, monkeypatch):
    *owls, last = pictures_of("purple-owl")
    loss, calls = tiny.loss, itertools.count()
    draws = 2 * len(owls)
    monkeypatch.setattr(tiny, "loss", lambda *arguments: loss(*arguments) * (1 if next(calls) < draws else torch.inf))
    training_set = built(tiny, [*owls, last])
    assert reasons(training_set) == [None] * 4 + ["odd_one_out"]
    assert training_set.assessments[-1].agreement == 0
    assert all(assessment.agreement > 0.5 for assessment in training_set.assessments[:-1])


@pytest.mark.parametrize("loudness", [1e-6, 3e3])
def test_gradients_survive_float16_by_the_loss_scale(tiny, monkeypatch, loudness):
    """Without the loss's scale the one would be lost; with the sum over a batch, not the mean, the other too large."""
    owls, loss, condition = pictures_of("purple-owl"), tiny.loss, tiny.condition
    monkeypatch.setattr(tiny, "loss", lambda *arguments: loudness * loss(*arguments))
    exact = [assessment.agreement for assessment in built(tiny, owls).assessments]

    def halved(*arguments):
        return {name: tensor.half().float() for name, tensor in condition(*arguments).items()}

    monkeypatch.setattr(tiny, "condition", halved)
    assert [assessment.agreement for assessment in built(tiny, owls).assessments] == pytest.approx(exact, abs=0.01)


def test_pixels_are_released_picture_by_picture(tiny, monkeypatch):
    watched, judged = [], []

    def watching(*arguments):
        crops = prepare(*arguments)
        watched.extend(weakref.ref(crop.pixels) for crop in crops)
        return crops

    def looking(candidates, *_asked, **_more):
        judged.extend(ref() is None for ref in watched)
        return assess(candidates, *_asked, **_more)

    monkeypatch.setattr(dti.training.dataset, "prepare", watching)
    monkeypatch.setattr(dti.training.dataset, "assess", looking)
    built(tiny, pictures_of("purple-owl"))
    assert judged[:-1] == [True] * 4


def test_transparent_areas_have_the_background_weight(tiny):
    owl = pictures_of("purple-owl")[0]
    mask = Image.new("L", owl.size)
    mask.paste(255, (0, 0, owl.width // 2, owl.height))
    owl.putalpha(mask)
    (crops,) = built(tiny, [owl], background_weight=0.1).crops
    side = crops.weights.shape[-1]
    assert crops.weights[..., : side // 2 - 1].eq(1).all()
    torch.testing.assert_close(crops.weights[..., side // 2 + 1 :].mean(), torch.tensor(0.1))
