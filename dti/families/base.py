"""What a model family is to the engines: prompts to conditioning, pictures to latents and back, a loss, a prediction.

Owns that border and the choice of device and dtype. Noise prediction, v-prediction or flow matching are each family's
secret; no family knows how rows are learned or how pictures are queued.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import torch
from PIL import Image
from tokenizers import Tokenizer
from torch import Generator, Tensor, nn

from dti.embeddings.embedding import Embedding
from dti.errors import InvalidSettingError
from dti.methods.base import magnitude_of
from dti.pictures import View
from dti.samplers import Schedule
from dti.spec.registry import FAMILIES
from dti.tokens import SplicedPrompt, TextEncoder

LOSS_SCALE = 2.0**12
"""Multiplies a loss before the way back and divides the gradients after it: float16 would lose the small ones; for
wider types a power of two changes no bit."""

_PORTABLE_TOKENS = 2**16
"""Of a tokenizer that others may have: CLIP's has 49,408."""

Conditioning = Mapping[str, Tensor]
"""What the denoiser reads of prompts. Every tensor is batch-first, so that prompts of strangers can be put together."""


@dataclass(frozen=True, slots=True)
class LatentDistribution:
    """What an autoencoder makes of pictures, scaled as the denoiser knows it.

    Attributes:
        mean: `(b, c, h, w)`, float32.
        std: the posterior's width, of the same shape; None where the autoencoder gives single points.
    """

    mean: Tensor
    std: Tensor | None

    def __getitem__(self, rows: slice) -> "LatentDistribution":
        """Some of the pictures."""
        return LatentDistribution(self.mean[rows], None if self.std is None else self.std[rows])

    def sample(self, generator: Generator) -> Tensor:
        """Latents `(b, c, h, w)`; the noise is drawn on the CPU, so that it is the same for every device."""
        if self.std is None:
            return self.mean
        noise = torch.randn(self.mean.shape, generator=generator)
        return self.mean + self.std * noise.to(self.mean)


class Family(ABC):
    """A loaded, frozen model: nothing here changes it, and learned rows live outside of it.

    Attributes:
        name: the family, as `FAMILIES` lists it.
        device: where it runs.
        dtype: of the denoiser and the text encoders.
        fingerprint: says which weights these are: learned rows belong to one fingerprint.
        encoders: the text encoders by the name that diffusers gives them.
        default_size_px: the side of a picture as the model was trained.
        size_multiple_px: widths and heights are multiples of it.
    """

    name: ClassVar[str]
    device: torch.device
    dtype: torch.dtype
    fingerprint: str
    encoders: Mapping[str, TextEncoder]
    default_size_px: int
    size_multiple_px: int

    @classmethod
    @abstractmethod
    def load(
        cls, source: str | Path, *, device: torch.device, dtype: torch.dtype | None = None, offload: bool = False
    ) -> Self:
        """A checkpoint of this family, frozen and on the device.

        Args:
            source: a folder in the diffusers layout, or the id of one on the Hugging Face Hub.
            device: where it runs.
            dtype: of the denoiser and the text encoders; None for the device's best.
            offload: whether text encoders and autoencoder come to the device only while they work.

        Raises:
            ModelUnavailableError: what is missing, or why it is no model of this family.
        """

    @property
    @abstractmethod
    def networks(self) -> Sequence[nn.Module]:
        """Every network of the model: text encoders, denoiser, autoencoder. All of them stay as they were loaded."""

    @abstractmethod
    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:
        """What the denoiser reads of these prompts, differentiable in the spliced rows.

        Args:
            prompts: b of them.
            views: per prompt, which part of a picture is to be seen; for models that were trained to be told.
        """

    @abstractmethod
    def encode(self, pixels: Tensor) -> LatentDistribution:
        """The latents of pictures `(b, 3, h, w)` with values in -1 … 1; no gradients."""

    @abstractmethod
    def decode(self, latents: Tensor) -> list[Image.Image]:
        """The pictures of latents `(b, c, h, w)`, a few at a time; no gradients."""

    @abstractmethod
    def latent_shape(self, width_px: int, height_px: int) -> tuple[int, int, int]:
        """The shape `(c, h, w)` of one picture's latents."""

    @abstractmethod
    def loss(
        self, latents: Tensor, weights: Tensor, conditioning: Conditioning, generators: Sequence[Generator]
    ) -> Tensor:
        """How badly the denoiser restores these latents from random noise at random times.

        Args:
            latents: `(b, c, h, w)`.
            weights: `(b, 1, h, w)`, how much each place counts, compared with the others of its picture.
            conditioning: of b prompts.
            generators: b of them, on the CPU; each picture's time and noise come from its own, in this order, so that
                nobody's draws depend on the company.

        Returns:
            One weighted mean squared error per picture, `(b,)` float32; see `mean_squared`.
        """

    @abstractmethod
    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's raw output for latents `(b, c, h, w)`, each at its own time `(b,)`, in float32."""

    @abstractmethod
    def schedule(self, scheduler: str, steps: int, *, width: int, height: int) -> Schedule:
        """Times and coefficients with which a picture is denoised.

        Args:
            scheduler: one of `schedulers`.
            steps: how many.
            width: of the picture in pixels; some models noise large pictures more.
            height: likewise.

        Raises:
            UnknownSchedulerError: the family has no such scheduler.
        """

    def guidance(self, scale: float) -> float:
        """What multiplies the difference between a prompt and its negative one, for a guidance scale that was asked.

        Returns:
            The factor s of "negative + s (prompt - negative)"; 1 where the negative prompt plays no part.
        """
        return scale

    @property
    def schedulers(self) -> tuple[str, ...]:
        """The samplers that `schedule` knows."""
        return FAMILIES[self.name].schedulers

    def check_size(self, *, width: int, height: int) -> None:
        """Refuse a picture size that latents cannot have.

        Raises:
            InvalidSettingError: the side that is no multiple of `size_multiple_px`.
        """
        for side, size_px in (("width", width), ("height", height)):
            if size_px % self.size_multiple_px:
                multiple = self.size_multiple_px
                raise InvalidSettingError(side, f"{size_px} is no multiple of {multiple}, as this model needs.")

    def check_fits(self, embedding: Embedding) -> None:
        """Refuse rows that were not learned on this model.

        Raises:
            EmbeddingMismatchError: what differs.
        """
        widths = {name: encoder.width for name, encoder in self.encoders.items()}
        embedding.check_fits(family=self.name, fingerprint=self.fingerprint, widths=widths)

    def card(self) -> dict[str, object]:
        """What a service without this model must know of it to check prompts and rows, as JSON values.

        The tokenizer of a language model stays here: tens of megabytes as text, and seconds and hundreds of megabytes
        for whoever reads it, only to tell a prompt of several hundred words a little earlier that it is too long.
        """
        return {
            "fingerprint": self.fingerprint,
            "encoders": {
                name: {
                    "width": encoder.width,
                    "token_limit": encoder.frame.limit,
                    "frame_tokens": len(encoder.frame.begin) + len(encoder.frame.end),
                    "lead": encoder.frame.lead,
                    "magnitude": magnitude_of(encoder.vocabulary, "mean"),
                    "zero_rows": (~encoder.vocabulary.any(dim=-1)).nonzero().flatten().tolist(),
                    "tokenizer": _portable(encoder.tokenizer),
                }
                for name, encoder in self.encoders.items()
            },
        }


def _portable(tokenizer: Tokenizer) -> str | None:
    """A tokenizer as the `tokenizers` library reads it; None for a large one."""
    return tokenizer.to_str() if tokenizer.get_vocab_size() <= _PORTABLE_TOKENS else None


def mean_squared(error: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of an error's squares, per picture.

    Args:
        error: `(b, c, h, w)`.
        weights: `(b, 1, h, w)`.
    """
    return (error.square() * weights).mean(dim=(1, 2, 3)) / weights.mean(dim=(1, 2, 3))


def choose_device(wanted: str) -> torch.device:
    """A device by name; "auto" is the GPU where there is one."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def best_dtype(device: torch.device) -> torch.dtype:
    """The dtype in which a device runs frozen weights fastest without loss that shows.

    A CPU without bf16 units multiplies bf16 matrices hundreds of times slower than float32, so CPUs get float32.
    """
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
