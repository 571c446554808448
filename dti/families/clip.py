"""The CLIP text encoder, as several families carry one: its tokenizer, its table, and prompts through it.

Owns how CLIP frames words and what its outputs are called. It knows no denoiser.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from dti.errors import ModelUnavailableError
from dti.families.offload import Part, Place
from dti.families.sources import load_part
from dti.tokens import Frame, SplicedLine, spliced

TEXT_MODELS: Mapping[str, Any] = {
    "CLIPTextModel": CLIPTextModel,
    "CLIPTextModelWithProjection": CLIPTextModelWithProjection,
}
"""The kinds of text model: without and with a projection of the pooled vector."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What an encoder makes of b prompts.

    Attributes:
        last: hidden states `(b, tokens, d)` after the last layer, normalised.
        penultimate: those before the last layer, as they are.
        vector: of the end of each prompt, `(b, p)`; projected where the model has a projection.
    """

    last: Tensor
    penultimate: Tensor
    vector: Tensor


class ClipTextEncoder:
    """A frozen CLIP text model and its tokenizer.

    Attributes:
        name: as diffusers calls it.
        frame: what stands around the words.
        negative_frame: the same.
        tokenizer: of the words, without padding and truncation.
        vocabulary: the frozen input table `(V, d)`, where the model is while it does not work.
        network: the text model.
    """

    def __init__(self, name: str, part: Part, tokenizer: Tokenizer, frame: Frame) -> None:
        self.name = name
        self.frame = self.negative_frame = frame
        self.tokenizer = tokenizer
        self.vocabulary: Tensor = part.model.get_input_embeddings().weight.detach()
        self.network: nn.Module = part.model
        self._part = part

    @classmethod
    def load(
        cls, folder: Path, name: str, tokenizer: str, *, kind: str, place: Place, dtype: torch.dtype
    ) -> "ClipTextEncoder":
        """The encoder of a checkpoint.

        Args:
            folder: the checkpoint.
            name: of the encoder's folder in it.
            tokenizer: of the tokenizer's.
            kind: one of `TEXT_MODELS`.
            place: where it computes.
            dtype: of its weights.

        Raises:
            ModelUnavailableError: what is missing.
        """
        model = load_part(TEXT_MODELS[kind], folder, name, dtype=dtype)
        words, frame = _read_tokenizer(folder / tokenizer, model.config.max_position_embeddings)
        if len(model.get_input_embeddings().weight) <= max(*frame.begin, *frame.end, frame.padding):
            raise ModelUnavailableError(f"{folder}: {tokenizer} and {name} do not belong together.")
        return cls(name, Part(model, place), words, frame)

    @property
    def width(self) -> int:
        """Numbers a row."""
        return self.vocabulary.shape[1]

    def word_ids(self, text: str) -> list[int]:
        """The tokens of a text, without begin and end.

        Begin and end are left out wherever they come from, a user's "<|endoftext|>" or a character that the tokenizer
        does not know and reads as the end: the prompt's own end would no longer be the first.
        """
        special = {*self.frame.begin, *self.frame.end}
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token not in special]

    def text_ids(self, text: str) -> list[int]:
        """The same: white space is no part of a token here."""
        return self.word_ids(text)

    def read(self, lines: Sequence[SplicedLine]) -> Reading:
        """What the encoder makes of these prompts, differentiable in their rows.

        The vector of a prompt is found at its end token, or at its largest id where the configuration says so:
        stand-ins are words below it, so that both mean the same place.
        """
        with self._part.at_work() as model, spliced(model.get_input_embeddings(), lines) as ids:
            output = model(ids, output_hidden_states=True)
        vector = output.text_embeds if "text_embeds" in output else output.pooler_output
        return Reading(output.last_hidden_state, output.hidden_states[-2], vector)

    def output(self, ids: Sequence[int]) -> Tensor:
        """The last hidden state `(len(ids), d)` at these tokens, between begin and end."""
        framed = (*self.frame.begin, *ids, *self.frame.end)
        padded = framed + (self.frame.padding,) * (self.frame.limit - len(framed))
        with torch.no_grad():
            hidden = self.read([SplicedLine(padded, (), None, len(self.frame.begin))]).last
        return hidden[0, len(self.frame.begin) :][: len(ids)]


def _read_tokenizer(folder: Path, positions: int) -> tuple[Tokenizer, Frame]:
    """The words' tokenizer, apart from the library's own object, and what it puts around them."""
    try:
        vendor = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelUnavailableError(f"{folder} holds no CLIP tokenizer that can be read: {error}") from error
    tokenizer = Tokenizer.from_str(vendor.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    limit = min(vendor.model_max_length, positions)
    return tokenizer, Frame((vendor.bos_token_id,), (vendor.eos_token_id,), vendor.pad_token_id, limit)
