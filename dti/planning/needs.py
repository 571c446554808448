"""Memory that a model needs, by activity.

It is computed on a model without weights, so it needs neither a GPU nor a download.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, nn

from dti.encoders import TextEncoder
from dti.families.base import Family
from dti.pictures import View
from dti.planning import skeletons
from dti.planning.layouts import Layout
from dti.planning.live_memory import live_memory
from dti.tokens import SplicedInput, SplicedPrompt
from dti.training.dataset import CROPS

_WORDS = 60
"""Word tokens of a prompt: a long caption."""


@dataclass(frozen=True, slots=True)
class Linear:
    """Bytes as a linear function of the number of pictures."""

    one: int
    more: int

    def at(self, count: int) -> int:
        """Bytes for `count` pictures, at least one."""
        return self.one + (count - 1) * self.more


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """Bytes on the device, beside each other only where `dti.planning.plans` adds them.

    Attributes:
        encoders: weights of the text encoders.
        denoiser: weights of the denoiser.
        autoencoder: weights of the autoencoder.
        encoding: crops of one picture to latents.
        update: forward and backward pass of a training, by pictures.
        checkpointed_update: the same with activation checkpointing.
        reading: a prompt and a negative prompt through the text encoders.
        step: a denoising step, by rows of the denoiser's batch: two a picture with guidance.
        decoding: one picture's latents to pixels.
        tiled_decoding: the same in tiles.
    """

    encoders: int
    denoiser: int
    autoencoder: int
    encoding: int
    update: Linear
    checkpointed_update: Linear
    reading: int
    step: Linear
    decoding: int
    tiled_decoding: int

    @property
    def weights(self) -> int:
        """Bytes of all weights."""
        return self.encoders + self.denoiser + self.autoencoder


def measure(layout: Layout, *, dtype: torch.dtype, resolution: int, width: int, height: int) -> Needs:
    """Compute the needs of a checkpoint.

    Args:
        layout: its configurations.
        dtype: of denoiser and text encoders.
        resolution: side of the training pictures in pixels.
        width: of rendered pictures, in pixels.
        height: of rendered pictures, in pixels.
    """
    family = skeletons.build(layout, dtype)
    *encoders, denoiser, autoencoder = family.networks
    encoding = _peak(family, lambda: family.encode(torch.empty(CROPS, 3, resolution, resolution)))
    plain = _linear(family, lambda pictures: update(family, resolution, pictures))
    family.set_checkpointing(enabled=True)
    checkpointed = _linear(family, lambda pictures: update(family, resolution, pictures))
    family.set_checkpointing(enabled=False)
    decoding = _peak(family, lambda: _decode(family, width, height))
    family.set_tiling(enabled=True)
    return Needs(
        encoders=_weights(encoders),
        denoiser=_weights([denoiser]),
        autoencoder=_weights([autoencoder]),
        encoding=encoding,
        update=plain,
        checkpointed_update=checkpointed,
        reading=_peak(family, lambda: _read(family, 2)),
        step=_linear(family, lambda rows: _step(family, width, height, rows)),
        decoding=decoding,
        tiled_decoding=_peak(family, lambda: _decode(family, width, height)),
    )


def _weights(networks: Iterable[nn.Module]) -> int:
    tensors = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
    return sum(storage.nbytes() for storage in {tensor.untyped_storage() for tensor in tensors})


def _linear(family: Family, act: Callable[[int], object]) -> Linear:
    one, two = _peak(family, lambda: act(1)), _peak(family, lambda: act(2))
    return Linear(one, max(0, two - one))


def _peak(family: Family, act: Callable[[], object]) -> int:
    with live_memory(family.networks) as memory:
        act()
    return memory.peak


def update(family: Family, resolution: int, pictures: int) -> None:
    """Forward and backward pass of a training's update."""
    latents = torch.empty(pictures, *family.latent_shape(resolution, resolution), device=family.device)
    conditioning = family.condition(_prompts(family, pictures), [View.whole(resolution, resolution)] * pictures)
    generators = [Generator()] * pictures
    loss = family.loss(latents, torch.ones_like(latents[:, :1]), conditioning, generators)
    torch.autograd.backward(loss.sum())


@torch.no_grad()
def _read(family: Family, prompts: int) -> None:
    family.condition(_prompts(family, prompts), [View.whole(512, 512)] * prompts)


@torch.no_grad()
def _step(family: Family, width: int, height: int, rows: int) -> None:
    latents = torch.empty(rows, *family.latent_shape(width, height), device=family.device)
    conditioning = family.condition(_prompts(family, rows), [View.whole(width, height)] * rows)
    family.predict(latents, torch.empty(rows, device=family.device), conditioning)


@torch.no_grad()
def _decode(family: Family, width: int, height: int) -> None:
    network: Any = family.networks[-1]
    channels: int = network.config.latent_channels
    down = 2 ** (len(network.config.get("block_out_channels") or network.config["encoder_block_out_channels"]) - 1)
    network.decode(torch.empty(1, channels, height // down, width // down, device=family.device)).sample.clamp(-1, 1)


def _prompts(family: Family, count: int) -> list[SplicedPrompt]:
    inputs = {name: _input(encoder) for name, encoder in family.encoders.items()}
    return [SplicedPrompt(inputs)] * count


def _input(encoder: TextEncoder) -> SplicedInput:
    frame = encoder.frame
    words = range(100, 100 + min(_WORDS, frame.limit - len(frame.begin) - len(frame.end)))
    ids = (*frame.begin, *words, *frame.end)
    rows = torch.empty(1, encoder.width, device=encoder.vocabulary.device, requires_grad=True)
    first = len(frame.begin)
    return SplicedInput((*ids, *(frame.padding,) * (frame.limit - len(ids))), (first,), rows, first)
