"""Decoder language model as a text encoder: tokenization inside a sentence and hidden states of selected layers.

`dti.families.framing` owns the tokens around the words; the families select the layers.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from dti.encoders import PromptFrame
from dti.errors import ModelUnavailableError
from dti.families.framing import words_tokenizer
from dti.families.offload import OffloadedModule, Placement
from dti.families.sources import load_part
from dti.tokens import SplicedInput, spliced
from dti.transfers import upload


@dataclass(frozen=True, slots=True)
class LanguageModelOutput:
    """Hidden states of prompts.

    Attributes:
        states: `(b, layers, tokens, d)`.
        mask: `(b, tokens)`, false at padding.
    """

    states: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class _Prefix:
    """Cached computation of the tokens before the words, equal for all prompts under causal attention.

    Attributes:
        states: hidden states of all layers, `(1, layers, tokens, d)`.
        cache: keys and values.
    """

    states: Tensor
    cache: DynamicCache

    def cache_for(self, prompts: int) -> DynamicCache:
        """The key-value cache for a batch of prompts; what is appended to it leaves this one as it is."""
        cache = copy.copy(self.cache)
        cache.layers = [copy.copy(layer) for layer in self.cache.layers]
        for layer in cache.layers:
            layer.keys = layer.keys.expand(prompts, -1, -1, -1)
            layer.values = layer.values.expand(prompts, -1, -1, -1)
        return cache


class LanguageModel:
    """A frozen decoder language model and its tokenizer; see `dti.encoders.TextEncoder`.

    Attributes:
        vocabulary: frozen input embedding table `(V, d)`, on the host while the model is offloaded.
        depth: number of layers.
        network: the model.
    """

    def __init__(
        self,
        name: str,
        module: OffloadedModule,
        tokenizer: Tokenizer,
        *,
        frame: PromptFrame,
        negative_frame: PromptFrame | None = None,
    ) -> None:
        self.name = name
        self.frame = frame
        self.negative_frame = negative_frame or frame
        self.tokenizer = tokenizer
        self.vocabulary: Tensor = module.model.get_input_embeddings().weight.detach()
        self.depth: int = module.model.config.num_hidden_layers
        self.network: nn.Module = module.model
        self._module = module
        added = tokenizer.get_added_tokens_decoder()
        self._special = {token for token, content in added.items() if content.special}
        self._prefixes: dict[tuple[int, ...], _Prefix] = {}

    @classmethod
    def load(
        cls,
        folder: Path,
        name: str,
        tokenizer: PreTrainedTokenizerBase,
        *,
        kind: Any,  # noqa: ANN401 - transformers' classes have no common type
        frame: PromptFrame,
        negative_frame: PromptFrame | None = None,
        lower_case: bool = False,
        placement: Placement,
        dtype: torch.dtype,
    ) -> "LanguageModel":
        """Load the encoder of a checkpoint.

        Args:
            folder: the checkpoint.
            name: folder of the encoder in it.
            tokenizer: from `dti.families.framing.read_tokenizer`.
            kind: the model's class, without a head.
            frame: tokens around the words.
            negative_frame: tokens around the words of a negative prompt; None for the same.
            lower_case: whether the pipeline lower-cases prompts.
            placement: where it computes.
            dtype: dtype of its weights.

        Raises:
            ModelUnavailableError: files are missing or damaged, or tokenizer and encoder differ in their vocabularies.
        """
        model = load_part(kind, folder, name, dtype=dtype)
        if len(model.get_input_embeddings().weight) <= max(*frame.begin, *frame.end, frame.padding):
            raise ModelUnavailableError(f"{folder}: its tokenizer and {name} do not belong together.")
        words = words_tokenizer(tokenizer, lower_case=lower_case)
        return cls(name, OffloadedModule(model, placement), words, frame=frame, negative_frame=negative_frame)

    @property
    def width(self) -> int:
        """Components of a row."""
        return self.vocabulary.shape[1]

    def word_ids(self, text: str) -> list[int]:
        """Tokens of words inside a sentence: the space before the first word is part of its first token."""
        words = text.strip()
        return self.text_ids(f" {words}") if words else []

    def text_ids(self, text: str) -> list[int]:
        """Tokens of a prompt fragment verbatim; special tokens in it ("<eos>", "<|im_end|>") are dropped."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token not in self._special]

    def read(
        self, inputs: Sequence[SplicedInput], layers: Sequence[int] = (-1,), *, filled: bool = False
    ) -> LanguageModelOutput:
        """Hidden states of these prompts, differentiable in their rows.

        Args:
            inputs: the batch; shorter prompts are padded on the right, which causal attention does not see.
            layers: layers to return: 0 is the input of the first, -1 the normalised output of the last.
            filled: whether states at padding are needed; otherwise they are undefined, which saves most of the work.
        """
        prefixes = [tokens.ids[: tokens.first] for tokens in inputs]
        order, parts = list[int](), list[Tensor]()
        with self._module.on_device() as model:
            for prefix in dict.fromkeys(prefixes):
                members = [i for i, other in enumerate(prefixes) if other == prefix]
                order += members
                parts.append(self._read_after(model, prefix, [inputs[i] for i in members], layers, filled=filled))
        length = max(len(tokens.ids) for tokens in inputs)
        states = torch.cat([functional.pad(part, (0, 0, 0, length - part.shape[2])) for part in parts])
        padded = [_padded(tokens.ids, self.frame.padding, length) for tokens in inputs]
        ids, places = upload([torch.tensor(padded), torch.tensor(order).argsort()], states.device)
        return LanguageModelOutput(states[places], ids != self.frame.padding)

    def _read_after(
        self,
        model: PreTrainedModel,
        begin: tuple[int, ...],
        inputs: Sequence[SplicedInput],
        layers: Sequence[int],
        *,
        filled: bool,
    ) -> Tensor:
        """States `(b, layers, tokens, d)` of prompts with a common prefix, up to the last token needed."""
        prefix = self._prefix(model, begin)
        count = max(len(tokens.ids) if filled else self._used(tokens) for tokens in inputs)
        rest = [_after(tokens, len(begin), _padded(tokens.ids, self.frame.padding, count)[:count]) for tokens in inputs]
        embedding = model.get_input_embeddings()
        # Gemma's layer multiplies its table's rows by √d; learned rows are stored unscaled, like the table.
        with spliced(embedding, rest, getattr(embedding, "scalar_embed_scale", 1.0)) as ids:
            output = model(
                ids,
                attention_mask=functional.pad(ids != self.frame.padding, (len(begin), 0), value=True),
                past_key_values=prefix.cache_for(len(inputs)),
                output_hidden_states=True,
            )
        before = torch.stack([prefix.states[:, layer] for layer in layers], dim=1).expand(len(inputs), -1, -1, -1)
        return torch.cat([before, torch.stack([output.hidden_states[layer] for layer in layers], dim=1)], dim=2)

    # The prefix is cached across calls: computed in a renderer's inference mode, its tensors could not take part in the
    # autograd of a later training update.
    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def _prefix(self, model: PreTrainedModel, begin: tuple[int, ...]) -> _Prefix:
        if begin not in self._prefixes:
            cache = DynamicCache(config=model.config)
            ids = torch.tensor([begin], device=self._module.placement.device)
            output = model(ids, past_key_values=cache, output_hidden_states=True)
            self._prefixes[begin] = _Prefix(torch.stack(output.hidden_states, dim=1), cache)
        return self._prefixes[begin]

    def _used(self, tokens: SplicedInput) -> int:
        """Number of tokens up to the last one before padding, at least one after the prefix."""
        used = [position for position, token in enumerate(tokens.ids) if token != self.frame.padding]
        return max(used[-1], tokens.first) + 1

    def output(self, ids: Sequence[int]) -> Tensor:
        """Last hidden states `(len(ids), d)` at these tokens, encoded between begin and end."""
        framed = (*self.frame.begin, *ids, *self.frame.end)
        first = len(self.frame.begin)
        with torch.no_grad():
            states = self.read([SplicedInput(framed, (), None, first)]).states
        return states[0, 0, first:][: len(ids)]


def _after(tokens: SplicedInput, start: int, ids: tuple[int, ...]) -> SplicedInput:
    """An input with these ids, cut off before `start`."""
    return replace(tokens, ids=ids[start:], positions=tuple(position - start for position in tokens.positions), first=0)


def _padded(ids: tuple[int, ...], padding: int, length: int) -> tuple[int, ...]:
    return ids + (padding,) * (length - len(ids))
