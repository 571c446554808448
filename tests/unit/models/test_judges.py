"""The judges of the bundled model: attributes, losses inside and outside the object, and the tests of acceptance."""

import numpy as np
import pytest
import torch

from dti.models.tiny.checkpoint import assemble
from tools.tiny.acceptance import (
    CONTEXT,
    HARD_KINDS,
    SINGLE,
    Examiner,
    Question,
    as_table,
    obedience,
    questions,
    verdicts,
)
from tools.tiny.artwork import OBJECTS
from tools.tiny.autoencoder import build_autoencoder, principal_components, set_encoder
from tools.tiny.captions import Caption
from tools.tiny.dataset import make_picture
from tools.tiny.looks import Look
from tools.tiny.losses import TIMES, losses, make_draws
from tools.tiny.networks import build_denoiser, build_scheduler, build_text_model
from tools.tiny.scorer.network import ATTRIBUTES, IGNORED, Scorer, classes
from tools.tiny.vocabulary import build_tokenizer
from tools.tiny.world import Companion, Scene

DOG = Scene("dog", Look("noto"), "grass", colour="red", accessory="crown")
PAIR = Scene("dog", Look("noto"), "grass", colour="red", companion=Companion("cat", Look("noto"), left=True))


class Fixed(torch.nn.Module):
    """A scorer that names the same attributes on every picture."""

    def __init__(self, scene):
        super().__init__()
        self.classes = [max(0, number) for number in classes(scene)]

    def forward(self, pictures):
        sizes = [len(names) for names in ATTRIBUTES.values()]
        scores = [torch.eye(size)[number] for size, number in zip(sizes, self.classes, strict=True)]
        return {name: score.expand(len(pictures), -1) for name, score in zip(ATTRIBUTES, scores, strict=True)}


@pytest.fixture(scope="module")
def pipeline():
    """A checkpoint of random weights."""
    torch.manual_seed(0)
    tokenizer, autoencoder = build_tokenizer(), build_autoencoder()
    set_encoder(autoencoder, *principal_components(np.stack([make_picture(0, n).picture for n in range(10)]))[:2])
    made = assemble(tokenizer, build_text_model(tokenizer).eval(), build_denoiser(), autoencoder, build_scheduler())
    made.set_progress_bar_config(disable=True)
    return made


def test_a_scene_s_classes_leave_out_the_attributes_that_it_has_not():
    single, pair = (dict(zip(ATTRIBUTES, classes(scene), strict=True)) for scene in (DOG, PAIR))
    assert ATTRIBUTES["accessory"][single["accessory"]] == "crown"
    assert single["left"] == single["right"] == pair["subject"] == pair["colour"] == IGNORED
    assert (OBJECTS[pair["left"]], OBJECTS[pair["right"]]) == ("cat", "dog")
    assert ATTRIBUTES["count"][pair["count"]] == "pair"


def test_an_attribute_counts_only_where_it_is_asked_for():
    caption = Caption("a red dog", "dog", in_front=False)
    asked = [
        Question(DOG, caption, ("subject", "accessory")),
        Question(Scene("cat", Look("noto"), "grass"), caption, ("subject", "background")),
    ]
    shares = obedience(Fixed(DOG), torch.zeros(2, 3, 64, 64), asked)
    assert shares["subject"] == 0.5
    assert shares["accessory"] == shares["background"] == shares["context"] == 1
    assert "colour" not in shares
    assert shares["false accessory"] == 1
    assert shares["false style"] == 0


def test_questions_are_always_the_same_and_hard_ones_ask_for_much():
    assert questions(5, 1) == questions(5, 1) != questions(5, 2)
    hard = questions(60, 1, HARD_KINDS, attributes=3)
    singles = [question for question in hard if question.scene.companion is None and question.scene.count == 1]
    assert len(singles) < len(hard)
    assert all(len(set(question.asked) & set(CONTEXT)) >= 3 for question in singles)
    assert {"left", "right", "count"} <= {name for question in hard for name in question.asked}
    assert all(question.caption.in_front for question in questions(20, 1, in_front=True))


def test_losses_are_paired_and_feel_the_row(pipeline):
    samples = [make_picture(0, number) for number in (1, 2)]
    samples = [sample for sample in samples if sample.scene.companion is None]
    draws = make_draws(pipeline, samples, seed=0)
    again = make_draws(pipeline, samples, seed=0)
    assert len(draws.captions) == TIMES * len(samples)
    assert torch.equal(draws.noisy, again.noisy)
    word = losses(pipeline, draws, None)
    assert word == losses(pipeline, again, None)
    other = losses(pipeline, draws, torch.randn(128, generator=torch.Generator().manual_seed(0)))
    assert other.inside != word.inside > 0 < word.outside


def test_swapping_and_scaling_reach_the_pictures(pipeline):
    examiner = Examiner(pipeline, Scorer().eval())
    asked = questions(2, 0, SINGLE, in_front=True, attributes=1)
    swapped = examiner.swap(asked)
    assert next(iter(swapped)) == "everything"
    assert swapped["everything"] == examiner.ask(asked)
    tests = {
        "swap, context in front": swapped,
        "row scaled": examiner.scale(2),
        "class word": {"hard prompts": examiner.ask(asked), "exam": examiner.ask(asked)},
    }
    assert as_table(tests).count("\n") == 1 + 4 + 6 + 2
    assert set(map(type, verdicts(tests).values())) == {bool}
