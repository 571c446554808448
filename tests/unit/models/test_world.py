"""The miniature world: scenes, their pictures and their captions."""

from dataclasses import replace

import numpy as np
import pytest

from dti.pictures import OBJECT_TEMPLATES, STYLE_TEMPLATES
from tools.tiny.artwork import ACCESSORIES, OBJECTS, TRAINED_SETS
from tools.tiny.backgrounds import BACKGROUNDS, draw_background
from tools.tiny.captions import PLACES, WEARING, compose, vocabulary
from tools.tiny.dataset import make_picture
from tools.tiny.examples import CONCEPTS
from tools.tiny.styles import COLOURS, STYLES
from tools.tiny.world import Scene, choose_scene, render

PLAIN = Scene("dog", "noto", "grass")


def picture(scene, side_px=64):
    return np.asarray(render(scene, np.random.default_rng(3), side_px), dtype=int)


def test_a_picture_depends_on_seed_and_number_alone():
    scene, pixels = make_picture(5, 17)
    again, same = make_picture(5, 17)
    other, different = make_picture(5, 18)
    assert scene == again
    assert (pixels == same).all()
    assert scene != other
    assert (pixels != different).any()


@pytest.mark.parametrize("side_px", [64, 256])
@pytest.mark.parametrize("name", BACKGROUNDS)
def test_every_background_fills_the_square_it_was_asked_for(name, side_px):
    assert draw_background(name, np.random.default_rng(0), side_px).size == (side_px, side_px)


@pytest.mark.parametrize(
    "change",
    [{"style": style} for style in STYLES]
    + [{"colour": colour} for colour in COLOURS]
    + [{"accessory": accessory} for accessory in ACCESSORIES]
    + [{"background": name} for name in BACKGROUNDS if name != PLAIN.background]
    + [{"subject": name} for name in OBJECTS if name != PLAIN.subject],
    ids=str,
)
def test_every_attribute_shows_in_the_picture(change):
    difference = np.abs(picture(PLAIN) - picture(replace(PLAIN, **change)))
    assert (difference > 40).any(axis=2).mean() > 0.01


def test_black_and_white_has_no_colour():
    pixels = picture(replace(PLAIN, style="black and white"))
    assert (pixels == pixels[..., :1]).all()


def test_scenes_never_ask_for_a_colour_that_cannot_be_seen():
    rng = np.random.default_rng(0)
    scenes = [choose_scene(rng) for _ in range(500)]
    assert not any(scene.colour for scene in scenes if scene.style in {"black and white", "sketch"})
    assert {scene.art_set for scene in scenes} == set(TRAINED_SETS)


def test_held_out_concepts_are_trained_objects_in_sets_that_were_never_trained_on():
    for concept in CONCEPTS:
        assert concept.class_word in OBJECTS
        assert concept.art_set not in TRAINED_SETS


def test_a_caption_names_colour_accessory_and_object_and_only_those_that_are_there():
    rng = np.random.default_rng(0)
    for _ in range(300):
        scene = choose_scene(rng)
        caption = compose(scene, rng)
        assert scene.subject in caption
        assert scene.colour is None or scene.colour in caption
        for accessory, phrases in WEARING.items():
            named = any(phrase in caption for phrase in phrases)
            assert named == (accessory == scene.accessory), caption


def test_most_captions_name_the_place_and_some_leave_it_open():
    rng = np.random.default_rng(0)
    scenes = [choose_scene(rng) for _ in range(400)]
    named = [any(place in compose(scene, rng) for place in PLACES[scene.background]) for scene in scenes]
    assert 0.6 < np.mean(named) < 0.9


@pytest.mark.parametrize("template", OBJECT_TEMPLATES + STYLE_TEMPLATES)
def test_every_word_of_the_templates_is_a_word_of_the_world(template):
    words = template.replace("{}", "").replace("-", " - ").split()
    assert set(words) <= set(vocabulary())
