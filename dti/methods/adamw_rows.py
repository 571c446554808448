"""Rows that are learned as they are, norm and all, by AdamW: what the methods besides `dti` share.

Owns AdamW as those methods publish it, and the split of free rows into direction and norm. Where rows start, and what
is done to them besides, is each method's own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import AdamW

from dti.embeddings.embedding import Rows
from dti.methods.base import Encoder, Learned, Method, S, agreed_count, class_rows
from dti.spec.settings import Training
from dti.sphere import normalize

_WEIGHT_DECAY = 0.01
"""Torch's own and that of all the released trainers; of what is learned only, the vocabulary never being given."""


class FreeRows(Method[S]):
    """What is learned is the rows e themselves, and AdamW moves them."""

    def start(self, encoder: Encoder, class_word: str, settings: S, initial: Rows | None) -> Learned:
        """The class word's rows of the vocabulary, or the given rows."""
        return free_rows(first_rows(encoder, class_word, settings, initial))

    def vectors(self, learned: Learned) -> Tensor:
        """The rows e."""
        return learned.parameters["e"]

    def penalty(self, learned: Learned) -> Tensor:
        """None."""
        return learned.parameters["e"].new_zeros(())

    def optimizer(self, learned: Sequence[Learned], settings: S) -> torch.optim.Optimizer:
        """AdamW over the rows of all encoders."""
        return adamw(learned, settings)

    def finish(self, learned: Learned) -> Rows:
        """The rows as they are."""
        return split(self.vectors(learned))


def first_rows(encoder: Encoder, class_word: str, settings: Training, initial: Rows | None) -> Tensor:
    """Rows to start with `(n, d)`: the class word's in the vocabulary, or the given ones.

    Raises:
        InvalidSettingError: the class word has no tokens or no direction in this encoder.
        EmbeddingMismatchError: `initial` has another number of rows than the settings ask for.
    """
    known = class_rows(encoder, class_word, agreed_count(settings, initial))
    return known if initial is None else initial.vectors.to(known, copy=True)


def free_rows(e: Tensor, **constants: Tensor) -> Learned:
    """Rows to be learned freely from here."""
    return Learned({"e": e.clone().requires_grad_()}, {"start": e, **constants})


def adamw(learned: Sequence[Learned], settings: Training) -> AdamW:
    """AdamW over all parameters, with the moments and the decay of the released trainers."""
    parameters = [parameter for one in learned for parameter in one.parameters.values()]
    return AdamW(parameters, lr=settings.learning_rate, weight_decay=_WEIGHT_DECAY)


def split(vectors: Tensor) -> Rows:
    """Rows `(n, d)` as directions and norms, on the CPU, detached."""
    e = vectors.detach().cpu()
    return Rows(direction=normalize(e), magnitude=torch.linalg.vector_norm(e, dim=-1, keepdim=True))
