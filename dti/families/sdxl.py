"""Stable Diffusion XL: two CLIP text encoders, and a UNet with size and crop conditioning.

Each encoder has its own learned rows. The UNet is conditioned on the concatenated penultimate hidden states and on the
second encoder's pooled, projected vector.

Source: Podell et al., "SDXL", arXiv 2307.01952, sections 2.1 and 2.2.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor

from dti.families.base import Conditioning
from dti.families.unet import TextEncoderPart, UNetFamily, UNetParts, with_mask
from dti.pictures import View
from dti.tokens import SplicedPrompt
from dti.transfers import upload


class StableDiffusionXL(UNetFamily):
    """A checkpoint in the layout of Stable Diffusion XL, without a refiner."""

    name = "sdxl"
    layout = "Stable Diffusion XL"
    encoder_parts: ClassVar = {
        "text_encoder": TextEncoderPart("CLIPTextModel", "tokenizer"),
        "text_encoder_2": TextEncoderPart("CLIPTextModelWithProjection", "tokenizer_2"),
    }
    addition = "text_time"
    scheduler_overrides: ClassVar = {}

    def __init__(self, parts: UNetParts) -> None:
        super().__init__(parts)
        self._zero_empty_prompts: bool = parts.index.get("force_zeros_for_empty_prompt", True)

    def condition(self, prompts: Sequence[SplicedPrompt], views: Sequence[View]) -> Conditioning:
        """Hidden states, the pooled vector, and the views as numbers.

        An empty prompt is all zeros where model_index.json sets `force_zeros_for_empty_prompt`.
        """
        first, second = (
            encoder.read([prompt.inputs[encoder.name] for prompt in prompts]) for encoder in self._text_encoders
        )
        hidden = torch.cat([first.penultimate, second.penultimate], dim=-1)
        words = torch.tensor([not (self._zero_empty_prompts and self._is_empty(prompt)) for prompt in prompts])
        time_ids = torch.tensor([_time_ids(view) for view in views], dtype=torch.float32)
        kept, sizes = upload([words.to(hidden.dtype), time_ids], self.device)
        conditioning = {
            "hidden": hidden * kept[:, None, None],
            "pooled": second.pooled * kept[:, None],
            "sizes": sizes,
        }
        return with_mask(conditioning, first.mask)

    def _is_empty(self, prompt: SplicedPrompt) -> bool:
        """Whether begin and end tokens enclose nothing."""
        encoder = self._text_encoders[0]
        empty = (*encoder.frame.begin, *encoder.frame.end)
        ids = prompt.inputs[encoder.name].ids
        return len(ids) == encoder.frame.limit and ids[: len(empty)] == empty

    def _added(self, conditioning: Conditioning) -> Mapping[str, Tensor]:
        """The pooled vector, and the numbers of the views."""
        return {"text_embeds": conditioning["pooled"], "time_ids": conditioning["sizes"]}


def _time_ids(view: View) -> tuple[int, ...]:
    """Original height and width, top and left of the crop, height and width of the crop."""
    return (view.whole_height, view.whole_width, view.top, view.left, view.height, view.width)
