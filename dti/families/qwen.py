"""What families have in common whose prompts Qwen 3 reads in a chat, and whose transformer walks a straight flow.

Owns how such a checkpoint is loaded, checked and trained on, and how noisy its pictures are. Which hidden states are
read, and what the transformer is asked, is each family's own.
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

from dti.errors import ModelUnavailableError
from dti.families.autoencoder import Autoencoder
from dti.families.base import Conditioning, Family, LatentDistribution, best_dtype
from dti.families.flow import NoiseLevels, flow_loss
from dti.families.framing import chat, frame, read_tokenizer
from dti.families.language_model import LanguageModel
from dti.families.offload import Part, Place
from dti.families.sources import find, fingerprint, load_part, read_json
from dti.samplers import Schedule, flow_schedule, size_shift

_PARTS = ("tokenizer", "text_encoder", "transformer", "vae", "scheduler")

_TOKENS = 512
"""Of a prompt, the chat around it included."""

Fact = tuple[str, object, object]
"""What it is, what a checkpoint says, what it should say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Configs:
    """The configurations of a checkpoint: its index, and its parts by their folders' names."""

    index: Mapping[str, Any]
    text_encoder: Mapping[str, Any]
    transformer: Mapping[str, Any]
    vae: Mapping[str, Any]
    scheduler: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """The parts of a checkpoint.

    Attributes:
        configs: what the checkpoint says of itself.
        fingerprint: of text encoder and transformer.
        text_encoder: Qwen.
        transformer: on its device, in its dtype.
        autoencoder: of the pictures.
    """

    configs: Configs
    fingerprint: str
    text_encoder: LanguageModel
    transformer: Any
    autoencoder: Autoencoder


class QwenFamily(Family):
    """A family whose prompts Qwen 3 reads in a chat, and whose denoiser is a transformer of flow matching.

    Attributes:
        layout: what such checkpoints are called.
        thinking: whether the chat leaves it to Qwen to think before it answers.
        denoiser: the transformer's class.
        coder: the autoencoder's class.
        autoencoder: how its codes become latents.
        patch: latents to one token of the transformer, along a side.
        default_size_px: as the pipelines' own.
    """

    layout: ClassVar[str]
    thinking: ClassVar[bool]
    denoiser: ClassVar[Any]
    coder: ClassVar[Any]
    autoencoder: ClassVar[type[Autoencoder]] = Autoencoder
    patch: ClassVar[int]
    default_size_px = 1024

    def __init__(self, loaded: Loaded) -> None:
        self.fingerprint = loaded.fingerprint
        self.encoders = {loaded.text_encoder.name: loaded.text_encoder}
        self.device = loaded.transformer.device
        self.dtype = loaded.transformer.dtype
        self.size_multiple_px = loaded.autoencoder.scale_px * self.patch
        self._text_encoder = loaded.text_encoder
        self._transformer = loaded.transformer
        self._autoencoder = loaded.autoencoder
        sampler = FlowMatchEulerDiscreteScheduler.from_config(loaded.configs.scheduler)
        self._scheduler: Mapping[str, Any] = sampler.config
        self._index = loaded.configs.index

    @classmethod
    def load(
        cls, source: str | Path, *, device: torch.device, dtype: torch.dtype | None = None, offload: bool = False
    ) -> Self:
        """A checkpoint, frozen and in its place; see `Family.load`."""
        folder = find(source, _PARTS)
        configs = cls._checked(folder, source)
        dtype = dtype or best_dtype(device)
        place = Place(device, offload)
        loaded = Loaded(
            configs=configs,
            fingerprint=fingerprint(folder, ("text_encoder", "transformer")),
            text_encoder=_text_encoder(folder, place, dtype, thinking=cls.thinking),
            transformer=Part(load_part(cls.denoiser, folder, "transformer", torch_dtype=dtype), Place(device)).model,
            autoencoder=cls.autoencoder.load(folder, place=place, kinds={cls.coder.__name__: cls.coder}),
        )
        return cls(loaded)

    @classmethod
    def _checked(cls, folder: Path, source: str | Path) -> Configs:
        """What the checkpoint says of itself; refuses other families, before their weights are read."""
        configs = Configs(
            index=read_json(folder, "model_index.json"),
            text_encoder=read_json(folder, "text_encoder/config.json"),
            transformer=read_json(folder, "transformer/config.json"),
            vae=read_json(folder, "vae/config.json"),
            scheduler=read_json(folder, "scheduler/scheduler_config.json"),
        )
        facts = (*cls._kinds(configs), *cls._facts(configs))
        wrong = [f"{what} is {found!r}, not {wanted!r}" for what, found, wanted in facts if found != wanted]
        if wrong:
            raise ModelUnavailableError(f"{source} is no {cls.layout} checkpoint: {'; '.join(wrong)}.")
        return configs

    @classmethod
    def _kinds(cls, configs: Configs) -> Iterator[Fact]:
        yield "its text encoder", configs.text_encoder.get("model_type"), "qwen3"
        yield "its denoiser", configs.transformer.get("_class_name"), cls.denoiser.__name__
        yield "its autoencoder", configs.vae.get("_class_name"), cls.coder.__name__
        yield "its scheduler", configs.scheduler.get("_class_name"), FlowMatchEulerDiscreteScheduler.__name__

    @classmethod
    @abstractmethod
    def _facts(cls, configs: Configs) -> Iterator[Fact]:
        """How the parts of such a checkpoint fit together."""

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
        """The shape of one picture's latents."""
        scale = self._autoencoder.scale_px
        return self._autoencoder.channels, height_px // scale, width_px // scale

    def loss(
        self, latents: Tensor, weights: Tensor, conditioning: Conditioning, generators: Sequence[Generator]
    ) -> Tensor:
        """The squared error of the predicted flow, at times that are logit-normal and shifted by the picture's size.

        Source: Labs et al., "FLUX.1 Kontext", arXiv 2506.15742, section 3; Z-Image Team, arXiv 2511.22699, section 4.3.
            That klein was trained so too is assumed, and that the shift is that of the scheduler's configuration.
        """
        tokens = latents[0, 0].numel() // self.patch**2
        levels = NoiseLevels(mean=size_shift(self._scheduler, tokens))
        return flow_loss(self.predict, latents, weights, conditioning, generators=generators, levels=levels)

    def schedule(self, scheduler: str, steps: int, *, width: int, height: int) -> Schedule:
        """Times and coefficients with the checkpoint's shift, or that of the picture's size where it says so."""
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
        """Logarithm of the shift for a picture of so many tokens in so many steps."""


def _text_encoder(folder: Path, place: Place, dtype: torch.dtype, *, thinking: bool) -> LanguageModel:
    tokenizer = read_tokenizer(folder / "tokenizer", Qwen2Tokenizer)
    before, after = chat(tokenizer, enable_thinking=thinking)
    return LanguageModel.load(
        folder,
        "text_encoder",
        tokenizer,
        kind=Qwen3Model,
        frame=frame(tokenizer, _TOKENS, before, after),
        place=place,
        dtype=dtype,
    )
