"""FLUX.2 klein: a Qwen 3 chat encoder read at three depths, and a double- and single-stream flow-matching transformer.

Hidden states at padding are part of the conditioning, latents are normalised 2 by 2 patches, and the shift depends on
size and steps. FLUX.2 dev is another model, with a Mistral encoder and an embedded guidance scale.

Source: Black Forest Labs, "FLUX.2 [klein]"; diffusers' `Flux2KleinPipeline`.
"""

from collections.abc import Iterator, Sequence

import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel
from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from dti.families.autoencoder import Autoencoder
from dti.families.base import Conditioning
from dti.families.layout import LayoutCheck
from dti.families.offload import OffloadedModule
from dti.families.qwen import Configs, QwenFamily
from dti.pictures import View
from dti.tokens import SplicedPrompt

_DEPTHS = 3
"""Number of hidden states used: after one, two and three quarters of the layers (9, 18 and 27 of Qwen's 36)."""

_PATCH_SIDE = 2
"""Side of the patches that become latent channels."""


class PatchedAutoencoder(Autoencoder):
    """An autoencoder with patched latents, normalised per channel by its batch-norm statistics."""

    def __init__(self, module: OffloadedModule) -> None:
        super().__init__(module)
        self.channels *= _PATCH_SIDE**2
        self.scale_px *= _PATCH_SIDE
        norm, device = module.model.bn, module.placement.device
        self._mean: Tensor = norm.running_mean.view(1, -1, 1, 1).to(device)
        self._std: Tensor = (norm.running_var + norm.eps).sqrt().view(1, -1, 1, 1).to(device)

    def _to_latents(self, codes: Tensor) -> Tensor:
        return (pixel_unshuffle(codes, _PATCH_SIDE) - self._mean) / self._std

    def _to_latent_std(self, stds: Tensor) -> Tensor:
        return pixel_unshuffle(stds, _PATCH_SIDE) / self._std

    def _to_codes(self, latents: Tensor) -> Tensor:
        codes: Tensor = pixel_shuffle(latents * self._std + self._mean, _PATCH_SIDE)
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

    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:  # noqa: ARG002 - no size conditioning
        """Qwen's hidden states at three depths, concatenated, including those at padding."""
        inputs = [prompt.inputs[self._text_encoder.name] for prompt in prompts]
        quarter = self._text_encoder.depth // (_DEPTHS + 1)
        layers = [quarter * depth for depth in range(1, _DEPTHS + 1)]
        return {"hidden": self._text_encoder.read(inputs, layers, filled=True).states.transpose(1, 2).flatten(2)}

    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The transformer's output, noise minus picture."""
        output: Tensor = self._transformer(
            latents.flatten(2).transpose(1, 2).to(self.dtype),
            encoder_hidden_states=conditioning["hidden"],
            timestep=times.to(self.device) / 1000,
            img_ids=_positions(self.device, 1, *latents.shape[2:], 1),
            txt_ids=_positions(self.device, 1, 1, 1, conditioning["hidden"].shape[1]),
            return_dict=False,
        )[0]
        return output.transpose(1, 2).reshape(latents.shape).float()

    def guidance(self, scale: float) -> float:
        """As in other families; always 1 (disabled) for distilled checkpoints."""
        return super().guidance(scale) if self.takes_guidance else 1.0

    @property
    def takes_guidance(self) -> bool:
        """Not with distilled checkpoints."""
        return not self._index.get("is_distilled", False)

    def _shift(self, tokens: int, steps: int) -> float:
        """Linear in the tokens, and larger for few steps than for many; above 4300 tokens independent of the steps.

        Source: Black Forest Labs' constants, in diffusers' `compute_empirical_mu`.
        """
        many = 0.00016927 * tokens + 0.45666666
        few = 8.73809524e-05 * tokens + 1.89833333
        return many if tokens > 4300 else many + (few - many) * (200 - steps) / 190  # noqa: PLR2004 - see above

    @classmethod
    def _shape_checks(cls, configs: Configs) -> Iterator[LayoutCheck]:
        text, transformer, vae = configs.text_encoder, configs.transformer, configs.vae
        channels = transformer.get("in_channels", 128)
        latents = vae.get("latent_channels", 32) * _PATCH_SIDE**2
        patches = vae.get("patch_size", [_PATCH_SIDE, _PATCH_SIDE])
        width = transformer.get("joint_attention_dim", 15360)
        yield LayoutCheck("the denoiser's input in channels", channels, latents)
        yield LayoutCheck("the latents' patches", patches, [_PATCH_SIDE, _PATCH_SIDE])
        yield LayoutCheck("the denoiser's output in channels", transformer.get("out_channels") or channels, channels)
        yield LayoutCheck("the width that the denoiser reads", width, text.get("hidden_size", 4096) * _DEPTHS)
        yield LayoutCheck("an input for the guidance scale", transformer.get("guidance_embeds", True), False)


def _positions(device: torch.device, *sides: int) -> Tensor:
    """Token positions `(n, 4)` on a device: picture index, row, column, text index."""
    return torch.cartesian_prod(*(torch.arange(side, device=device) for side in sides))
