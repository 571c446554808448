"""Base of families with CLIP text encoders and a UNet: loading, checks, loss and prediction.

The UNet's conditioning is defined by each family.
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
from torch.nn import functional

from dti.families.autoencoder import AUTOENCODERS, Autoencoder
from dti.families.base import Conditioning, Family, LatentDistribution, best_dtype
from dti.families.clip import ClipTextEncoder
from dti.families.fingerprint import fingerprint
from dti.families.layout import LayoutCheck, check_layout
from dti.families.noise import NoiseSchedule
from dti.families.offload import OffloadedModule, Placement
from dti.families.one_file import open_file
from dti.families.sources import find, load_part, read_json
from dti.samplers import DenoisingSchedule


@dataclass(frozen=True, slots=True)
class TextEncoderPart:
    """A text encoder in the layout of a checkpoint: its class, and the folder of its tokenizer."""

    kind: str
    tokenizer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class UNetParts:
    """Loaded parts of a checkpoint.

    Attributes:
        index: contents of model_index.json.
        fingerprint: of text encoders and UNet.
        encoders: in the order of the UNet's conditioning.
        unet: on its device, in its dtype.
        autoencoder: in float32.
        noise: noise schedule of the UNet's training.
    """

    index: Mapping[str, Any]
    fingerprint: str
    encoders: Sequence[ClipTextEncoder]
    unet: UNet2DConditionModel
    autoencoder: Autoencoder
    noise: NoiseSchedule


class UNetFamily(Family):
    """A family with CLIP text encoders and a UNet.

    Attributes:
        layout: name of the layout in messages.
        encoder_parts: text encoders by folder name, in the order of the UNet's conditioning.
        addition: the UNet's `addition_embed_type`.
        scheduler_overrides: values that diffusers' pipeline forces over the scheduler's configuration.
    """

    layout: ClassVar[str]
    encoder_parts: ClassVar[Mapping[str, TextEncoderPart]]
    addition: ClassVar[str | None]
    scheduler_overrides: ClassVar[Mapping[str, object]]

    def __init__(self, parts: UNetParts) -> None:
        self.fingerprint = parts.fingerprint
        self.encoders = {encoder.name: encoder for encoder in parts.encoders}
        self.device = parts.unet.device
        self.dtype = parts.unet.dtype
        self.size_multiple_px = parts.autoencoder.scale_px
        self.default_size_px = parts.unet.config.sample_size * self.size_multiple_px
        self._text_encoders = parts.encoders
        self._unet = parts.unet
        self._autoencoder = parts.autoencoder
        self._noise = parts.noise

    @classmethod
    def load(
        cls, source: str | Path, *, device: torch.device, dtype: torch.dtype | None = None, offload: bool = False
    ) -> Self:
        """Load a checkpoint; see `Family.load`."""
        tokenizers = [part.tokenizer for part in cls.encoder_parts.values()]
        one = open_file(Path(source)) if Path(source).is_file() else None
        file = one.path if one else None
        folder = one.folder if one else find(source, (*tokenizers, *cls.encoder_parts, "unet", "vae", "scheduler"))
        check_layout(source, cls.layout, _checks(folder, cls.encoder_parts, cls.addition))
        dtype = dtype or best_dtype(device)
        placement = Placement(device, offload)
        unet = load_part(UNet2DConditionModel, folder, "unet", file=file, torch_dtype=dtype)
        encoders = [
            ClipTextEncoder.load(
                folder, name, part.tokenizer, kind=part.kind, placement=placement, dtype=dtype, file=file
            )
            for name, part in cls.encoder_parts.items()
        ]
        parts = UNetParts(
            index=read_json(folder, "model_index.json"),
            fingerprint=fingerprint([*(encoder.network for encoder in encoders), unet]),
            encoders=encoders,
            unet=OffloadedModule(unet, Placement(device)).model,
            autoencoder=Autoencoder.load(folder, placement=placement, file=file),
            noise=NoiseSchedule.load(folder, **cls.scheduler_overrides, **(one.scheduler if one else {})),
        )
        return cls(parts)

    @property
    def networks(self) -> Sequence[nn.Module]:
        """The text models, the UNet and the autoencoder."""
        texts = [encoder.network for encoder in self._text_encoders]
        return *texts, self._unet, self._autoencoder.network

    def encode(self, pixels: Tensor) -> LatentDistribution:
        """The autoencoder's posterior, or its point codes."""
        return self._autoencoder.encode(pixels)

    def decode(self, latents: Tensor) -> list[Image.Image]:
        """The autoencoder's pictures, clipped to eight bits."""
        return self._autoencoder.decode(latents)

    def latent_shape(self, width_px: int, height_px: int) -> tuple[int, int, int]:
        """Shape of one picture's latents."""
        scale = self.size_multiple_px
        return self._autoencoder.channels, height_px // scale, width_px // scale

    def join(self, conditionings: Sequence[Conditioning]) -> Conditioning:
        """Prompts of different lengths are padded and masked, which changes nothing for the denoiser but rounding."""
        lengths = {conditioning["hidden"].shape[1] for conditioning in conditionings}
        if len(lengths) == 1 and not any("mask" in conditioning for conditioning in conditionings):
            return super().join(conditionings)
        return super().join([_padded(conditioning, max(lengths)) for conditioning in conditionings])

    def loss(
        self, latents: Tensor, weights: Tensor, conditioning: Conditioning, generators: Sequence[Generator]
    ) -> Tensor:
        """Squared error of the predicted noise or v, at uniformly drawn times; see `NoiseSchedule.loss`."""
        return self._noise.loss(
            lambda noisy, times: self.predict(noisy, times, conditioning), latents, weights, generators
        )

    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The UNet's output: noise or v."""
        output: Tensor = self._unet(
            latents.to(self.dtype),
            times.to(self.device),
            encoder_hidden_states=conditioning["hidden"],
            encoder_attention_mask=conditioning.get("mask"),
            added_cond_kwargs=self._added(conditioning),
            return_dict=False,
        )[0]
        return output.float()

    @abstractmethod
    def _added(self, conditioning: Conditioning) -> Mapping[str, Tensor] | None:
        """Further conditioning, by the names of the UNet's arguments."""

    def schedule(self, scheduler: str, steps: int, *, width: int, height: int) -> DenoisingSchedule:  # noqa: ARG002 - independent of the size
        """Timesteps and coefficients from the checkpoint's noise schedule."""
        return self._noise.schedule(scheduler, steps)


def _checks(folder: Path, parts: Mapping[str, TextEncoderPart], addition: str | None) -> Iterator[LayoutCheck]:
    yield from _encoder_checks(folder, parts)
    yield from _denoiser_checks(folder, parts, addition)
    autoencoder = read_json(folder, "vae/config.json").get("_class_name")
    known = autoencoder if autoencoder in AUTOENCODERS else " or ".join(AUTOENCODERS)
    yield LayoutCheck("its autoencoder", autoencoder, known)


def _encoder_checks(folder: Path, parts: Mapping[str, TextEncoderPart]) -> Iterator[LayoutCheck]:
    for name, part in parts.items():
        kinds = read_json(folder, f"{name}/config.json").get("architectures", [part.kind])
        yield LayoutCheck(f"its {name}", kinds[0], part.kind)
    for path in folder.glob("text_encoder*"):
        if path.name not in parts:
            yield LayoutCheck("a further text encoder", path.name, None)


def _denoiser_checks(folder: Path, parts: Mapping[str, TextEncoderPart], addition: str | None) -> Iterator[LayoutCheck]:
    unet, vae = read_json(folder, "unet/config.json"), read_json(folder, "vae/config.json")
    width = sum(read_json(folder, f"{name}/config.json").get("hidden_size", 512) for name in parts)
    yield LayoutCheck("its denoiser", unet.get("_class_name"), "UNet2DConditionModel")
    yield LayoutCheck("the denoiser's input in channels", unet.get("in_channels", 4), vae.get("latent_channels", 4))
    yield LayoutCheck("the width that the denoiser reads", unet.get("cross_attention_dim", 1280), width)
    yield LayoutCheck("further conditioning", unet.get("addition_embed_type"), addition)
    yield LayoutCheck("an input for the guidance scale", unet.get("time_cond_proj_dim"), None)


def with_mask(conditioning: Mapping[str, Tensor], mask: Tensor | None) -> Conditioning:
    """Conditioning with a mask `(b, tokens)` of its hidden states; None for none."""
    return conditioning if mask is None else {**conditioning, "mask": mask}


def _padded(conditioning: Conditioning, length: int) -> Conditioning:
    """Conditioning with hidden states of a length, and a mask of the padding."""
    hidden = conditioning["hidden"]
    mask = conditioning.get("mask", torch.ones(hidden.shape[:2], dtype=torch.bool, device=hidden.device))
    missing = length - hidden.shape[1]
    padded = {"hidden": functional.pad(hidden, (0, 0, 0, missing)), "mask": functional.pad(mask, (0, missing))}
    return {**conditioning, **padded}
