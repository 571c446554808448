"""Z-Image: Qwen 3 reads the prompt and may think of it, one stream of text and picture walks a straight flow.

Owns what this layout means: the last hidden states but one, without what fills prompts up; a denoiser that is told how
clean a picture is and answers with picture minus noise; and what its guidance scale counts. Z-Image-Turbo is such a
checkpoint too, for few steps without guidance. Omni, which sees pictures, is another model.

Source: Z-Image Team, "Z-Image", arXiv 2511.22699; diffusers' `ZImagePipeline`.
"""

from collections.abc import Iterator, Sequence

import torch
from diffusers import AutoencoderKL, ZImageTransformer2DModel
from torch import Tensor

from dti.families.base import Conditioning
from dti.families.qwen import Configs, Fact, QwenFamily
from dti.pictures import View
from dti.samplers import size_shift
from dti.tokens import SplicedPrompt


class ZImage(QwenFamily):
    """A checkpoint in the layout of Z-Image."""

    name = "zimage"
    layout = "Z-Image"
    thinking = True
    denoiser = ZImageTransformer2DModel
    coder = AutoencoderKL
    patch = 2

    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:  # noqa: ARG002 - not told to these models
        """Qwen's last hidden states but one, masked where a prompt is filled up."""
        reading = self._text_encoder.read([prompt.lines[self._text_encoder.name] for prompt in prompts], [-2])
        return {"hidden": reading.states[:, 0], "mask": reading.mask}

    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The transformer's output, turned around: noise minus picture.

        It takes every prompt at its own length, and masks what it fills up itself.
        """
        lengths = conditioning["mask"].sum(dim=1).tolist()
        outputs = self._transformer(
            list(latents.unsqueeze(2).to(self.dtype)),
            1 - times.to(self.device) / 1000,
            [hidden[:length] for hidden, length in zip(conditioning["hidden"], lengths, strict=True)],
            return_dict=False,
        )[0]
        return -torch.stack(outputs).squeeze(2).float()

    def guidance(self, scale: float) -> float:
        """The pipeline goes beyond the prompt by the scale: 0 is none."""
        return 1 + scale

    def _shift(self, tokens: int, steps: int) -> float:  # noqa: ARG002 - alike for any number of steps
        return size_shift(self._scheduler, tokens)

    @classmethod
    def _facts(cls, configs: Configs) -> Iterator[Fact]:
        text, transformer, vae = configs.text_encoder, configs.transformer, configs.vae
        yield "the denoiser's channels", transformer.get("in_channels", 16), vae.get("latent_channels", 4)
        yield "the width that the denoiser reads", transformer.get("cap_feat_dim", 2560), text.get("hidden_size", 4096)
        yield "the denoiser's patches", transformer.get("all_patch_size", [2]), [cls.patch]
        yield "an input for pictures", transformer.get("siglip_feat_dim"), None
