"""A decoder language model as a text encoder: its tokenizer, its table, and prompts through it.

Owns how words are spelled inside of a sentence, and what the layers make of a prompt. What stands around the words is
`dti.families.framing`'s. It knows no denoiser, nor which layers one reads.
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

from dti.errors import ModelUnavailableError
from dti.families.framing import words_tokenizer
from dti.families.offload import Part, Place
from dti.families.sources import load_part
from dti.tokens import Frame, SplicedLine, spliced


@dataclass(frozen=True, slots=True)
class Reading:
    """What a language model makes of prompts.

    Attributes:
        states: hidden states `(b, layers, tokens, d)`.
        mask: `(b, tokens)`, true where a prompt has a token, false where it is filled up.
    """

    states: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True)
class _Beginning:
    """What the tokens before the words leave behind. They see nothing of the words, and are the same for every prompt.

    Attributes:
        states: hidden states of all layers, `(1, layers, tokens, d)`.
        cache: their keys and values.
    """

    states: Tensor
    cache: DynamicCache

    def cache_of(self, prompts: int) -> DynamicCache:
        """A copy to go on from, for so many prompts."""
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(prompts)
        return cache


class LanguageModel:
    """A frozen decoder language model and its tokenizer.

    Attributes:
        name: as diffusers calls it.
        frame: what stands around the words of a prompt.
        negative_frame: what stands around those of a prompt that guidance leads away from.
        tokenizer: of the words, without padding and truncation.
        vocabulary: the frozen input table `(V, d)`, where the model is while it does not work.
        depth: layers.
        network: the model.
    """

    def __init__(
        self, name: str, part: Part, tokenizer: Tokenizer, *, frame: Frame, negative_frame: Frame | None = None
    ) -> None:
        self.name = name
        self.frame = frame
        self.negative_frame = negative_frame or frame
        self.tokenizer = tokenizer
        self.vocabulary: Tensor = part.model.get_input_embeddings().weight.detach()
        self.depth: int = part.model.config.num_hidden_layers
        self.network: nn.Module = part.model
        self._part = part
        added = tokenizer.get_added_tokens_decoder()
        self._special = {token for token, content in added.items() if content.special}
        self._beginnings: dict[tuple[int, ...], _Beginning] = {}

    @classmethod
    def load(
        cls,
        folder: Path,
        name: str,
        tokenizer: PreTrainedTokenizerBase,
        *,
        kind: Any,  # noqa: ANN401 - transformers' classes have no common type
        frame: Frame,
        negative_frame: Frame | None = None,
        lower_case: bool = False,
        place: Place,
        dtype: torch.dtype,
    ) -> "LanguageModel":
        """The encoder of a checkpoint.

        Args:
            folder: the checkpoint.
            name: of the encoder's folder in it.
            tokenizer: as `dti.families.framing.read_tokenizer` gives it.
            kind: the model's class, without a head.
            frame: what stands around the words.
            negative_frame: where it differs.
            lower_case: whether the pipeline lets the model see small letters only.
            place: where it computes.
            dtype: of its weights.

        Raises:
            ModelUnavailableError: what is missing.
        """
        model = load_part(kind, folder, name, dtype=dtype)
        if len(model.get_input_embeddings().weight) <= max(*frame.begin, *frame.end, frame.padding):
            raise ModelUnavailableError(f"{folder}: its tokenizer and {name} do not belong together.")
        words = words_tokenizer(tokenizer, lower_case=lower_case)
        return cls(name, Part(model, place), words, frame=frame, negative_frame=negative_frame)

    @property
    def width(self) -> int:
        """Numbers a row."""
        return self.vocabulary.shape[1]

    def word_ids(self, text: str) -> list[int]:
        """The tokens of words as they stand inside of a sentence: the space before them is part of their first one."""
        words = text.strip()
        return self.text_ids(f" {words}") if words else []

    def text_ids(self, text: str) -> list[int]:
        """The tokens of a stretch of a prompt exactly as it is; a user's "<eos>" or "<|im_end|>" is left out."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return [token for token in ids if token not in self._special]

    def read(self, lines: Sequence[SplicedLine], layers: Sequence[int] = (-1,), *, filled: bool = False) -> Reading:
        """What the model makes of these prompts, differentiable in their rows.

        Args:
            lines: the batch; shorter ones are filled up, which changes nothing before.
            layers: whose outputs are wanted: 0 is the input of the first, -1 the output of the last, normalised.
            filled: whether the states are wanted also where prompts are filled up; without, they mean nothing there,
                and most of the work is saved.
        """
        begins = [line.ids[: line.first] for line in lines]
        order, parts = list[int](), list[Tensor]()
        with self._part.at_work() as model:
            for begin in dict.fromkeys(begins):
                members = [i for i, other in enumerate(begins) if other == begin]
                order += members
                parts.append(self._read_behind(model, begin, [lines[i] for i in members], layers, filled=filled))
        length = max(len(line.ids) for line in lines)
        states = torch.cat([functional.pad(part, (0, 0, 0, length - part.shape[2])) for part in parts])
        ids = torch.tensor([_filled(line.ids, self.frame.padding, length) for line in lines], device=states.device)
        return Reading(states[torch.tensor(order).argsort()], ids != self.frame.padding)

    def _read_behind(
        self,
        model: PreTrainedModel,
        begin: tuple[int, ...],
        lines: Sequence[SplicedLine],
        layers: Sequence[int],
        *,
        filled: bool,
    ) -> Tensor:
        """The states of prompts that begin alike, `(b, layers, tokens, d)`, of as many tokens as are wanted."""
        beginning = self._begun(model, begin)
        count = max(len(line.ids) if filled else self._spoken(line) for line in lines)
        rest = [_behind(line, len(begin), _filled(line.ids, self.frame.padding, count)[:count]) for line in lines]
        look_up = model.get_input_embeddings()
        # Gemma's table holds rows √d times smaller than what it looks up.
        with spliced(look_up, rest, getattr(look_up, "scalar_embed_scale", 1.0)) as ids:
            output = model(
                ids,
                attention_mask=functional.pad(ids != self.frame.padding, (len(begin), 0), value=True),
                past_key_values=beginning.cache_of(len(lines)),
                output_hidden_states=True,
            )
        before = beginning.states[:, list(layers)].expand(len(lines), -1, -1, -1)
        return torch.cat([before, torch.stack([output.hidden_states[layer] for layer in layers], dim=1)], dim=2)

    # What is made in inference mode could never take part in a training.
    @torch.inference_mode(mode=False)
    @torch.no_grad()
    def _begun(self, model: PreTrainedModel, begin: tuple[int, ...]) -> _Beginning:
        if begin not in self._beginnings:
            cache = DynamicCache(config=model.config)
            ids = torch.tensor([begin], device=self._part.place.device)
            output = model(ids, past_key_values=cache, output_hidden_states=True)
            self._beginnings[begin] = _Beginning(torch.stack(output.hidden_states, dim=1), cache)
        return self._beginnings[begin]

    def _spoken(self, line: SplicedLine) -> int:
        """How many tokens a line has before it is filled up; one behind its beginning at least."""
        spoken = [place for place, token in enumerate(line.ids) if token != self.frame.padding]
        return max(spoken[-1], line.first) + 1

    def output(self, ids: Sequence[int]) -> Tensor:
        """The last hidden state `(len(ids), d)` at these tokens, between begin and end."""
        framed = (*self.frame.begin, *ids, *self.frame.end)
        first = len(self.frame.begin)
        with torch.no_grad():
            states = self.read([SplicedLine(framed, (), None, first)]).states
        return states[0, 0, first:][: len(ids)]


def _behind(line: SplicedLine, start: int, ids: tuple[int, ...]) -> SplicedLine:
    """A line with these ids, without what stands before this place."""
    return replace(line, ids=ids[start:], positions=tuple(position - start for position in line.positions), first=0)


def _filled(ids: tuple[int, ...], padding: int, length: int) -> tuple[int, ...]:
    return ids + (padding,) * (length - len(ids))
