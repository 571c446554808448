"""SANA 1.5: a Gemma 2 encoder with an instruction before the prompt, and a linear flow-matching transformer.

SANA Sprint is another model, with an embedded guidance scale and other steps.

Source: Xie et al., "SANA", arXiv 2410.10629, sections 2.3 and 3; "SANA 1.5", arXiv 2501.18427.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import diffusers
import torch
from diffusers import AutoencoderDC, SanaTransformer2DModel
from PIL import Image
from torch import Generator, Tensor, nn
from transformers import Gemma2Model, GemmaTokenizer

from dti.errors import ModelUnavailableError
from dti.families.autoencoder import Autoencoder
from dti.families.base import Conditioning, Family, LatentDistribution, best_dtype
from dti.families.fingerprint import fingerprint
from dti.families.flow import NoiseLevels, flow_loss
from dti.families.framing import frame, read_tokenizer
from dti.families.language_model import LanguageModel
from dti.families.layout import LayoutCheck, check_layout
from dti.families.offload import OffloadedModule, Placement
from dti.families.sources import find, load_part, read_json
from dti.pictures import View
from dti.samplers import DenoisingSchedule, flow_schedule, flow_shift
from dti.tokens import SplicedPrompt
from dti.transfers import upload

_PARTS = ("tokenizer", "text_encoder", "transformer", "vae", "scheduler")
_SCHEDULERS = ("DPMSolverMultistepScheduler", "FlowMatchEulerDiscreteScheduler")

_WORDS = 299
"""Word tokens of a prompt; the begin token precedes them."""

INSTRUCTION = (
    "Given a user prompt, generate an 'Enhanced prompt' that provides detailed visual descriptions suitable for "
    "image generation. Evaluate the level of detail in the user prompt:\n"
    "- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, and spatial "
    "relationships to create vivid and concrete scenes.\n"
    "- If the prompt is already detailed, refine and enhance the existing details slightly without "
    "overcomplicating.\n"
    "Here are examples of how to transform or refine prompts:\n"
    "- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat curled up in a round shape, sleeping "
    "peacefully on a warm sunny windowsill, surrounded by pots of blooming red flowers.\n"
    "- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, featuring glowing "
    "street lamps, a diverse crowd of people in colorful clothing, and a double-decker bus passing by towering "
    "glass skyscrapers.\n"
    "Please generate only the enhanced description for the prompt below and avoid including any additional "
    "commentary or evaluations:\n"
    "User Prompt: "
)
"""Gemma's instruction before a prompt, as in SANA's training; negative prompts have none.

Source: SANA's configuration "chi_prompt", and the default of diffusers' pipeline.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class SanaParts:
    """Loaded parts of a checkpoint; the fingerprint covers text encoder and transformer."""

    fingerprint: str
    text_encoder: LanguageModel
    transformer: SanaTransformer2DModel
    autoencoder: Autoencoder
    scheduler: Mapping[str, Any]


class Sana(Family):
    """A checkpoint in the layout of SANA and SANA 1.5."""

    name = "sana"

    def __init__(self, parts: SanaParts) -> None:
        self.fingerprint = parts.fingerprint
        self.encoders = {parts.text_encoder.name: parts.text_encoder}
        self.device = parts.transformer.device
        self.dtype = parts.transformer.dtype
        self.size_multiple_px = parts.autoencoder.scale_px * parts.transformer.config.patch_size
        self.default_size_px = parts.transformer.config.sample_size * parts.autoencoder.scale_px
        self._text_encoder = parts.text_encoder
        self._transformer = parts.transformer
        self._autoencoder = parts.autoencoder
        self._scheduler = parts.scheduler
        self._levels = NoiseLevels(shift=flow_shift(parts.scheduler))

    @classmethod
    def load(
        cls, source: str | Path, *, device: torch.device, dtype: torch.dtype | None = None, offload: bool = False
    ) -> Self:
        """Load a checkpoint; see `Family.load`."""
        folder = find(source, _PARTS)
        check_layout(source, "SANA", _checks(folder))
        dtype = dtype or best_dtype(device)
        placement = Placement(device, offload)
        transformer = load_part(SanaTransformer2DModel, folder, "transformer", torch_dtype=dtype)
        text_encoder = _text_encoder(folder, placement, dtype)
        parts = SanaParts(
            fingerprint=fingerprint([text_encoder.network, transformer]),
            text_encoder=text_encoder,
            transformer=OffloadedModule(transformer, Placement(device)).model,
            autoencoder=Autoencoder.load(folder, placement=placement, kinds={"AutoencoderDC": AutoencoderDC}),
            scheduler=_read_scheduler(folder),
        )
        return cls(parts)

    @property
    def networks(self) -> Sequence[nn.Module]:
        """Gemma, the transformer and the autoencoder."""
        return self._text_encoder.network, self._transformer, self._autoencoder.network

    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:  # noqa: ARG002 - no size conditioning
        """Gemma's last hidden states at the begin token and the words, masked at padding."""
        inputs = [prompt.inputs[self._text_encoder.name] for prompt in prompts]
        output = self._text_encoder.read(inputs)
        positions = [[0, *range(tokens.first, tokens.first + _WORDS)] for tokens in inputs]
        pictures = torch.arange(len(inputs)).unsqueeze(1)
        selected = tuple(upload([pictures, torch.tensor(positions)], output.states.device))
        return {"hidden": output.states[:, 0][selected], "mask": output.mask[selected]}

    def encode(self, pixels: Tensor) -> LatentDistribution:
        """The autoencoder's point codes."""
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
        """Flow-matching loss, at logit-normal times with the checkpoint's shift.

        Source: Xie et al., arXiv 2410.10629, section 3.
        """
        return flow_loss(self.predict, latents, weights, conditioning, generators=generators, levels=self._levels)

    def predict(self, latents: Tensor, times: Tensor, conditioning: Conditioning) -> Tensor:
        """The transformer's output, noise minus picture."""
        output: Tensor = self._transformer(
            latents.to(self.dtype),
            encoder_hidden_states=conditioning["hidden"],
            encoder_attention_mask=conditioning["mask"],
            timestep=times.to(self.device) * self._transformer.config.timestep_scale,
            return_dict=False,
        )[0]
        return output.float()

    def schedule(self, scheduler: str, steps: int, *, width: int, height: int) -> DenoisingSchedule:  # noqa: ARG002 - independent of the size
        """Timesteps and coefficients with the checkpoint's shift."""
        return flow_schedule(scheduler, self._scheduler, steps)


def _text_encoder(folder: Path, placement: Placement, dtype: torch.dtype) -> LanguageModel:
    tokenizer = read_tokenizer(folder / "tokenizer", GemmaTokenizer)
    plain = frame(tokenizer, 1 + _WORDS)
    instructed = frame(tokenizer, 0, before=INSTRUCTION)
    return LanguageModel.load(
        folder,
        "text_encoder",
        tokenizer,
        kind=Gemma2Model,
        frame=replace(instructed, limit=len(instructed.begin) + _WORDS),
        negative_frame=plain,
        lower_case=True,
        placement=placement,
        dtype=dtype,
    )


def _checks(folder: Path) -> Iterator[LayoutCheck]:
    text, transformer, vae = (
        read_json(folder, f"{part}/config.json") for part in ("text_encoder", "transformer", "vae")
    )
    channels = transformer.get("in_channels", 32)
    output = transformer.get("out_channels", 32) or channels
    width = transformer.get("caption_channels", 2304)
    yield LayoutCheck("its text encoder", text.get("model_type"), "gemma2")
    yield LayoutCheck("its denoiser", transformer.get("_class_name"), "SanaTransformer2DModel")
    yield LayoutCheck("its autoencoder", vae.get("_class_name"), "AutoencoderDC")
    yield LayoutCheck("the denoiser's input in channels", channels, vae.get("latent_channels", 32))
    yield LayoutCheck("the denoiser's output in channels", output, channels)
    yield LayoutCheck("the width that the denoiser reads", width, text.get("hidden_size", 2304))
    yield LayoutCheck("an input for the guidance scale", transformer.get("guidance_embeds", False), False)


def _read_scheduler(folder: Path) -> Mapping[str, Any]:
    """Configuration of the checkpoint's scheduler, completed with its class's defaults."""
    given = read_json(folder, "scheduler/scheduler_config.json")
    kind = given.get("_class_name")
    flows = given.get("use_flow_sigmas", kind == "FlowMatchEulerDiscreteScheduler")
    if kind not in _SCHEDULERS or not flows:
        raise ModelUnavailableError(
            f"{folder}: its scheduler is {kind!r}, and SANA needs flow matching: one of {', '.join(_SCHEDULERS)}, the "
            "first with use_flow_sigmas."
        )
    config: Mapping[str, Any] = getattr(diffusers, kind).from_config(given).config
    return config
