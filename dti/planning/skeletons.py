"""Models from configurations alone: the family's own class over modules of any size, without a checkpoint.

On the device "meta" they have shapes and no memory, on others random weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from torch import nn
from transformers import AutoConfig, AutoModel

from dti.encoders import PromptFrame
from dti.families import sana
from dti.families.autoencoder import Autoencoder
from dti.families.base import Family
from dti.families.clip import TEXT_MODELS, ClipTextEncoder
from dti.families.language_model import LanguageModel
from dti.families.noise import NoiseSchedule
from dti.families.offload import OffloadedModule, Placement
from dti.families.qwen import Configs, QwenParts
from dti.families.unet import UNetParts
from dti.planning.layouts import Config, Layout
from dti.spec.registry import FAMILIES

META = torch.device("meta")

_FRAMES: Mapping[str, PromptFrame] = {
    "sana": PromptFrame(tuple(range(10, 190)), (), 0, 180 + 299),
    "flux2": PromptFrame(tuple(range(10, 14)), tuple(range(14, 23)), 0, 512),
    "zimage": PromptFrame(tuple(range(10, 14)), tuple(range(14, 19)), 0, 512),
}
"""Frames of language models, of the published tokenizers' and templates' lengths."""

_CLIP_TOKENS = 77
"""Tokens of a prompt, as CLIP's tokenizers limit them."""


def build(layout: Layout, dtype: torch.dtype, device: torch.device = META) -> Family:
    """A family's model.

    Args:
        layout: the checkpoint's configurations.
        dtype: of denoiser and text encoders; the autoencoder is in float32.
        device: of all parts.
    """
    return _BUILDERS[layout.family](_Parts(layout, dtype, device))


@dataclass(frozen=True, slots=True)
class _Parts:
    layout: Layout
    dtype: torch.dtype
    device: torch.device

    @property
    def kind(self) -> Any:  # noqa: ANN401 - see `_LazyClass.load`
        return FAMILIES[self.layout.family].load()

    def config(self, name: str) -> Config:
        return self.layout.parts[name]

    def module(self, name: str, dtype: torch.dtype | None = None) -> Any:  # noqa: ANN401 - modules of two libraries
        """A part of the checkpoint, frozen."""
        config = dict(self.config(name))
        with self.device:
            model = _diffusers(config) if "_class_name" in config else _transformers(config)
        # Module's own method: that of diffusers warns of parts that a checkpoint's weights would keep in float32.
        return nn.Module.to(model, dtype or self.dtype).requires_grad_(requires_grad=False).eval()

    def autoencoder(self, kind: type[Autoencoder] = Autoencoder) -> Autoencoder:
        return kind(OffloadedModule(self.module("vae", torch.float32), Placement(self.device)))

    def language_model(self) -> LanguageModel:
        frame = _FRAMES[self.layout.family]
        module = OffloadedModule(self.module("text_encoder"), Placement(self.device))
        return LanguageModel("text_encoder", module, _no_tokenizer(), frame=frame)


def _diffusers(config: dict[str, Any]) -> Any:  # noqa: ANN401
    return getattr(diffusers, config.pop("_class_name")).from_config(config)


def _transformers(config: dict[str, Any]) -> Any:  # noqa: ANN401
    architecture = next(iter(config.get("architectures") or ()), "")
    built = AutoConfig.for_model(config.pop("model_type"), **config)
    return TEXT_MODELS[architecture](built) if architecture in TEXT_MODELS else AutoModel.from_config(built)


def _no_tokenizer() -> Tokenizer:
    """A tokenizer without tokens: plans count tokens and read none."""
    return Tokenizer(WordLevel({"": 0}, ""))


def _clip(name: str, model: Any, placement: Placement) -> ClipTextEncoder:  # noqa: ANN401
    frame = PromptFrame((1,), (2,), 2, min(_CLIP_TOKENS, model.config.max_position_embeddings))
    return ClipTextEncoder(name, OffloadedModule(model, placement), _no_tokenizer(), frame)


def _unet(parts: _Parts) -> Family:
    encoders = [_clip(name, parts.module(name), Placement(parts.device)) for name in parts.kind.encoder_parts]
    scheduler = dict(parts.config("scheduler"))
    config = getattr(diffusers, scheduler.pop("_class_name")).from_config(scheduler).config
    family: Family = parts.kind(
        UNetParts(
            index={},
            fingerprint="",
            encoders=encoders,
            unet=parts.module("unet"),
            autoencoder=parts.autoencoder(),
            noise=NoiseSchedule(config),
        )
    )
    return family


def _sana(parts: _Parts) -> Family:
    scheduler = dict(parts.config("scheduler"))
    return sana.Sana(
        sana.SanaParts(
            fingerprint="",
            text_encoder=parts.language_model(),
            transformer=parts.module("transformer"),
            autoencoder=parts.autoencoder(),
            scheduler=getattr(diffusers, scheduler.pop("_class_name")).from_config(scheduler).config,
        )
    )


def _qwen(parts: _Parts) -> Family:
    scheduler = FlowMatchEulerDiscreteScheduler.from_config(dict(parts.config("scheduler"))).config
    configs = Configs(
        index={},
        text_encoder=parts.config("text_encoder"),
        transformer=parts.config("transformer"),
        vae=parts.config("vae"),
        scheduler=scheduler,
    )
    family: Family = parts.kind(
        QwenParts(
            configs=configs,
            fingerprint="",
            text_encoder=parts.language_model(),
            transformer=parts.module("transformer"),
            autoencoder=parts.autoencoder(parts.kind.autoencoder),
        )
    )
    return family


_BUILDERS: Mapping[str, Callable[[_Parts], Family]] = {
    "sd": _unet,
    "sdxl": _unet,
    "sana": _sana,
    "flux2": _qwen,
    "zimage": _qwen,
}
