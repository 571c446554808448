"""Warnings of jobs: settings that were given and have no effect."""

import pytest

from dti.spec.registry import FAMILIES
from dti.spec.settings import CompleteRendering
from service.concepts import unused
from service.kinds.warnings import JobWarning


def told(job):
    return [(warning["code"], warning["subjects"]) for warning in job.warnings]


def test_a_plain_request_has_no_warnings(driver):
    assert told(driver.generate("a cat", negative_prompt="blur")) == []
    assert told(driver.retrain(driver.concept("my-dog").id)) == []


def test_a_negative_prompt_without_guidance_is_a_warning(driver):
    job = driver.generate("a cat", negative_prompt="blur", guidance_scale=1.0)
    assert told(job) == [("setting_unused", ["negative_prompt"])]
    assert "guidance_scale is 1" in job.warnings[0]["message"]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_says_at_which_scale_guidance_is_off(family):
    first, last = FAMILIES[family].unguided
    rendering = {"width": 64, "height": 64, "steps": 1, "scheduler": "ddim", "seed": 1}
    for scale, expected in ((first, 1), (last, 1), (last + 0.5, 0)):
        settings = CompleteRendering(**rendering, guidance_scale=scale)
        assert len(list(unused.in_rendering(family, settings, "blur"))) == expected
        assert list(unused.in_rendering(family, settings, " ")) == []


def test_frames_beside_shares_are_a_warning(driver):
    driver.concept("my-dog"), driver.concept("my-cat")
    job = driver.interpolate("my-dog", "my-cat", frames=5, shares=[0, 0.5, 1])
    assert told(job) == [("setting_unused", ["frames"])]
    assert told(driver.interpolate("my-dog", "my-cat", frames=3, shares=[0, 0.5, 1])) == []


def test_an_interpolation_from_a_concept_to_itself_is_a_warning(driver):
    driver.concept("my-dog")
    assert told(driver.interpolate("my-dog", "my-dog")) == [("setting_unused", ["to"])]


def test_a_preview_prompt_without_previews_is_a_warning(driver):
    driver.concept("my-dog")
    job = driver.retrain("my-dog", training={"preview_prompt": "a {} on grass", "preview_every": 0})
    assert told(job) == [("setting_unused", ["training.preview_prompt"])]
    job = driver.retrain("my-dog", training={"preview_prompt": "a {} on grass", "preview_every": 5})
    assert told(job) == []


def test_captions_that_are_turned_off_are_a_warning(driver):
    driver.concept("my-dog")
    assert told(driver.retrain("my-dog", training={"captions": False})) == [("caption_unused", ["training.captions"])]


def test_a_warning_survives_its_row(driver):
    warning = JobWarning(code="files_skipped", message="1 file is not used: a.txt.", subjects=("a.txt",))
    assert JobWarning.from_json(warning.to_json()) == warning
