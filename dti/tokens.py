"""Tokenized prompts with learned rows spliced in by position.

Owns a prompt's token layout (placeholder tokens for concepts, begin, end, padding) and the hook that writes learned
rows at the encoder's embedding look-up. Embedding tables and tokenizers are never modified, and no user string becomes
a token.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from dti.encoders import PromptFrame, TextEncoder, class_ids
from dti.errors import PromptTooLongError, UnknownTriggerError
from dti.spec.chunks import Unit, chunked
from dti.spec.prompts import Break, Piece, Text, Trigger, nearest, with_lead
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
        weights: factors of the hidden states, one per token; None if all are 1.
    """

    ids: tuple[int, ...]
    positions: tuple[int, ...]
    rows: Tensor | None
    first: int
    weights: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class EncoderInput:
    """One encoder's input with positions reserved for concepts.

    Attributes:
        ids: token ids, framed and padded.
        concepts: reserved positions.
        first: position of the first word.
        weights: factors of the hidden states, one per token; None if all are 1.
    """

    ids: tuple[int, ...]
    concepts: tuple[ConceptPosition, ...]
    first: int
    weights: tuple[float, ...] | None = None

    def splice(self, encoder: str, vectors: Mapping[str, Mapping[str, Tensor]]) -> SplicedInput:
        """This input with rows at the reserved positions; see `TokenizedPrompt.splice`."""
        rows = [vectors[reserved.concept][encoder][reserved.index] for reserved in self.concepts]
        positions = tuple(reserved.position for reserved in self.concepts)
        return SplicedInput(self.ids, positions, torch.stack(rows) if rows else None, self.first, self.weights)


@dataclass(frozen=True, slots=True)
class SplicedPrompt:
    """A prompt for all encoders of a family, with its learned rows.

    Attributes:
        inputs: by encoder.
        clip_skip: layer of a CLIP text encoder that conditions the denoiser, counted from the last (1).
    """

    inputs: Mapping[str, SplicedInput]
    clip_skip: int = 1


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
    pieces: Iterable[Piece],
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
    frames = {name: encoder.negative_frame if negative else encoder.frame for name, encoder in encoders.items()}
    inputs = {name: _tokenize(pieces, encoder, frames[name], concepts) for name, encoder in encoders.items()}
    # A concept may have more vectors for one encoder than for another; the encoders' states are read side by side.
    chunks = max(len(given.ids) // frames[name].limit for name, given in inputs.items())
    return TokenizedPrompt({name: _extended(given, frames[name], chunks) for name, given in inputs.items()})


def _tokenize(
    pieces: Sequence[Piece], encoder: TextEncoder, frame: PromptFrame, concepts: Mapping[str, Placeholder]
) -> EncoderInput:
    units = list(_units(pieces, encoder, frame, concepts))
    if frame.chunks == 1:
        # A Break is for chunks only.
        chunks: Sequence[Sequence[Unit]] = [[unit for unit in units if isinstance(unit, Unit)]]
    else:
        chunks = chunked(units, frame.words, frame.comma)
    around = len(frame.begin) + len(frame.end)
    for unit in units:
        if isinstance(unit, Unit) and len(unit.ids) > frame.words:
            # Vectors of a concept stay in one chunk, however many chunks there may be.
            alone = f"The concept <{unit.concept}> alone"
            raise PromptTooLongError(encoder.name, len(unit.ids) + around, frame.limit, alone)
    lengths = [sum(len(unit.ids) for unit in chunk) for chunk in chunks]
    if len(chunks) > frame.chunks or max(lengths) > frame.words:
        tokens = (len(chunks) - 1) * frame.words + lengths[-1] + around
        raise PromptTooLongError(encoder.name, tokens, frame.token_limit)
    return _joined([_framed(chunk, frame) for chunk in chunks])


def _units(
    pieces: Sequence[Piece], encoder: TextEncoder, frame: PromptFrame, concepts: Mapping[str, Placeholder]
) -> Iterator[Unit | Break]:
    for piece in with_lead(pieces, frame.lead):
        if isinstance(piece, Break):
            yield piece
        elif isinstance(piece, Text):
            yield from (Unit((token,), piece.weight) for token in encoder.text_ids(piece.words))
        else:
            # Placeholders are ordinary words, with ids below the end token's: an encoder that locates the end of the
            # prompt as its largest id (CLIP with eos_token_id 2 in its configuration) still pools at the right
            # position.
            placeholder = concepts[piece.name]
            ids = class_ids(encoder, placeholder.class_word, placeholder.counts[encoder.name])
            yield Unit(tuple(ids), piece.weight, piece.name)


def _framed(units: Sequence[Unit], frame: PromptFrame) -> EncoderInput:
    """One chunk between begin and end, padded."""
    ids, reserved, weights = list(frame.begin), list[ConceptPosition](), [1.0] * len(frame.begin)
    for unit in units:
        if unit.concept is not None:
            reserved += [ConceptPosition(len(ids) + i, unit.concept, i) for i in range(len(unit.ids))]
        ids += unit.ids
        weights += [unit.weight] * len(unit.ids)
    ids += frame.end
    ids += [frame.padding] * (frame.limit - len(ids))
    weights += [1.0] * (len(ids) - len(weights))
    given = tuple(weights) if any(weight != 1 for weight in weights) else None
    return EncoderInput(tuple(ids), tuple(reserved), len(frame.begin), given)


def _extended(given: EncoderInput, frame: PromptFrame, chunks: int) -> EncoderInput:
    """An input with empty chunks added up to a number of chunks."""
    missing = chunks - len(given.ids) // frame.limit if frame.chunks > 1 else 0
    if not missing:
        return given
    weights = None if given.weights is None else given.weights + (1.0,) * (frame.limit * missing)
    return replace(given, ids=given.ids + _framed((), frame).ids * missing, weights=weights)


def _joined(chunks: Sequence[EncoderInput]) -> EncoderInput:
    """Framed chunks as one input."""
    if len(chunks) == 1:
        return chunks[0]
    size = len(chunks[0].ids)
    weights = [weight for chunk in chunks for weight in chunk.weights or (1.0,) * size]
    return EncoderInput(
        ids=tuple(token for chunk in chunks for token in chunk.ids),
        concepts=tuple(
            replace(reserved, position=reserved.position + number * size)
            for number, chunk in enumerate(chunks)
            for reserved in chunk.concepts
        ),
        first=chunks[0].first,
        weights=tuple(weights) if any(chunk.weights for chunk in chunks) else None,
    )


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
