"""Frozen autoencoders: pictures to latents and back, in float32, with the denoiser's latent scaling."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from PIL import Image
from torch import Tensor, nn

from dti.families.base import LatentDistribution
from dti.families.offload import OffloadedModule, Placement
from dti.families.sources import load_part, read_json

AUTOENCODERS: Mapping[str, Any] = {"AutoencoderKL": AutoencoderKL, "AutoencoderTiny": AutoencoderTiny}
"""Classes of most checkpoints: with a posterior, or with point codes. A family may pass others."""

_CHUNK_PIXELS = 512 * 512
"""Pixels per forward pass: an autoencoder needs gigabytes per megapixel, far more than the denoiser, and is busy with
few."""


class Autoencoder:
    """A frozen autoencoder.

    Attributes:
        channels: latent channels.
        scale_px: side of a picture in pixels per latent.
        network: the module.
    """

    def __init__(self, module: OffloadedModule) -> None:
        config = module.model.config
        self.channels: int = config.latent_channels
        # Every block but the last halves the sides.
        blocks = config.get("block_out_channels") or config["encoder_block_out_channels"]
        self.scale_px: int = 2 ** (len(blocks) - 1)
        self.network: nn.Module = module.model
        self._module = module
        self._scale: float = config.get("scaling_factor", 1.0)
        self._shift: float = getattr(config, "shift_factor", None) or 0.0

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        placement: Placement,
        kinds: Mapping[str, Any] = AUTOENCODERS,
        file: Path | None = None,
    ) -> Self:
        """Load a checkpoint's autoencoder, in float32: bfloat16's mantissa shows as banding, and float16 overflows.

        Args:
            folder: the checkpoint.
            placement: where it computes.
            kinds: supported classes by name.
            file: a one-file checkpoint with the weights.

        Raises:
            ModelUnavailableError: files are missing or damaged.
        """
        kind = kinds[read_json(folder, "vae/config.json")["_class_name"]]
        return cls(OffloadedModule(load_part(kind, folder, "vae", file=file, torch_dtype=torch.float32), placement))

    @torch.no_grad()
    def encode(self, pixels: Tensor) -> LatentDistribution:
        """Posterior of pictures `(b, 3, h, w)` in -1 … 1; point codes for an autoencoder without posterior."""
        chunks = _chunks(pixels.to(self._module.placement.device), pixels[0, 0].numel())
        with self._module.on_device() as model:
            parts = [self._encode(model, chunk) for chunk in chunks]
        means, stds = zip(*parts, strict=True)
        return LatentDistribution(torch.cat(means), None if stds[0] is None else torch.cat(stds))

    def _encode(self, model: Any, pixels: Tensor) -> tuple[Tensor, Tensor | None]:  # noqa: ANN401 - diffusers has no types
        code = model.encode(pixels)
        if hasattr(code, "latent_dist"):
            return self._to_latents(code.latent_dist.mean), self._to_latent_std(code.latent_dist.std)
        # diffusers names the field `latents` in one class and `latent` in the other.
        points = code.latents if hasattr(code, "latents") else code.latent
        return self._to_latents(points), None

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> list[Image.Image]:
        """Pictures of latents `(b, c, h, w)`, clipped to eight bits."""
        codes = self._to_codes(latents.to(self._module.placement.device).float())
        pixels = latents[0, 0].numel() * self.scale_px**2
        with self._module.on_device() as model:
            return [picture for chunk in _chunks(codes, pixels) for picture in to_pictures(model.decode(chunk).sample)]

    def _to_latents(self, codes: Tensor) -> Tensor:
        """Codes of the network as the denoiser's latents."""
        return (codes - self._shift) * self._scale

    def _to_latent_std(self, stds: Tensor) -> Tensor:
        """Standard deviations of codes as those of latents."""
        return stds * self._scale

    def _to_codes(self, latents: Tensor) -> Tensor:
        """The denoiser's latents as codes of the network."""
        return latents / self._scale + self._shift


def _chunks(batch: Tensor, pixels: int) -> tuple[Tensor, ...]:
    """Sub-batches within the memory budget, at least one picture each."""
    return torch.split(batch, max(1, _CHUNK_PIXELS // pixels))


def to_pictures(pixels: Tensor) -> list[Image.Image]:
    """Pictures from values in -1 … 1, `(b, 3, h, w)`."""
    levels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [Image.fromarray(array) for array in levels.permute(0, 2, 3, 1).cpu().numpy()]
