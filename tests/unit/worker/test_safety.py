"""Safety models, and the policies for flagged pictures."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPTextConfig, CLIPVisionConfig

from dti.errors import ModelUnavailableError
from service.errors import SettingsError
from service.safety import POLICIES
from service.settings import Safety
from worker.outputs.safety import SafetyFilter

OPEN_NSFW = Safety(policy="tag", checker="opennsfw")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A checkpoint with a tiny safety checker of the real class, random weights and thresholds at 0."""
    folder = tmp_path_factory.mktemp("checker")
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config=CLIPTextConfig(**sizes).to_dict(),
        vision_config=CLIPVisionConfig(**sizes, image_size=32, patch_size=16).to_dict(),
        projection_dim=16,
    )
    torch.manual_seed(0)
    checker = StableDiffusionSafetyChecker(config)
    with torch.no_grad():
        checker.concept_embeds.normal_()
        checker.special_care_embeds.normal_()
        checker.concept_embeds_weights.fill_(0.0)
        checker.special_care_embeds_weights.fill_(2.0)
    checker.save_pretrained(folder / "safety_checker")
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size=size, crop_size=size).save_pretrained(folder / "feature_extractor")
    (folder / "model_index.json").write_text("{}")
    return folder, checker


def noise(seed=0, size=(48, 40)):
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def test_open_nsfw_brings_its_weights_and_does_not_flag_noise():
    verdict = SafetyFilter(OPEN_NSFW).assess(noise())
    assert (verdict.checker, verdict.flagged) == ("opennsfw", False)
    assert 0 <= verdict.score < 0.5
    assert verdict == SafetyFilter(OPEN_NSFW).assess(noise())


def test_a_score_at_the_threshold_is_flagged():
    assert SafetyFilter(replace(OPEN_NSFW, threshold=1e-9)).assess(noise()).flagged


def test_the_checker_of_a_checkpoint_gives_the_verdicts_of_diffusers(checkpoint):
    folder, checker = checkpoint
    safety_filter = SafetyFilter(Safety(policy="tag", checker="diffusers", model=str(folder)))
    assert safety_filter.assess(noise()).flagged
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(2.0)
    checker.save_pretrained(folder / "safety_checker")
    try:
        strict = SafetyFilter(Safety(policy="tag", checker="diffusers", model=str(folder)))
        assert strict.assess(noise()).score == 0
    finally:
        with torch.no_grad():
            checker.concept_embeds_weights.fill_(0.0)
        checker.save_pretrained(folder / "safety_checker")


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("threshold", [1e-9, 1.0], ids=["flagged", "harmless"])
def test_a_policy_shows_blurs_or_withholds_a_picture(policy, threshold):
    picture = noise()
    shown, verdict = SafetyFilter(replace(OPEN_NSFW, threshold=threshold)).apply(picture, policy)
    flagged = threshold < 1
    assert (verdict is None) == (policy == "allow")
    assert verdict is None or verdict.flagged == flagged
    if flagged and policy == "refuse":
        assert shown is None
    elif flagged and policy == "blur":
        assert shown.size == picture.size
        assert np.asarray(shown).std() < np.asarray(picture).std() / 2
    else:
        assert shown is picture


def test_a_picture_that_cannot_be_checked_is_not_passed():
    with pytest.raises(SettingsError, match="DTI_SAFETY_CHECKER"):
        SafetyFilter(Safety()).apply(noise(), "tag")
    with pytest.raises(SettingsError, match="DTI_SAFETY_MODEL"):
        SafetyFilter(Safety(checker="diffusers")).apply(noise(), "tag")
    with pytest.raises(ModelUnavailableError):
        SafetyFilter(Safety(checker="diffusers", model="/nowhere")).apply(noise(), "tag")
    assert SafetyFilter(Safety()).apply(noise(), "allow").verdict is None
