"""CLIP text encoder of Stable Diffusion and SDXL: tokenizer, framing and outputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from dti.encoders import PromptFrame
from dti.errors import InvalidSettingError, ModelUnavailableError
from dti.families.chunks import chunk_mask, emphasized, join_chunks, split_chunks
from dti.families.offload import OffloadedModule, Placement
from dti.families.single_files import FOLDER, clip_tokenizer
from dti.families.sources import load_part, read_json
from dti.tokens import SplicedInput, spliced
from dti.transfers import upload

TEXT_MODELS: Mapping[str, Any] = {
    "CLIPTextModel": CLIPTextModel,
    "CLIPTextModelWithProjection": CLIPTextModelWithProjection,
}
"""Supported text models: without and with a projection of the pooled vector."""


_MAX_CHUNKS = 6
"""Chunks of 75 tokens that a prompt may take: 450 words and more than any preset of A1111."""


@dataclass(frozen=True, slots=True)
class ClipOutput:
    """Outputs for b prompts.

    Attributes:
        last: hidden states `(b, tokens, d)` after the last layer, or the layer of `clip_skip`, normalised.
        penultimate: hidden states before the last layer, not normalised.
        pooled: vector at the end of each prompt's first chunk, `(b, p)`; projected where the model has a projection.
        mask: `(b, tokens)`, false behind the last chunk of the shorter prompts; None if all are equally long.
    """

    last: Tensor
    penultimate: Tensor
    pooled: Tensor
    mask: Tensor | None


class ClipTextEncoder:
    """A frozen CLIP text model and its tokenizer; see `dti.encoders.TextEncoder`.

    Attributes:
        vocabulary: frozen input embedding table `(V, d)`, on the host while the model is offloaded.
        network: the text model.
    """

    def __init__(self, name: str, module: OffloadedModule, tokenizer: Tokenizer, frame: PromptFrame) -> None:
        self.name = name
        self.frame = self.negative_frame = frame
        self.tokenizer = tokenizer
        self.vocabulary: Tensor = module.model.get_input_embeddings().weight.detach()
        self.network: nn.Module = module.model
        self._module = module

    @classmethod
    def load(
        cls,
        folder: Path,
        name: str,
        tokenizer: str,
        *,
        kind: str,
        placement: Placement,
        dtype: torch.dtype,
        file: Path | None = None,
    ) -> "ClipTextEncoder":
        """Load an encoder of a checkpoint.

        Args:
            folder: the checkpoint.
            name: folder of the encoder in it.
            tokenizer: folder of the tokenizer in it.
            kind: a name of `TEXT_MODELS`.
            placement: where it computes.
            dtype: dtype of its weights.
            file: a one-file checkpoint with the weights.

        Raises:
            ModelUnavailableError: files are missing or damaged, or tokenizer and encoder differ in their vocabularies.
        """
        model = load_part(TEXT_MODELS[kind], folder, name, file=file, dtype=dtype)
        words, frame = _read_tokenizer(folder / tokenizer, model.config.max_position_embeddings)
        if len(model.get_input_embeddings().weight) <= max(*frame.begin, *frame.end, frame.padding):
            raise ModelUnavailableError(f"{folder}: {tokenizer} and {name} do not belong together.")
        return cls(name, OffloadedModule(model, placement), words, frame)

    @property
    def width(self) -> int:
        """Components of a row."""
        return self.vocabulary.shape[1]

    def word_ids(self, text: str) -> list[int]:
        """Tokens of a text, without begin and end tokens wherever they come from.

        A user's "<|endoftext|>", or a character that the tokenizer maps to the end token, would otherwise move the end
        of the prompt, where CLIP pools.
        """
        special = {*self.frame.begin, *self.frame.end}
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token not in special]

    def text_ids(self, text: str) -> list[int]:
        """As `word_ids`: CLIP's tokens do not include white space."""
        return self.word_ids(text)

    def read(self, inputs: Sequence[SplicedInput], clip_skips: Sequence[int] | None = None) -> ClipOutput:
        """Outputs for these prompts, differentiable in their rows.

        Every chunk is read by itself, its states are weighted, and the chunks' states are joined. The pooled vector is
        taken at the end token, or at the largest id where the configuration says so; placeholder ids lie below the end
        token's, so both are the same position.

        Args:
            inputs: the batch.
            clip_skips: layer of `last` for every prompt, counted from the last (1); None for the last.

        Raises:
            InvalidSettingError: the model has fewer layers.
        """
        parts = [chunk for given in inputs for chunk in split_chunks(given, self.frame.limit)]
        counts = [len(given.ids) // self.frame.limit for given in inputs]
        skips = [
            skip for skip, count in zip(clip_skips or [1] * len(inputs), counts, strict=True) for _ in range(count)
        ]
        with self._module.on_device() as model, spliced(model.get_input_embeddings(), parts) as ids:
            output = model(ids, output_hidden_states=True)
            last = _selected(output, model, skips)
        pooled = output.text_embeds if "text_embeds" in output else output.pooler_output
        first = [sum(counts[:number]) for number in range(len(counts))]
        last, penultimate = (
            join_chunks(emphasized(states, parts), counts) for states in (last, output.hidden_states[-2])
        )
        pooled = pooled if len(parts) == len(inputs) else torch.stack([pooled[number] for number in first])
        return ClipOutput(last, penultimate, pooled, chunk_mask(counts, ids))

    def output(self, ids: Sequence[int]) -> Tensor:
        """Last hidden states `(len(ids), d)` at these tokens, encoded between begin and end."""
        framed = (*self.frame.begin, *ids, *self.frame.end)
        padded = framed + (self.frame.padding,) * (self.frame.limit - len(framed))
        with torch.no_grad():
            hidden = self.read([SplicedInput(padded, (), None, len(self.frame.begin))]).last
        return hidden[0, len(self.frame.begin) :][: len(ids)]


def _read_tokenizer(folder: Path, positions: int) -> tuple[Tokenizer, PromptFrame]:
    """A copy of the library's tokenizer without padding and truncation, and the prompt frame."""
    try:
        vendor = _vendor_tokenizer(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelUnavailableError(f"{folder} holds no CLIP tokenizer that can be read: {error}") from error
    tokenizer = Tokenizer.from_str(vendor.backend_tokenizer.to_str())
    tokenizer.no_padding()
    tokenizer.no_truncation()
    limit = min(vendor.model_max_length, positions)
    return tokenizer, PromptFrame(
        (vendor.bos_token_id,),
        (vendor.eos_token_id,),
        vendor.pad_token_id,
        limit,
        chunks=_MAX_CHUNKS,
        comma=tokenizer.token_to_id(",</w>"),
    )


def _vendor_tokenizer(folder: Path) -> CLIPTokenizer:
    """The tokenizer of a checkpoint; one-file checkpoints share a bundled vocabulary."""
    if FOLDER not in folder.parents:
        return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
    settings = read_json(folder, "tokenizer_config.json")
    return clip_tokenizer(settings["pad_token"], settings["model_max_length"])


def _selected(output: Any, model: nn.Module, clip_skips: Sequence[int]) -> Tensor:  # noqa: ANN401 - transformers' output
    """Normalised hidden states of every prompt's layer."""
    last: Tensor = output.last_hidden_state
    if all(skip == 1 for skip in clip_skips):
        return last
    states = output.hidden_states
    if max(clip_skips) >= len(states):
        raise InvalidSettingError(
            "clip_skip", f"{max(clip_skips)} is too many: the text encoder has {len(states) - 1} layers."
        )
    chosen = torch.stack([states[-skip][number] for number, skip in enumerate(clip_skips)])
    normalise: nn.Module = getattr(model, "text_model", model).get_submodule("final_layer_norm")
    normalised: Tensor = normalise(chosen)
    (skipped,) = upload([torch.tensor([skip > 1 for skip in clip_skips])], last.device)
    return torch.where(skipped[:, None, None], normalised, last)
