"""FLUX.2 klein: Qwen 3 reads the prompt in three depths, two streams that become one walk a straight flow.

Owns what this layout means: which hidden states are read, that what fills prompts up is read with them, the latents in
normalised patches, and the shift by size and steps. FLUX.2 dev is another model: Mistral reads its prompts, and it is
told the guidance scale.

Source: Black Forest Labs, "FLUX.2 [klein]"; diffusers' `Flux2KleinPipeline`.
"""

from collections.abc import Iterator, Sequence

import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from dti.families.autoencoder import Autoencoder
from dti.families.base import Conditioning
from dti.families.offload import Part
from dti.families.qwen import Configs, Fact, QwenFamily
from dti.pictures import View
from dti.tokens import SplicedPrompt

_DEPTHS = 3
"""Hidden states that are read, after every quarter of the layers but the last: 9, 18 and 27 of Qwen's 36."""

_SIDE = 2
"""Of the patches that latents come in."""


class PatchedAutoencoder(Autoencoder):
    """An autoencoder whose codes become latents in patches, each number of a patch normalised by its own statistics."""

    def __init__(self, part: Part) -> None:
        super().__init__(part)
        self.channels *= _SIDE**2
        self.scale_px *= _SIDE
        norm = part.model.bn
        self._mean: Tensor = norm.running_mean.view(1, -1, 1, 1).to(part.place.device)
        self._std: Tensor = (norm.running_var + norm.eps).sqrt().view(1, -1, 1, 1).to(part.place.device)

    def _scaled(self, codes: Tensor) -> Tensor:
        return (pixel_unshuffle(codes, _SIDE) - self._mean) / self._std

    def _spread(self, widths: Tensor) -> Tensor:
        return pixel_unshuffle(widths, _SIDE) / self._std

    def _restored(self, latents: Tensor) -> Tensor:
        codes: Tensor = pixel_shuffle(latents * self._std + self._mean, _SIDE)
        return codes


class Flux2(QwenFamily):
    """A checkpoint in the layout of FLUX.2 klein, distilled or not."""

    name = "flux2"
    layout = "FLUX.2 klein"
    thinking = False
    denoiser = Flux2Transformer2DModel
    coder = AutoencoderKLFlux2
    autoencoder = PatchedAutoencoder
    patch = 1

    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:  # noqa: ARG002 - not told to these models
        """Qwen's hidden states in three depths, side by side, also where prompts are filled up."""
        lines = [prompt.lines[self._text_encoder.name] for prompt in prompts]
        quarter = self._text_encoder.depth // (_DEPTHS + 1)
        layers = [quarter * depth for depth in range(1, _DEPTHS + 1)]
        return {"hidden": self._text_encoder.read(lines, layers, filled=True).states.transpose(1, 2).flatten(2)}

    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The transformer's output: noise minus picture."""
        output: Tensor = self._transformer(
            latents.flatten(2).transpose(1, 2).to(self.dtype),
            encoder_hidden_states=conditioning["hidden"],
            timestep=times.to(self.device) / 1000,
            img_ids=_places(1, *latents.shape[2:], 1).to(self.device),
            txt_ids=_places(1, 1, 1, conditioning["hidden"].shape[1]).to(self.device),
            return_dict=False,
        )[0]
        return output.transpose(1, 2).reshape(latents.shape).float()

    def guidance(self, scale: float) -> float:
        """The scale; distilled checkpoints take none, and the others none below 1."""
        return 1.0 if self._index.get("is_distilled", False) else max(1.0, scale)

    def _shift(self, tokens: int, steps: int) -> float:
        """More for few steps than for many; above 4300 tokens alike for all.

        Source: Black Forest Labs' figures, in diffusers' `compute_empirical_mu`.
        """
        many = 0.00016927 * tokens + 0.45666666
        few = 8.73809524e-05 * tokens + 1.89833333
        return many if tokens > 4300 else many + (few - many) * (200 - steps) / 190  # noqa: PLR2004 - see above

    @classmethod
    def _facts(cls, configs: Configs) -> Iterator[Fact]:
        text, transformer, vae = configs.text_encoder, configs.transformer, configs.vae
        channels, width = transformer.get("in_channels", 128), text.get("hidden_size", 4096)
        yield "the denoiser's input in channels", channels, vae.get("latent_channels", 32) * _SIDE**2
        yield "the latents' patches", vae.get("patch_size", [_SIDE, _SIDE]), [_SIDE, _SIDE]
        yield "the denoiser's output in channels", transformer.get("out_channels") or channels, channels
        yield "the width that the denoiser reads", transformer.get("joint_attention_dim", 15360), width * _DEPTHS
        yield "an input for the guidance scale", transformer.get("guidance_embeds", True), False


def _places(*sides: int) -> Tensor:
    """Where tokens are, `(n, 4)`: among pictures, below, to the right, and in the text."""
    return torch.cartesian_prod(*(torch.arange(side) for side in sides))
