"""Tokenized prompts with learned rows spliced in by position.

Owns a prompt's token layout (placeholder tokens for concepts, begin, end, padding) and the hook that writes learned
rows at the encoder's embedding look-up. Embedding tables and tokenizers are never modified, and no user string becomes
a token.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dti.encoders import PromptFrame, TextEncoder, class_ids
from dti.errors import PromptTooLongError, UnknownTriggerError
from dti.spec.prompts import Text, Trigger, nearest, with_lead
from dti.transfers import upload


@dataclass(frozen=True, slots=True)
class Placeholder:
    """Tokens that reserve a concept's positions in a prompt.

    Attributes:
        class_word: its tokens fill the reserved positions.
        counts: the concept's number of vectors, by encoder.
    """

    class_word: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ConceptPosition:
    """Position of a concept's vector `index` in an encoder's input."""

    position: int
    concept: str
    index: int


@dataclass(frozen=True, slots=True)
class SplicedInput:
    """One encoder's input with its rows: `rows[i]` `(d,)` belongs at `positions[i]`; None without concepts.

    Attributes:
        ids: token ids, framed and padded.
        positions: positions of the rows.
        rows: learned rows `(n, d)`.
        first: position of the first word.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    rows: Tensor | None
    first: int


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """One encoder's input with positions reserved for concepts.

    Attributes:
        ids: token ids, framed and padded.
        concepts: reserved positions.
        first: position of the first word.
    """

    ids: tuple[int, ...]
    concepts: tuple[ConceptPosition, ...]
    first: int

    def splice(self, encoder: str, vectors: Mapping[str, Mapping[str, Tensor]]) -> SplicedInput:
        """This input with rows at the reserved positions; see `TokenizedPrompt.splice`."""
        rows = [vectors[reserved.concept][encoder][reserved.index] for reserved in self.concepts]
        positions = tuple(reserved.position for reserved in self.concepts)
        return SplicedInput(self.ids, positions, torch.stack(rows) if rows else None, self.first)


@dataclass(frozen=True, slots=True)
class SplicedPrompt:
    """A prompt for all encoders of a family, with its learned rows."""

    inputs: Mapping[str, SplicedInput]


@dataclass(frozen=True, slots=True)
class TokenizedPrompt:
    """A prompt for all encoders of a family, with positions reserved for rows; reusable with changing rows."""

    inputs: Mapping[str, EncoderInput]

    def splice(self, vectors: Mapping[str, Mapping[str, Tensor]]) -> SplicedPrompt:
        """The prompt with these rows.

        Args:
            vectors: rows `(n, d)` by concept, then by encoder.
        """
        return SplicedPrompt({name: tokens.splice(name, vectors) for name, tokens in self.inputs.items()})


def tokenize(
    pieces: Iterable[Text | Trigger],
    encoders: Mapping[str, TextEncoder],
    concepts: Mapping[str, Placeholder],
    *,
    negative: bool = False,
) -> TokenizedPrompt:
    """Tokenize a parsed prompt for every encoder.

    Args:
        pieces: words and triggers in order, from `dti.spec.prompts.parse_prompt`.
        encoders: the family's encoders by name.
        concepts: placeholders by concept name.
        negative: whether to use the encoders' negative frames.

    Raises:
        UnknownTriggerError: the prompt names a concept without a placeholder.
        PromptTooLongError: the tokens do not fit an encoder.
    """
    pieces = tuple(pieces)
    for piece in pieces:
        if isinstance(piece, Trigger) and piece.name not in concepts:
            raise UnknownTriggerError(piece.name, nearest(piece.name, concepts))
    return TokenizedPrompt(
        {
            name: _tokenize(pieces, encoder, encoder.negative_frame if negative else encoder.frame, concepts)
            for name, encoder in encoders.items()
        }
    )


def _tokenize(
    pieces: Sequence[Text | Trigger], encoder: TextEncoder, frame: PromptFrame, concepts: Mapping[str, Placeholder]
) -> EncoderInput:
    ids, reserved = list(frame.begin), list[ConceptPosition]()
    for piece in with_lead(pieces, frame.lead):
        if isinstance(piece, Text):
            ids += encoder.text_ids(piece.words)
            continue
        # Placeholders are ordinary words, with ids below the end token's: an encoder that locates the end of the
        # prompt as its largest id (CLIP with eos_token_id 2 in its configuration) still pools at the right position.
        placeholder = concepts[piece.name]
        tokens = class_ids(encoder, placeholder.class_word, placeholder.counts[encoder.name])
        reserved += [ConceptPosition(len(ids) + index, piece.name, index) for index in range(len(tokens))]
        ids += tokens
    ids += frame.end
    if len(ids) > frame.limit:
        raise PromptTooLongError(encoder.name, len(ids), frame.limit)
    ids += [frame.padding] * (frame.limit - len(ids))
    return EncoderInput(tuple(ids), tuple(reserved), len(frame.begin))


@contextmanager
def spliced(embedding: nn.Module, inputs: Sequence[SplicedInput], scale: float = 1.0) -> Iterator[Tensor]:
    """Replace an embedding layer's output by learned rows at their positions, within the context.

    Args:
        embedding: the encoder's input embedding layer, with outputs `(b, tokens, d)`.
        inputs: the batch, all of equal length.
        scale: factor that the layer applies to its table's rows; the learned rows are given unscaled.

    Yields:
        Token ids `(b, tokens)` to look up, on the layer's device.
    """
    device = next(embedding.parameters()).device
    host_ids = torch.tensor([tokens.ids for tokens in inputs])
    rows = [tokens.rows for tokens in inputs if tokens.rows is not None]
    if not rows:
        yield upload([host_ids], device)[0]
        return
    indices = [(i, position) for i, tokens in enumerate(inputs) for position in tokens.positions]
    ids, target = upload([host_ids, torch.tensor(indices)], device)
    learned = torch.cat(rows).to(device)

    # A forward hook instead of a resized table: it is differentiable in the rows, leaves the frozen weights and the
    # tokenizer untouched, and lets every prompt of a batch carry its own concepts. `index_put` (not in place) keeps
    # the layer's output usable for autograd; the rows are cast last, so float32 survives up to the model's dtype.
    def write(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        # The layer's own factor is a value of its dtype, so the host's is rounded alike.
        factor = float(torch.tensor(scale, dtype=output.dtype))
        return output.index_put(target.unbind(dim=1), learned.to(output.dtype) * factor)

    hook = embedding.register_forward_hook(write)
    try:
        yield ids
    finally:
        hook.remove()
