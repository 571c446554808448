"""The autoencoder: a linear encoder set analytically, and a small decoder trained to undo it.

The encoder projects 4 by 4 patches on their principal components, so latents exist before anything is trained. It
knows pictures as arrays only.
"""

import logging

import numpy as np
import numpy.typing as npt
import torch
from diffusers import AutoencoderTiny
from torch import Tensor
from torch.nn.functional import l1_loss, mse_loss

log = logging.getLogger(__name__)

PATCH = 4
CHANNELS = 6
PATCH_VALUES = 3 * PATCH * PATCH
DECODER_WIDTH = 32
LEARNING_RATE = 2e-3
LATENT_NOISE = 0.06  # generated latents are never exact: the decoder learns to forgive that much


def build_autoencoder() -> AutoencoderTiny:
    """Build the untrained autoencoder; its encoder has no nonlinearity at all."""
    return AutoencoderTiny(
        encoder_block_out_channels=(PATCH_VALUES,) * 3,
        decoder_block_out_channels=(DECODER_WIDTH,) * 3,
        num_encoder_blocks=(0, 0, 0),
        num_decoder_blocks=(3, 2, 1),
        latent_channels=CHANNELS,
    )


def to_unit(pictures: npt.NDArray[np.uint8]) -> Tensor:
    """Turn pictures `(n, h, w, 3)` in bytes into a tensor `(n, 3, h, w)` in -1..1."""
    return torch.tensor(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def principal_components(pictures: npt.NDArray[np.uint8]) -> tuple[Tensor, Tensor, float]:
    """Find the directions in which 4 by 4 patches vary most.

    Args:
        pictures: `(n, h, w, 3)` in bytes.

    Returns:
        The projection `(6, 48)`, its offset `(6,)`, and the share of the variance that it keeps. Strong components
        are damped by the fourth root of their variance, so that no latent channel is much louder than another.
    """
    patches = torch.nn.functional.pixel_unshuffle(to_unit(pictures).add(1).div(2), PATCH)
    rows = patches.permute(0, 2, 3, 1).reshape(-1, PATCH_VALUES).double()
    mean = rows.mean(0)
    variance, directions = torch.linalg.eigh(torch.cov(rows.T))
    variance, directions = variance.flip(0), directions.flip(1)
    kept, loud = directions[:, :CHANNELS].T, variance[:CHANNELS]
    scale = loud.pow(-0.25) / loud.pow(0.5).mean().sqrt()
    projection = kept * scale[:, None]
    share = float(loud.sum() / variance.sum())
    return projection.float(), (-projection @ mean).float(), share


@torch.no_grad()
def set_encoder(autoencoder: AutoencoderTiny, projection: Tensor, offset: Tensor) -> None:
    """Write a projection of 4 by 4 patches into the encoder's convolutions.

    The first copies colours, the next two each pack 2 by 2 places into channels, the last one projects.

    Args:
        autoencoder: its encoder is overwritten in place.
        projection: `(6, 48)`, over patches laid out as `pixel_unshuffle` does.
        offset: `(6,)`.
    """
    copy, pack, pack_again, project = autoencoder.encoder.layers
    for layer in (copy, pack, pack_again, project):
        layer.weight.zero_()
        if layer.bias is not None:
            layer.bias.zero_()
    for colour in range(3):
        copy.weight[colour, colour, 1, 1] = 1
    _pack(pack.weight, 3)
    _pack(pack_again.weight, 12)
    for value in range(PATCH_VALUES):
        colour, row, column = value // 16, value // PATCH % PATCH, value % PATCH
        inner = (row % 2 * 2 + column % 2) * 3 + colour
        channel = (row // 2 * 2 + column // 2) * 12 + inner
        project.weight[:, channel, 1, 1] = projection[:, value]
    project.bias.copy_(offset)


def _pack(weight: Tensor, channels: int) -> None:
    """Make a convolution of stride 2 lay the four places of each 2 by 2 square side by side in channels."""
    for place in range(4):
        for channel in range(channels):
            weight[place * channels + channel, channel, 1 + place // 2, 1 + place % 2] = 1


@torch.no_grad()
def encode(autoencoder: AutoencoderTiny, pictures: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """Encode pictures `(n, 64, 64, 3)` in batches into latents `(n, 6, 16, 16)` in half precision."""
    batches = (to_unit(pictures[start : start + 500]).to(device) for start in range(0, len(pictures), 500))
    return torch.cat([autoencoder.encode(batch).latents.half().cpu() for batch in batches])


def _edges(pictures: Tensor) -> Tensor:
    return torch.cat([pictures.diff(dim=-1).flatten(1), pictures.diff(dim=-2).flatten(1)], dim=1)


def train_decoder(
    autoencoder: AutoencoderTiny,
    pictures: npt.NDArray[np.uint8],
    steps: int,
    batch: int,
    device: torch.device,
) -> float:
    """Train the decoder to undo the frozen encoder.

    Args:
        autoencoder: with its encoder set; the decoder is trained in place.
        pictures: `(n, 64, 64, 3)` in bytes.
        steps: updates; the learning rate rises for a tenth of them and then falls to nothing.
        batch: pictures an update.
        device: where to train.

    Returns:
        The peak signal-to-noise ratio in dB over the last tenth of the updates.
    """
    autoencoder.to(device).train()
    optimizer = torch.optim.AdamW(autoencoder.decoder.parameters(), LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps, pct_start=0.1)
    rng = np.random.default_rng(0)
    noise = torch.Generator(device).manual_seed(0)
    errors = []
    for step in range(steps):
        wanted = to_unit(pictures[rng.integers(len(pictures), size=batch)]).to(device)
        with torch.no_grad():
            latents = autoencoder.encode(wanted).latents
            latents += LATENT_NOISE * torch.randn(latents.shape, generator=noise, device=device)
        decoded = autoencoder.decode(latents).sample
        loss = l1_loss(decoded, wanted) + l1_loss(_edges(decoded), _edges(wanted))
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
        errors.append(float(mse_loss(decoded.detach(), wanted)))
        if step % 100 == 0:
            log.info("decoder step %d loss %.4f psnr %.1f", step, loss.item(), -10 * np.log10(errors[-1] / 4))
    return float(-10 * np.log10(np.mean(errors[-max(1, steps // 10) :]) / 4))
