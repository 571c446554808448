"""Rows trained freely by AdamW, direction and norm alike: common base of all methods but `dti` and `subspace`.

Owns AdamW's hyper-parameters and the split of trained rows into direction and norm.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import AdamW

from dti.embeddings.embedding import Rows
from dti.encoders import TextEncoder, class_rows
from dti.methods.base import Learned, Method, S, vector_count
from dti.spec.settings import Training
from dti.sphere import normalize

_WEIGHT_DECAY = 0.01
"""Default of torch and of all released trainers. It acts on the learned rows only, never on the vocabulary."""


class AdamWRows(Method[S]):
    """The rows e are the parameters, updated by AdamW."""

    def start(self, encoder: TextEncoder, class_word: str, settings: S, initial: Rows | None) -> Learned:
        """Start at the class word's vocabulary rows, or at the given rows."""
        return trainable_rows(initial_rows(encoder, class_word, settings, initial))

    def vectors(self, learned: Learned) -> Tensor:
        """The rows e."""
        return learned.parameters["e"]

    def penalty(self, learned: Learned) -> Tensor:
        """Zero."""
        return learned.parameters["e"].new_zeros(())

    def optimizer(self, learned: Sequence[Learned], settings: S) -> torch.optim.Optimizer:
        """AdamW over the rows of all encoders."""
        return adamw(learned, settings)

    def finish(self, learned: Learned) -> Rows:
        """The rows unchanged."""
        return split(self.vectors(learned))


def initial_rows(encoder: TextEncoder, class_word: str, settings: Training, initial: Rows | None) -> Tensor:
    """Rows `(n, d)` to start from: the class word's vocabulary rows, or the given ones.

    Raises:
        InvalidSettingError: the class word has no tokens or no direction in this encoder.
        EmbeddingMismatchError: `initial` and `num_vectors` differ in the number of rows.
    """
    known = class_rows(encoder, class_word, vector_count(settings, initial))
    return known if initial is None else initial.vectors.to(known, copy=True)


def trainable_rows(e: Tensor, **constants: Tensor) -> Learned:
    """State that trains the rows e from their current values."""
    return Learned({"e": e.clone().requires_grad_()}, {"start": e, **constants})


def adamw(learned: Sequence[Learned], settings: Training) -> AdamW:
    """AdamW over all parameters, with the moments (0.9, 0.999) and weight decay of the released trainers."""
    parameters = [parameter for state in learned for parameter in state.parameters.values()]
    return AdamW(parameters, lr=settings.learning_rate, weight_decay=_WEIGHT_DECAY)


def split(vectors: Tensor) -> Rows:
    """Rows `(n, d)` as directions and norms, detached, on the CPU."""
    e = vectors.detach().cpu()
    return Rows(direction=normalize(e), magnitude=torch.linalg.vector_norm(e, dim=-1, keepdim=True))
