"""Base of families with a Qwen 3 chat encoder and a flow-matching transformer: loading, checks, loss and schedule.

The selected hidden states and the transformer's call are defined by each family.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from PIL import Image
from torch import Generator, Tensor, nn
from transformers import Qwen2Tokenizer, Qwen3Model

from dti.families.autoencoder import Autoencoder
from dti.families.base import Conditioning, Family, LatentDistribution, best_dtype
from dti.families.fingerprint import fingerprint
from dti.families.flow import NoiseLevels, flow_loss
from dti.families.framing import chat, frame, read_tokenizer
from dti.families.language_model import LanguageModel
from dti.families.layout import LayoutCheck, check_layout
from dti.families.offload import OffloadedModule, Placement
from dti.families.sources import find, load_part, read_json
from dti.samplers import DenoisingSchedule, flow_schedule, size_shift

_PARTS = ("tokenizer", "text_encoder", "transformer", "vae", "scheduler")

_TOKEN_LIMIT = 512
"""Tokens of a prompt, chat template included."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Configs:
    """Configurations of a checkpoint: its index, and its parts by folder name."""

    index: Mapping[str, Any]
    text_encoder: Mapping[str, Any]
    transformer: Mapping[str, Any]
    vae: Mapping[str, Any]
    scheduler: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class QwenParts:
    """Loaded parts of a checkpoint; the fingerprint covers text encoder and transformer."""

    configs: Configs
    fingerprint: str
    text_encoder: LanguageModel
    transformer: Any
    autoencoder: Autoencoder


class QwenFamily(Family):
    """A family with a Qwen 3 chat encoder and a flow-matching transformer.

    Attributes:
        layout: name of the layout in messages.
        thinking: whether the chat template lets Qwen think before it answers.
        denoiser: class of the transformer.
        coder: class of the autoencoder's network.
        autoencoder: conversion between its codes and latents.
        patch: latents per transformer token, along a side.
        default_size_px: default of diffusers' pipelines.
    """

    layout: ClassVar[str]
    thinking: ClassVar[bool]
    denoiser: ClassVar[Any]
    coder: ClassVar[Any]
    autoencoder: ClassVar[type[Autoencoder]] = Autoencoder
    patch: ClassVar[int]
    default_size_px = 1024

    def __init__(self, parts: QwenParts) -> None:
        self.fingerprint = parts.fingerprint
        self.encoders = {parts.text_encoder.name: parts.text_encoder}
        self.device = parts.transformer.device
        self.dtype = parts.transformer.dtype
        self.size_multiple_px = parts.autoencoder.scale_px * self.patch
        self._text_encoder = parts.text_encoder
        self._transformer = parts.transformer
        self._autoencoder = parts.autoencoder
        scheduler = FlowMatchEulerDiscreteScheduler.from_config(parts.configs.scheduler)
        self._scheduler: Mapping[str, Any] = scheduler.config
        self._index = parts.configs.index

    @classmethod
    def load(
        cls, source: str | Path, *, device: torch.device, dtype: torch.dtype | None = None, offload: bool = False
    ) -> Self:
        """Load a checkpoint; see `Family.load`."""
        folder = find(source, _PARTS)
        configs = _read_configs(folder)
        check_layout(source, cls.layout, (*cls._class_checks(configs), *cls._shape_checks(configs)))
        dtype = dtype or best_dtype(device)
        placement = Placement(device, offload)
        transformer = load_part(cls.denoiser, folder, "transformer", torch_dtype=dtype)
        text_encoder = _text_encoder(folder, placement, dtype, thinking=cls.thinking)
        parts = QwenParts(
            configs=configs,
            fingerprint=fingerprint([text_encoder.network, transformer]),
            text_encoder=text_encoder,
            transformer=OffloadedModule(transformer, Placement(device)).model,
            autoencoder=cls.autoencoder.load(folder, placement=placement, kinds={cls.coder.__name__: cls.coder}),
        )
        return cls(parts)

    @classmethod
    def _class_checks(cls, configs: Configs) -> Iterator[LayoutCheck]:
        """Classes of the parts."""
        scheduler = configs.scheduler.get("_class_name")
        yield LayoutCheck("its text encoder", configs.text_encoder.get("model_type"), "qwen3")
        yield LayoutCheck("its denoiser", configs.transformer.get("_class_name"), cls.denoiser.__name__)
        yield LayoutCheck("its autoencoder", configs.vae.get("_class_name"), cls.coder.__name__)
        yield LayoutCheck("its scheduler", scheduler, FlowMatchEulerDiscreteScheduler.__name__)

    @classmethod
    @abstractmethod
    def _shape_checks(cls, configs: Configs) -> Iterator[LayoutCheck]:
        """Agreement of the parts' channels and widths."""

    @property
    def networks(self) -> Sequence[nn.Module]:
        """Qwen, the transformer and the autoencoder."""
        return self._text_encoder.network, self._transformer, self._autoencoder.network

    def encode(self, pixels: Tensor) -> LatentDistribution:
        """The autoencoder's posterior."""
        return self._autoencoder.encode(pixels)

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """The autoencoder's pictures, clipped to eight bits."""
        return self._autoencoder.decode(latents)

    def latent_shape(self, width_px: int, height_px: int) -> tuple[int, int, int]:
        """Shape of one picture's latents."""
        scale = self._autoencoder.scale_px
        return self._autoencoder.channels, height_px // scale, width_px // scale

    def loss(
        self, latents: Tensor, weights: Tensor, conditioning: Conditioning, generators: Sequence[Generator]
    ) -> Tensor:
        """Flow-matching loss, at logit-normal times shifted by the picture's size.

        Source: Labs et al., "FLUX.1 Kontext", arXiv 2506.15742, section 3; Z-Image Team, arXiv 2511.22699, section 4.3.
            FLUX.2 klein's training is unpublished: the same distribution, with the shift of the scheduler's
            configuration, is assumed.
        """
        tokens = latents[0, 0].numel() // self.patch**2
        levels = NoiseLevels(mean=size_shift(self._scheduler, tokens))
        return flow_loss(self.predict, latents, weights, conditioning, generators=generators, levels=levels)

    def schedule(self, scheduler: str, steps: int, *, width: int, height: int) -> DenoisingSchedule:
        """Timesteps and coefficients with the checkpoint's shift, dynamic in the picture's size where configured."""
        mu = self._shift(width * height // self.size_multiple_px**2, steps)
        return flow_schedule(
            scheduler,
            self._scheduler,
            steps,
            mu=mu if self._scheduler["use_dynamic_shifting"] else None,
            sigmas=np.linspace(1, 1 / steps, steps).tolist(),
        )

    @abstractmethod
    def _shift(self, tokens: int, steps: int) -> float:
        """Logarithm of the shift for a picture of `tokens` tokens in `steps` steps."""


def _read_configs(folder: Path) -> Configs:
    return Configs(
        index=read_json(folder, "model_index.json"),
        text_encoder=read_json(folder, "text_encoder/config.json"),
        transformer=read_json(folder, "transformer/config.json"),
        vae=read_json(folder, "vae/config.json"),
        scheduler=read_json(folder, "scheduler/scheduler_config.json"),
    )


def _text_encoder(folder: Path, placement: Placement, dtype: torch.dtype, *, thinking: bool) -> LanguageModel:
    tokenizer = read_tokenizer(folder / "tokenizer", Qwen2Tokenizer)
    before, after = chat(tokenizer, enable_thinking=thinking)
    return LanguageModel.load(
        folder,
        "text_encoder",
        tokenizer,
        kind=Qwen3Model,
        frame=frame(tokenizer, _TOKEN_LIMIT, before, after),
        placement=placement,
        dtype=dtype,
    )
