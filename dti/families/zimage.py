"""Z-Image: a Qwen 3 chat encoder with thinking, and a single-stream flow-matching transformer.

The transformer takes the penultimate hidden states without padding, receives the signal level instead of the noise
level, and returns picture minus noise; its guidance scale counts from 0. Z-Image-Turbo has the same layout, for few
steps without guidance. Z-Image Omni, with picture inputs, is another model.

Source: Z-Image Team, "Z-Image", arXiv 2511.22699; diffusers' `ZImagePipeline`.
"""

from collections.abc import Iterator, Sequence

import torch
from diffusers import AutoencoderKL, ZImageTransformer2DModel
from torch import Tensor

from dti.families.base import Conditioning
from dti.families.layout import LayoutCheck
from dti.families.qwen import Configs, QwenFamily
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

    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:  # noqa: ARG002 - no size conditioning
        """Qwen's penultimate hidden states, and the number of each prompt's tokens before its padding."""
        output = self._text_encoder.read([prompt.inputs[self._text_encoder.name] for prompt in prompts], [-2])
        ids = torch.tensor([prompt.inputs[self._text_encoder.name].ids for prompt in prompts])
        # On the host, where the transformer's call needs them.
        lengths = (ids != self._text_encoder.frame.padding).sum(dim=1)
        return {"hidden": output.states[:, 0], "lengths": lengths}

    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The transformer's output with its sign reversed, noise minus picture.

        The transformer takes every prompt at its own length and pads them itself.
        """
        lengths = conditioning["lengths"].tolist()
        outputs = self._transformer(
            list(latents.unsqueeze(2).to(self.dtype)),
            1 - times.to(self.device) / 1000,
            [hidden[:length] for hidden, length in zip(conditioning["hidden"], lengths, strict=True)],
            return_dict=False,
        )[0]
        return -torch.stack(outputs).squeeze(2).float()

    def guidance(self, scale: float) -> float:
        """One plus the scale: the pipeline computes prompt + scale (prompt - negative), so 0 disables guidance."""
        return 1 + scale

    def _shift(self, tokens: int, steps: int) -> float:  # noqa: ARG002 - independent of the steps
        return size_shift(self._scheduler, tokens)

    @classmethod
    def _shape_checks(cls, configs: Configs) -> Iterator[LayoutCheck]:
        text, transformer, vae = configs.text_encoder, configs.transformer, configs.vae
        width = transformer.get("cap_feat_dim", 2560)
        yield LayoutCheck("the denoiser's channels", transformer.get("in_channels", 16), vae.get("latent_channels", 4))
        yield LayoutCheck("the width that the denoiser reads", width, text.get("hidden_size", 4096))
        yield LayoutCheck("the denoiser's patches", transformer.get("all_patch_size", [2]), [cls.patch])
        yield LayoutCheck("an input for pictures", transformer.get("siglip_feat_dim"), None)
