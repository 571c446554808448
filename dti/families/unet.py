"""What families with a UNet have in common: CLIP text encoders, a denoiser of noisy latents, an autoencoder.

Owns how such a checkpoint is loaded, checked and asked. What the UNet reads of a prompt is each family's own.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from diffusers import UNet2DConditionModel
from PIL import Image
from torch import Generator, Tensor, nn

from dti.errors import ModelUnavailableError
from dti.families.autoencoder import AUTOENCODERS, Autoencoder
from dti.families.base import Conditioning, Family, LatentDistribution, best_dtype
from dti.families.clip import ClipTextEncoder
from dti.families.noise import NoiseSchedule
from dti.families.offload import Part, Place
from dti.families.sources import find, fingerprint, load_part, read_json
from dti.samplers import Schedule


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text encoder in the layout of a checkpoint: its kind, and the folder of its tokenizer."""

    kind: str
    tokenizer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """The parts of a checkpoint.

    Attributes:
        index: what model_index.json says.
        fingerprint: of text encoders and UNet.
        encoders: in the order in which the UNet reads them.
        unet: on its device, in its dtype.
        autoencoder: of the pictures.
        noise: what the UNet was trained on.
    """

    index: Mapping[str, Any]
    fingerprint: str
    encoders: Sequence[ClipTextEncoder]
    unet: UNet2DConditionModel
    autoencoder: Autoencoder
    noise: NoiseSchedule


class UNetFamily(Family):
    """A family whose denoiser is a UNet.

    Attributes:
        layout: what such checkpoints are called.
        text_parts: the text encoders by the names of their folders, in the order in which the UNet reads them.
        addition: the kind of conditioning that the UNet takes beside hidden states.
        insisted: what the family's own pipeline insists on in every scheduler's configuration.
    """

    layout: ClassVar[str]
    text_parts: ClassVar[Mapping[str, TextPart]]
    addition: ClassVar[str | None]
    insisted: ClassVar[Mapping[str, object]]

    def __init__(self, loaded: Loaded) -> None:
        self.fingerprint = loaded.fingerprint
        self.encoders = {encoder.name: encoder for encoder in loaded.encoders}
        self.device = loaded.unet.device
        self.dtype = loaded.unet.dtype
        self.size_multiple_px = loaded.autoencoder.scale_px
        self.default_size_px = loaded.unet.config.sample_size * self.size_multiple_px
        self._text_encoders = loaded.encoders
        self._unet = loaded.unet
        self._autoencoder = loaded.autoencoder
        self._noise = loaded.noise

    @classmethod
    def load(
        cls, source: str | Path, *, device: torch.device, dtype: torch.dtype | None = None, offload: bool = False
    ) -> Self:
        """A checkpoint, frozen and in its place; see `Family.load`."""
        tokenizers = [part.tokenizer for part in cls.text_parts.values()]
        folder = find(source, (*tokenizers, *cls.text_parts, "unet", "vae", "scheduler"))
        cls._check_layout(folder, source)
        dtype = dtype or best_dtype(device)
        place = Place(device, offload)
        loaded = Loaded(
            index=read_json(folder, "model_index.json"),
            fingerprint=fingerprint(folder, (*cls.text_parts, "unet")),
            encoders=[
                ClipTextEncoder.load(
                    folder, name=name, tokenizer=part.tokenizer, kind=part.kind, place=place, dtype=dtype
                )
                for name, part in cls.text_parts.items()
            ],
            unet=Part(load_part(UNet2DConditionModel, folder, "unet", torch_dtype=dtype), Place(device)).model,
            autoencoder=Autoencoder.load(folder, place=place),
            noise=NoiseSchedule.load(folder, **cls.insisted),
        )
        return cls(loaded)

    @classmethod
    def _check_layout(cls, folder: Path, source: str | Path) -> None:
        """Refuse other families by what sets them apart, before their weights are read."""
        facts = (*_text_facts(folder, cls.text_parts), *_picture_facts(folder, cls.text_parts, cls.addition))
        wrong = [
            f"it has {what}, {found!r}" if wanted is None else f"{what} is {found!r}, not {wanted!r}"
            for what, found, wanted in facts
            if found != wanted
        ]
        if (autoencoder := read_json(folder, "vae/config.json").get("_class_name")) not in AUTOENCODERS:
            wrong.append(f"its autoencoder is {autoencoder!r}, not one of {', '.join(AUTOENCODERS)}")
        if wrong:
            raise ModelUnavailableError(f"{source} is no {cls.layout} checkpoint: {'; '.join(wrong)}.")

    @property
    def networks(self) -> Sequence[nn.Module]:
        """The text models, the UNet and the autoencoder."""
        texts = [encoder.network for encoder in self._text_encoders]
        return *texts, self._unet, self._autoencoder.network

    def encode(self, pixels: Tensor) -> LatentDistribution:
        """The autoencoder's posterior, or its points where it has none."""
        return self._autoencoder.encode(pixels)

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """The autoencoder's pictures, clipped to eight bits."""
        return self._autoencoder.decode(latents)

    def latent_shape(self, width_px: int, height_px: int) -> tuple[int, int, int]:
        """The shape of one picture's latents."""
        scale = self.size_multiple_px
        return self._autoencoder.channels, height_px // scale, width_px // scale

    def loss(
        self, latents: Tensor, weights: Tensor, conditioning: Conditioning, generators: Sequence[Generator]
    ) -> Tensor:
        """The squared error of the predicted noise or v, at times drawn evenly."""
        return self._noise.loss(
            lambda noisy, times: self.predict(noisy, times, conditioning), latents, weights, generators
        )

    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The UNet's output."""
        output: Tensor = self._unet(
            latents.to(self.dtype),
            times.to(self.device),
            encoder_hidden_states=conditioning["hidden"],
            added_cond_kwargs=self._added(conditioning),
            return_dict=False,
        )[0]
        return output.float()

    @abstractmethod
    def _added(self, conditioning: Conditioning) -> Mapping[str, Tensor] | None:
        """What the UNet takes beside hidden states, by its own names."""

    def schedule(self, scheduler: str, steps: int, *, width: int, height: int) -> Schedule:  # noqa: ARG002 - alike for all sizes
        """Times and coefficients from the checkpoint's own noise schedule."""
        return self._noise.schedule(scheduler, steps)


_Fact = tuple[str, object, object]
"""What it is, what a checkpoint says, what it should say."""


def _text_facts(folder: Path, parts: Mapping[str, TextPart]) -> Iterator[_Fact]:
    for name, part in parts.items():
        kinds = read_json(folder, f"{name}/config.json").get("architectures", [part.kind])
        yield f"its {name}", kinds[0], part.kind
    for path in folder.glob("text_encoder*"):
        if path.name not in parts:
            yield "a further text encoder", path.name, None


def _picture_facts(folder: Path, parts: Mapping[str, TextPart], addition: str | None) -> Iterator[_Fact]:
    unet, vae = read_json(folder, "unet/config.json"), read_json(folder, "vae/config.json")
    width = sum(read_json(folder, f"{name}/config.json").get("hidden_size", 512) for name in parts)
    yield "its denoiser", unet.get("_class_name"), "UNet2DConditionModel"
    yield "the denoiser's input in channels", unet.get("in_channels", 4), vae.get("latent_channels", 4)
    yield "the width that the denoiser reads", unet.get("cross_attention_dim", 1280), width
    yield "further conditioning", unet.get("addition_embed_type"), addition
    yield "an input for the guidance scale", unet.get("time_cond_proj_dim"), None
