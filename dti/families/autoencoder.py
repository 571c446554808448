"""Pictures to latents and back, as the autoencoders of several families do it.

Owns the scaling of latents, how many pictures are worked on at once, and that all of it is done in full precision. It
knows no denoiser.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from PIL import Image
from torch import Tensor, nn

from dti.families.base import LatentDistribution
from dti.families.offload import Part, Place
from dti.families.sources import load_part, read_json

AUTOENCODERS: Mapping[str, Any] = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
"""The kinds that most checkpoints have: a posterior, or single points. A family may know others that work alike."""

_PIXELS_AT_ONCE = 1024 * 1024
"""An autoencoder at full size takes far more memory a picture than the denoiser: gigabytes for each of this size."""


class Autoencoder:
    """A frozen autoencoder.

    Attributes:
        channels: of latents.
        scale_px: pixels of a picture's side to one of its latents.
        network: it itself.
    """

    def __init__(self, part: Part) -> None:
        config = part.model.config
        self.channels: int = config.latent_channels
        # Every block but the last halves the sides.
        blocks = config.get("block_out_channels") or config["encoder_block_out_channels"]
        self.scale_px: int = 2 ** (len(blocks) - 1)
        self.network: nn.Module = part.model
        self._part = part
        self._scale: float = config.get("scaling_factor", 1.0)
        self._shift: float = getattr(config, "shift_factor", None) or 0.0

    @classmethod
    def load(cls, folder: Path, *, place: Place, kinds: Mapping[str, Any] = AUTOENCODERS) -> Self:
        """The autoencoder of a checkpoint whose configuration names one of these kinds.

        It stays in float32: eight bits of mantissa show as bands in the picture, and float16 overflows.

        Args:
            folder: the checkpoint.
            place: where it computes.
            kinds: classes by name.

        Raises:
            ModelUnavailableError: what is missing.
        """
        kind = kinds[read_json(folder, "vae/config.json")["_class_name"]]
        return cls(Part(load_part(kind, folder, "vae", torch_dtype=torch.float32), place))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> LatentDistribution:
        """The posterior of pictures `(b, 3, h, w)` in -1 … 1, or its points where it has none."""
        with self._part.at_work() as model:
            parts = [self._encode(model, few) for few in _few(pixels.to(self._part.place.device), pixels[0, 0].numel())]
        means, stds = zip(*parts, strict=True)
        return LatentDistribution(torch.cat(means), None if stds[0] is None else torch.cat(stds))

    def _encode(self, model: Any, pixels: Tensor) -> tuple[Tensor, Tensor | None]:  # noqa: ANN401 - diffusers has no types
        code = model.encode(pixels)
        if hasattr(code, "latent_dist"):
            return self._scaled(code.latent_dist.mean), self._spread(code.latent_dist.std)
        # The one class says latents and the other latent.
        points = code.latents if hasattr(code, "latents") else code.latent
        return self._scaled(points), None

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> list[Image.Image]:
        """The pictures of latents `(b, c, h, w)`, clipped to eight bits."""
        codes = self._restored(latents.to(self._part.place.device).float())
        pixels = latents[0, 0].numel() * self.scale_px**2
        with self._part.at_work() as model:
            return [picture for few in _few(codes, pixels) for picture in to_pictures(model.decode(few).sample)]

    def _scaled(self, codes: Tensor) -> Tensor:
        """The network's codes as the denoiser knows them."""
        return (codes - self._shift) * self._scale

    def _spread(self, widths: Tensor) -> Tensor:
        """Widths of codes as those of latents."""
        return widths * self._scale

    def _restored(self, latents: Tensor) -> Tensor:
        """Latents as the network knows them."""
        return latents / self._scale + self._shift


def _few(batch: Tensor, pixels: int) -> tuple[Tensor, ...]:
    """As many pictures at a time as memory is meant for, one at least."""
    return torch.split(batch, max(1, _PIXELS_AT_ONCE // pixels))


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """Pictures from values in -1 … 1, `(b, 3, h, w)`."""
    levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [Image.fromarray(array) for array in levels.permute(0, 2, 3, 1).cpu().numpy()]
