"""Decides which outputs of the text model the denoiser hears, so that it comes to believe the noun's own state.

Trained on plain captions, a denoiser reads every attribute from its own word, and a concept's row could neither carry
nor harm the prompt. In part of the samples it therefore hears another caption's outputs everywhere but at the noun, in
part false words beside a true noun and a true end of the sentence. The module knows states and positions, not pictures.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

NOUN, FALSE_WORDS, EMPTY, PLAIN = range(4)
SHARES = (0.38, 0.16, 0.10, 0.36)
EMPTY_AROUND_SHARE = 0.25  # of the NOUN samples: the empty prompt instead of another caption


@dataclass(frozen=True)
class Layout:
    """Where the nouns and the ends of a batch of captions stand, and how each is heard."""

    nouns: Tensor
    ends: Tensor
    kinds: Tensor
    alone: Tensor


def choose_kinds(rng: np.random.Generator, pairs: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Draw how each sample is heard; a pair of objects cannot be told by one noun's state."""
    kinds: npt.NDArray[np.int64] = rng.choice(len(SHARES), len(pairs), p=SHARES)
    kinds[pairs & (kinds == NOUN)] = PLAIN
    return kinds


def hear(states: Tensor, empty: Tensor, layout: Layout) -> Tensor:
    """Mix the text model's outputs of a batch.

    Args:
        states: `(n, positions, width)`, outputs of every caption (of the empty prompt where the kind is EMPTY).
        empty: `(1, positions, width)`, outputs of the empty prompt.
        layout: of the captions; every caption's neighbour in the batch is its false one.

    Returns:
        `(n, positions, width)`.
    """
    positions = torch.arange(states.shape[1], device=states.device)
    count = torch.arange(len(states), device=states.device)
    others, other_nouns = states.roll(1, 0), layout.nouns.roll(1, 0)
    own = states[count, layout.nouns][:, None]
    blank = (layout.alone | (layout.kinds.roll(1, 0) == EMPTY))[:, None, None]
    place = torch.where(blank[:, 0, 0], layout.nouns, other_nouns)[:, None]
    around = torch.where(blank, empty.expand_as(states), others)
    noun_only = torch.where((positions == place)[..., None], own, around)
    word = (positions > 0) & (positions < layout.ends[:, None]) & (positions != layout.nouns[:, None])
    other_word = (positions < layout.ends.roll(1, 0)[:, None]) & (positions != other_nouns[:, None])
    false_words = torch.where((word & other_word)[..., None], others, states)
    kinds = layout.kinds[:, None, None]
    return torch.where(kinds == NOUN, noun_only, torch.where(kinds == FALSE_WORDS, false_words, states))
