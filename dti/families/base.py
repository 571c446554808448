"""Interface of a model family: conditioning, latents, denoising loss and prediction. Also selects device and dtype.

Noise prediction, v prediction or flow matching is internal to each family; no family depends on methods or queues.
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
from dti.encoders import TextEncoder, vocabulary_norm
from dti.errors import InvalidSettingError, ModelUnavailableError
from dti.families.checkpointing import set_checkpointing
from dti.families.tiling import set_tiling
from dti.pictures import View
from dti.samplers import DenoisingSchedule
from dti.spec.registry import FAMILIES
from dti.tokens import SplicedPrompt
from dti.transfers import upload

LOSS_SCALE = 2.0**12
"""Factor of the loss before the backward pass, divided out of the gradients after it; in float16 the initial one.

In float16 small gradients would underflow to zero. For wider types the factor changes no bit, because it is a power of
two; so it is applied always, and results do not depend on the device's dtype policy."""

DTYPES: Mapping[str, torch.dtype] = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
}
"""Dtypes of denoisers and text encoders by name."""

_PORTABLE_TOKENS = 2**16
"""Largest vocabulary of a tokenizer that is published in the model card; CLIP's has 49,408 tokens."""

Conditioning = Mapping[str, Tensor]
"""The denoiser's inputs from prompts. All tensors are batch-first, so independent prompts can be concatenated."""


@dataclass(frozen=True, slots=True)
class LatentDistribution:
    """Distribution of pictures' latents, scaled for the denoiser.

    Attributes:
        mean: `(b, c, h, w)`, float32.
        std: standard deviation of the posterior, same shape; None for an autoencoder with point codes.
    """

    mean: Tensor
    std: Tensor | None

    def __getitem__(self, rows: slice) -> "LatentDistribution":
        """A slice of the pictures."""
        return LatentDistribution(self.mean[rows], None if self.std is None else self.std[rows])

    def sample(self, generator: Generator) -> Tensor:
        """Latents `(b, c, h, w)`; noise is drawn on the CPU, so it does not depend on the device."""
        if self.std is None:
            return self.mean
        (noise,) = upload([torch.randn(self.mean.shape, generator=generator)], self.mean.device)
        return self.mean + self.std * noise


class Family(ABC):
    """A loaded, frozen model. Learned rows are passed in and never stored in it.

    Attributes:
        name: its name in `FAMILIES`.
        device: device of the denoiser.
        dtype: dtype of the denoiser and the text encoders.
        fingerprint: identifies the weights; learned rows belong to one fingerprint.
        encoders: text encoders by their names in diffusers.
        default_size_px: side of the pictures that the model was trained on.
        size_multiple_px: widths and heights must be multiples of it.
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
        """Load a checkpoint of this family, frozen.

        Args:
            source: a folder in the diffusers layout, or a Hugging Face Hub id.
            device: device of the denoiser.
            dtype: dtype of the denoiser and the text encoders; None for the device's best.
            offload: whether text encoders and autoencoder are on the device only while in use.

        Raises:
            ModelUnavailableError: files are missing, or the checkpoint is of another family.
        """

    @property
    @abstractmethod
    def networks(self) -> Sequence[nn.Module]:
        """Text encoders, denoiser and autoencoder; all of them stay as loaded."""

    @abstractmethod
    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:
        """The denoiser's inputs for these prompts, differentiable in the spliced rows.

        Args:
            prompts: b prompts.
            views: b views, for models with size and crop conditioning.
        """

    def join(self, conditionings: Sequence[Conditioning]) -> Conditioning:
        """Conditionings of several prompts as one batch, in order."""
        return {name: torch.cat([each[name] for each in conditionings]) for name in conditionings[0]}

    @abstractmethod
    def encode(self, pixels: Tensor) -> LatentDistribution:
        """Latents of pictures `(b, 3, h, w)` in -1 … 1; without gradients."""

    @abstractmethod
    def decode(self, latents: Tensor) -> list[Image.Image]:
        """Pictures of latents `(b, c, h, w)`; without gradients."""

    @abstractmethod
    def latent_shape(self, width_px: int, height_px: int) -> tuple[int, int, int]:
        """Shape `(c, h, w)` of one picture's latents."""

    @abstractmethod
    def loss(
        self, latents: Tensor, weights: Tensor, conditioning: Conditioning, generators: Sequence[Generator]
    ) -> Tensor:
        """Denoising loss at random times and noise.

        Args:
            latents: `(b, c, h, w)`.
            weights: `(b, 1, h, w)`, relative weight of each latent position within its picture.
            conditioning: inputs for b prompts.
            generators: b CPU generators. Each picture's time and noise are drawn from its own, in this order, so that
                draws do not depend on the rest of the batch.

        Returns:
            Weighted mean squared error per picture, `(b,)` float32; see `mean_squared`.
        """

    @abstractmethod
    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The denoiser's raw output for latents `(b, c, h, w)` at times `(b,)`, in float32."""

    @abstractmethod
    def schedule(self, scheduler: str, steps: int, *, width: int, height: int) -> DenoisingSchedule:
        """Timesteps and coefficients for denoising a picture.

        Args:
            scheduler: one of `schedulers`.
            steps: number of denoising steps.
            width: picture width in pixels; some models shift noise levels by size.
            height: picture height in pixels.

        Raises:
            UnknownSchedulerError: the family has no such sampler.
        """

    def guidance(self, scale: float) -> float:
        """Factor s of "negative + s (prompt - negative)" for a requested guidance scale.

        1 disables guidance, and so does any smaller scale: with s = 0 the prompt would have no effect.

        Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598, equation 6 with s = 1 + w.
        """
        return max(1.0, scale)

    @property
    def takes_guidance(self) -> bool:
        """Whether some guidance scale has an effect: not with checkpoints that were distilled to do without."""
        return True

    @property
    def schedulers(self) -> tuple[str, ...]:
        """Samplers supported by `schedule`."""
        return FAMILIES[self.name].schedulers

    def set_checkpointing(self, *, enabled: bool) -> None:
        """Switch activation checkpointing of denoiser and text encoders; see `dti.families.checkpointing`."""
        set_checkpointing(self.networks, enabled=enabled)

    def set_tiling(self, *, enabled: bool) -> None:
        """Switch tiled encoding and decoding of pictures on or off; see `dti.families.tiling`."""
        set_tiling(self.networks[-1], enabled=enabled)

    def check_size(self, *, width: int, height: int) -> None:
        """Refuse a picture size that latents cannot represent.

        Raises:
            InvalidSettingError: a side is no multiple of `size_multiple_px`.
        """
        for side, size_px in (("width", width), ("height", height)):
            if size_px % self.size_multiple_px:
                multiple = self.size_multiple_px
                raise InvalidSettingError(side, f"{size_px} is no multiple of {multiple}, as this model needs.")

    def check_fits(self, embedding: Embedding, *, strict: bool = True) -> None:
        """Refuse rows that were learned on another model.

        Args:
            embedding: the rows.
            strict: whether rows of another checkpoint of the family are refused, too.

        Raises:
            EmbeddingMismatchError: family, encoders or widths differ; if strict, the fingerprint.
        """
        widths = {name: encoder.width for name, encoder in self.encoders.items()}
        fingerprint = self.fingerprint if strict else embedding.fingerprint
        embedding.check_fits(family=self.name, fingerprint=fingerprint, widths=widths)

    def card(self) -> dict[str, object]:
        """Model facts for checking prompts and rows without the model, as JSON values.

        A language model's tokenizer is omitted: tens of megabytes of JSON, and seconds and hundreds of megabytes to
        parse, only to refuse an overlong prompt slightly earlier.
        """
        return {
            "fingerprint": self.fingerprint,
            "takes_guidance": self.takes_guidance,
            "encoders": {
                name: {
                    "width": encoder.width,
                    "token_limit": encoder.frame.token_limit,
                    "chunk_tokens": encoder.frame.words if encoder.frame.chunks > 1 else None,
                    "comma": encoder.frame.comma,
                    "frame_tokens": len(encoder.frame.begin) + len(encoder.frame.end),
                    "lead": encoder.frame.lead,
                    "magnitude": vocabulary_norm(encoder.vocabulary, "mean"),
                    "zero_rows": (~encoder.vocabulary.any(dim=-1)).nonzero().flatten().tolist(),
                    "tokenizer": _portable(encoder.tokenizer),
                }
                for name, encoder in self.encoders.items()
            },
        }


def _portable(tokenizer: Tokenizer) -> str | None:
    """Serialised tokenizer for the `tokenizers` library; None for a large vocabulary."""
    return tokenizer.to_str() if tokenizer.get_vocab_size() <= _PORTABLE_TOKENS else None


def mean_squared(error: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean squared error per picture.

    Args:
        error: `(b, c, h, w)`.
        weights: `(b, 1, h, w)`.
    """
    return (error.square() * weights).mean(dim=(1, 2, 3)) / weights.mean(dim=(1, 2, 3))


def choose_device(wanted: str) -> torch.device:
    """Device by name; "auto" selects the GPU if present."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def choose_dtype(family: str, device: torch.device, wanted: str = "auto") -> torch.dtype:
    """Dtype of a model's denoiser and text encoders on a device.

    Args:
        family: a name of `FAMILIES`.
        device: device of the denoiser.
        wanted: "auto", "bfloat16", "float16" or "float32". "auto" is the device's best, or float32 where that is
            float16 and the family does not stand it.

    Raises:
        ModelUnavailableError: float16 is wanted, and the family does not stand it.
    """
    reason = FAMILIES[family].no_float16
    if wanted == "float16" and reason is not None:
        raise ModelUnavailableError(
            f"Models of the family {family!r} cannot run in float16: {reason}. Use bfloat16, or float32."
        )
    if wanted != "auto":
        return DTYPES[wanted]
    best = best_dtype(device)
    return torch.float32 if best is torch.float16 and reason is not None else best


def best_dtype(device: torch.device) -> torch.dtype:
    """Fastest dtype of a device for frozen weights without visible loss of quality.

    CPUs get float32: without bf16 units they multiply bf16 matrices hundreds of times slower.
    """
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
