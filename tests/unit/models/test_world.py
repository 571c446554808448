"""The miniature world: looks, scenes, their pictures and masks, and their captions."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from dti.spec.templates import OBJECT_TEMPLATES, STYLE_TEMPLATES
from tools.tiny.artwork import ACCESSORIES, HELD_OUT_SETS, OBJECTS, PARTS, TRAINED_SETS, has_piece, part_colours
from tools.tiny.backgrounds import BACKGROUNDS, draw_background
from tools.tiny.captions import (
    LONGEST,
    NUMBERS,
    PLACES,
    PLURALS,
    WEARING,
    choose_noun,
    compose,
    length,
    nouns,
    vocabulary,
)
from tools.tiny.concepts import CONCEPTS, look_collection, references, true_pictures
from tools.tiny.dataset import make_picture
from tools.tiny.looks import PATTERNS, Look, Warp, choose_look, draw_look
from tools.tiny.styles import COLOURS, STYLES
from tools.tiny.world import Companion, Scene, choose_scene, render, scene_from

PLAIN = Scene("dog", Look("noto"), "grass")
EVERYDAY = (
    "dog cat bird fish person man woman plant flower tree house shoe bag cup mug car clock cake apple toy animal bear"
)


def draw(scene, side_px=64):
    picture, mask = render(scene, np.random.default_rng(3), side_px)
    return np.asarray(picture, dtype=int), np.asarray(mask)


def picture(scene):
    return draw(scene)[0]


def test_a_picture_depends_on_seed_and_number_alone():
    one, again, other = make_picture(5, 17), make_picture(5, 17), make_picture(5, 18)
    assert one.scene == again.scene
    for name in ("picture", "mask", "look"):
        assert (getattr(one, name) == getattr(again, name)).all()
    assert one.scene != other.scene
    assert (one.picture != other.picture).any()


def test_a_scene_is_read_as_it_was_written():
    rng = np.random.default_rng(0)
    for _ in range(200):
        scene = choose_scene(rng)
        assert scene_from(json.loads(json.dumps(asdict(scene)))) == scene


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
    + [{"subject": name} for name in OBJECTS if name != PLAIN.subject]
    + [{"count": count} for count in NUMBERS]
    + [{"companion": Companion("cat", Look("noto"), left=left)} for left in (False, True)]
    + [{"look": Look(art_set)} for art_set in (*TRAINED_SETS[1:], *HELD_OUT_SETS)]
    + [{"look": Look("noto", pattern=pattern)} for pattern in PATTERNS]
    + [{"look": Look("noto", palette=((250.0, 0.0, 0.0),) * PARTS)}]
    + [{"look": Look("noto", mirrored=True)}],
    ids=str,
)
def test_every_attribute_shows_in_the_picture(change):
    difference = np.abs(picture(PLAIN) - picture(replace(PLAIN, **change)))
    assert (difference > 40).any(axis=2).mean() > 0.01


def test_black_and_white_has_no_colour():
    pixels = picture(replace(PLAIN, style="black and white"))
    assert (pixels == pixels[..., :1]).all()


def test_every_trained_set_draws_every_object():
    assert all(has_piece(art_set, name) for art_set in TRAINED_SETS for name in OBJECTS)


@pytest.mark.parametrize("subject", OBJECTS)
def test_the_mask_covers_the_object_and_nothing_else(subject):
    red, blue = ({"palette": (colour,) * PARTS} for colour in ((255.0, 0.0, 0.0), (0.0, 0.0, 255.0)))
    scene = replace(PLAIN, subject=subject)
    first, mask = draw(replace(scene, look=replace(scene.look, **red)))
    changed = (np.abs(first - picture(replace(scene, look=replace(scene.look, **blue)))) > 40).any(axis=2)
    assert changed[mask > 200].mean() > 0.9
    assert changed[mask == 0].mean() < 0.02
    assert 0.05 < (mask > 128).mean() < 0.6


def test_the_mask_leaves_out_a_companion_and_holds_all_of_several():
    area = {
        name: (draw(scene)[1] > 128).mean(axis=0)
        for name, scene in {
            "one": replace(PLAIN, companion=Companion("cat", Look("noto"))),
            "other": replace(PLAIN, companion=Companion("cat", Look("noto"), left=True)),
            "two": replace(PLAIN, count=2),
        }.items()
    }
    assert area["one"][:32].sum() > 0 == area["one"][36:].sum()
    assert area["other"][36:].sum() > 0 == area["other"][:28].sum()
    assert area["two"][:32].sum() > 0 < area["two"][32:].sum()


def test_looks_are_continuous():
    look = Look("noto", warp=Warp(width=1.05))
    near = replace(look, warp=Warp(width=1.06))
    far = replace(look, warp=Warp(width=0.86))
    drawn = [np.asarray(draw_look("dog", each, 64), dtype=int) for each in (look, near, far)]
    assert 0 < np.abs(drawn[0] - drawn[1]).mean() < np.abs(drawn[0] - drawn[2]).mean()


@pytest.mark.parametrize("art_set", TRAINED_SETS)
def test_parts_are_ordered_from_dark_to_light(art_set):
    colours = part_colours(art_set, "dog")
    assert colours.shape == (PARTS, 3)
    assert (np.diff(colours.sum(axis=1)) >= 0).all()


def test_looks_come_from_the_sets_that_are_allowed():
    rng = np.random.default_rng(0)
    looks = [choose_look(rng, "cat") for _ in range(300)]
    assert {look.art_set for look in looks} == set(TRAINED_SETS)
    assert 0.25 < np.mean([look.plain for look in looks]) < 0.55


def test_scenes_never_ask_for_a_colour_that_cannot_be_seen():
    rng = np.random.default_rng(0)
    scenes = [choose_scene(rng) for _ in range(500)]
    assert not any(scene.colour for scene in scenes if scene.style in {"black and white", "sketch"})


def test_held_out_concepts_are_trained_objects_in_sets_that_were_never_trained_on():
    assert len(CONCEPTS) >= 24
    assert len({concept.name for concept in CONCEPTS}) == len(CONCEPTS)
    for concept in CONCEPTS:
        assert concept.class_word in OBJECTS
        assert concept.look.art_set in HELD_OUT_SETS
        assert has_piece(concept.look.art_set, concept.class_word)


def test_a_concept_has_references_and_true_pictures_of_one_look():
    concept = CONCEPTS[0]
    assert [picture.size for picture in references(concept, 64)] == [(64, 64)] * 5
    samples = true_pictures(concept, 6, seed=1, colour=False)
    assert {sample.scene.look for sample in samples} == {concept.look}
    assert {sample.scene.colour for sample in samples} == {concept.colour}
    pictures, classes = look_collection(CONCEPTS[:2], 5, seed=0)
    assert pictures.shape == (12, 64, 64, 3)
    assert np.bincount(classes).tolist() == [5, 5, 2]


def test_a_caption_names_colour_accessory_and_object_and_only_those_that_are_there():
    rng = np.random.default_rng(0)
    for _ in range(400):
        scene = choose_scene(rng)
        caption = compose(scene, rng)
        assert caption.noun in caption.text.split() or f"{caption.noun}," in caption.text
        assert scene.colour is None or scene.colour in caption.text
        for accessory, phrases in WEARING.items():
            named = any(phrase in caption.text for phrase in phrases)
            assert named == (accessory == scene.accessory), caption


@pytest.mark.parametrize("in_front", [True, False])
def test_context_stands_on_the_side_that_is_asked_for(in_front):
    rng = np.random.default_rng(0)
    scene = replace(PLAIN, accessory="crown")
    for _ in range(50):
        caption = compose(scene, rng, in_front=in_front, word="dog", place_named=True)
        assert (caption.text.index("crown") < caption.text.index("dog")) == in_front == caption.in_front


def test_several_objects_and_pairs_are_told_by_number_and_side():
    rng = np.random.default_rng(0)
    for _ in range(50):
        text = compose(replace(PLAIN, count=3), rng).text
        assert "three" in text
        pair = replace(PLAIN, companion=Companion("cat", Look("noto"), colour="red"))
        text = compose(pair, rng, word="dog").text
        before, after = ("cat", "dog") if "right of" in text else ("dog", "cat")
        assert text.index(before) < text.index(after)
        assert "red cat" in text


def test_captions_are_short_enough_for_the_text_model():
    rng = np.random.default_rng(0)
    lengths = [length(compose(choose_scene(rng), rng).text) for _ in range(1000)]
    assert np.mean(np.asarray(lengths) <= LONGEST) > 0.99


def test_most_captions_name_the_place_and_some_leave_it_open():
    rng = np.random.default_rng(0)
    scenes = [choose_scene(rng) for _ in range(400)]
    named = [any(place in compose(scene, rng).text for place in PLACES[scene.background]) for scene in scenes]
    assert 0.6 < np.mean(named) < 0.9


def test_an_object_has_its_name_synonyms_and_generic_words():
    assert nouns("mug")[:2] == ("mug", "cup")
    assert "animal" in nouns("owl")
    rng = np.random.default_rng(0)
    for subject in OBJECTS:
        drawn = {choose_noun(subject, rng) for _ in range(100)}
        assert subject in drawn <= set(nouns(subject))


def test_everyday_class_words_are_known():
    assert set(EVERYDAY.split()) | set(PLURALS.values()) <= set(vocabulary())


@pytest.mark.parametrize("template", OBJECT_TEMPLATES + STYLE_TEMPLATES)
def test_every_word_of_the_templates_is_a_word_of_the_world(template):
    words = template.replace("{}", "").replace("-", " - ").split()
    assert set(words) <= set(vocabulary())
