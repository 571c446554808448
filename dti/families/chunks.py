"""Hidden states of long and weighted prompts: chunks apart and together, and A1111's emphasis."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from dti.tokens import SplicedInput
from dti.transfers import upload


def split_chunks(given: SplicedInput, size: int) -> Iterator[SplicedInput]:
    """The chunks of an input, each of `size` tokens with its own rows."""
    if len(given.ids) == size:
        yield given
        return
    for start in range(0, len(given.ids), size):
        inside = [i for i, position in enumerate(given.positions) if start <= position < start + size]
        rows = torch.stack([given.rows[i] for i in inside]) if inside and given.rows is not None else None
        weights = None if given.weights is None else given.weights[start : start + size]
        positions = tuple(given.positions[i] - start for i in inside)
        yield SplicedInput(given.ids[start : start + size], positions, rows, given.first, weights)


def emphasized(states: Tensor, chunks: Sequence[SplicedInput]) -> Tensor:
    """Hidden states `(chunks, tokens, d)` times the tokens' weights, every chunk rescaled to its mean of before.

    Source: A1111's emphasis "Original" (modules/sd_emphasis.py).
    """
    if all(chunk.weights is None for chunk in chunks):
        return states
    ones = (1.0,) * states.shape[1]
    given = torch.tensor([chunk.weights or ones for chunk in chunks], dtype=states.dtype)
    weights, plain = upload([given, torch.tensor([chunk.weights is None for chunk in chunks])], states.device)
    weighted = states * weights[:, :, None]
    scale = states.float().mean(dim=(1, 2)) / weighted.float().mean(dim=(1, 2))
    return torch.where(plain[:, None, None], states, weighted * scale.to(states)[:, None, None])


def join_chunks(states: Tensor, counts: Sequence[int]) -> Tensor:
    """States of chunks `(sum of counts, tokens, d)` as those of prompts `(b, most tokens, d)`, padded with zeros."""
    if max(counts) == 1:
        return states
    prompts = [part.flatten(0, 1) for part in torch.split(states, list(counts))]
    length = max(map(len, prompts))
    return torch.stack([functional.pad(prompt, (0, 0, 0, length - len(prompt))) for prompt in prompts])


def chunk_mask(counts: Sequence[int], ids: Tensor) -> Tensor | None:
    """Which of the joined states belong to chunks, `(b, most tokens)`; None if all do."""
    if min(counts) == max(counts):
        return None
    (lengths,) = upload([torch.tensor([count * ids.shape[1] for count in counts])], ids.device)
    return torch.arange(max(counts) * ids.shape[1], device=ids.device) < lengths[:, None]
