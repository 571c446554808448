"""Stable Diffusion 1.x and 2.x: one CLIP text encoder and a UNet conditioned on its last hidden states.

A safety checker in the checkpoint is ignored.

Source: Rombach et al., "High-Resolution Image Synthesis with Latent Diffusion Models", arXiv 2112.10752.
"""

from collections.abc import Sequence
from typing import ClassVar

from dti.families.base import Conditioning
from dti.families.unet import TextEncoderPart, UNetFamily, with_mask
from dti.pictures import View
from dti.tokens import SplicedPrompt


class StableDiffusion(UNetFamily):
    """A checkpoint in the layout of Stable Diffusion 1.x and 2.x."""

    name = "sd"
    layout = "Stable Diffusion 1.x or 2.x"
    encoder_parts: ClassVar = {"text_encoder": TextEncoderPart("CLIPTextModel", "tokenizer")}
    addition = None
    scheduler_overrides: ClassVar = {"steps_offset": 1}

    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:  # noqa: ARG002 - no size conditioning
        """The text encoder's last hidden states, or those of `clip_skip`."""
        (encoder,) = self._text_encoders
        inputs = [prompt.inputs[encoder.name] for prompt in prompts]
        output = encoder.read(inputs, [prompt.clip_skip for prompt in prompts])
        return with_mask({"hidden": output.last}, output.mask)

    def _added(self, conditioning: Conditioning) -> None:
        """None."""
