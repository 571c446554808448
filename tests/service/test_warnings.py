"""Warnings of jobs: settings that were given and have no effect."""

import pytest

from dti.spec.registry import FAMILIES
from dti.spec.settings import CompleteRendering
from service import workers
from service.concepts import unused
from service.errors import InvalidInputError, UnknownConceptError
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


def test_settings_of_guidance_are_warnings_with_a_distilled_model(driver):
    driver.write(workers.publish_card, "tiny", {"fingerprint": "f", "takes_guidance": False, "encoders": {}})
    job = driver.generate("a cat", negative_prompt="blur", guidance_scale=4.0)
    assert told(job) == [("setting_unused", ["guidance_scale"]), ("setting_unused", ["negative_prompt"])]
    assert "distilled" in job.warnings[1]["message"]
    assert told(driver.generate("a cat")) == []


def test_a_rescaled_guidance_without_guidance_is_a_warning(driver):
    job = driver.generate("a cat", guidance_rescale=0.7, guidance_scale=1.0)
    assert told(job) == [("setting_unused", ["guidance_rescale"])]
    assert told(driver.generate("a cat", guidance_rescale=0.7)) == []


def test_a_method_of_interpolation_without_frames_between_is_a_warning(driver):
    driver.concept("my-dog"), driver.concept("my-cat")
    unused_method = [("setting_unused", ["method"])]
    assert told(driver.interpolate("my-dog", "my-cat", frames=2, method="lerp")) == unused_method
    assert told(driver.interpolate("my-dog", "my-cat", shares=[0, 1], method="lerp")) == unused_method
    assert told(driver.interpolate("my-dog", "my-cat", frames=3, method="lerp")) == []
    assert told(driver.interpolate("my-dog", "my-cat", frames=2)) == []


def test_previews_beyond_the_last_update_are_a_warning(driver):
    driver.concept("my-dog")
    job = driver.retrain("my-dog", training={"steps": 10, "preview_every": 11})
    assert told(job) == [("setting_unused", ["training.preview_every"])]
    assert told(driver.retrain("my-dog", training={"steps": 10, "preview_every": 10})) == []


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


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("(<owl>:1.4) in snow", "(<owl>:1.4)"),
        ("<owl> BREAK a hat", "BREAK"),
        ("[<owl>|cat]", "[<owl>|cat]"),
        ("a photo of embedding:owl", "embedding:owl"),
        ("a photo of {} and <owl>", "{}"),
    ],
)
def test_syntax_of_other_tools_is_a_warning(driver, prompt, text):
    driver.concept("owl")
    assert ("foreign_syntax", ["prompt", text]) in told(driver.generate(prompt))


def test_syntax_of_other_tools_is_told_in_every_prompt(driver):
    driver.concept("owl"), driver.concept("cat")
    weighted = ("foreign_syntax", ["negative_prompt", "(blur:1.2)"])
    assert told(driver.generate("<owl>", negative_prompt="(blur:1.2)")) == [weighted]
    assert told(driver.interpolate("owl", "cat", prompt="({}:1.2)", negative_prompt="(blur:1.2)")) == [
        ("foreign_syntax", ["prompt", "({}:1.2)"]),
        weighted,
    ]
    job = driver.retrain("owl", training={"preview_prompt": "a ({}:1.3)", "preview_every": 5})
    assert told(job) == [("foreign_syntax", ["training.preview_prompt", "({}:1.3)"])]


def test_a_concepts_name_without_brackets_is_a_warning(driver):
    driver.concept("my-owl"), driver.concept("owl2"), driver.concept("dog")
    assert told(driver.generate("a photo of My-Owl, owl2 and a dog")) == [("concept_unused", ["my-owl", "owl2"])]
    assert told(driver.generate("a photo of <my-owl>, a two-storey house and another my-owl-cat")) == []


@pytest.mark.parametrize("written", ["<Owl>", "< OWL >", "‹owl›", "&lt;owl&gt;", "＜owl＞"])
def test_any_spelling_of_a_trigger_pins_the_concept(driver, written):
    driver.concept("owl"), driver.concept("cat")
    assert [pin.name for pin in driver.generate(f"a photo of {written}").concepts] == ["owl"]
    assert [pin.name for pin in driver.generate("a cat", negative_prompt=written).concepts] == ["owl"]
    job = driver.interpolate("owl", "cat", prompt=f"{{}} beside {written}")
    assert [pin.name for pin in job.concepts] == ["owl", "cat", "owl"]


@pytest.mark.parametrize("written", ["<owll>", "<lora:owl:1>", "<owl:1.2>", "<оwl>", "</owl>"])
def test_text_in_brackets_that_is_no_concept_is_refused_with_the_nearest_one(driver, written):
    driver.concept("owl"), driver.concept("cat")
    for fields in ({"prompt": written}, {"prompt": "a cat", "negative_prompt": written}):
        with pytest.raises(UnknownConceptError, match=r"The nearest is <owl>") as refusal:
            driver.generate(**fields)
        assert written[1:-1] in str(refusal.value)
    with pytest.raises(UnknownConceptError, match="<owl>"):
        driver.interpolate("owl", "cat", prompt=f"{{}} beside {written}")
    with pytest.raises(InvalidInputError, match="Only the trained concept"):
        driver.retrain("owl", training={"preview_prompt": f"{{}} beside {written}"})


def test_a_warning_survives_its_row(driver):
    warning = JobWarning(code="files_skipped", message="1 file is not used: a.txt.", subjects=("a.txt",))
    assert JobWarning.from_json(warning.to_json()) == warning
