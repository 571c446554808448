"""Textual Inversion whose rows are put back to the vocabulary's median norm after every update.

Owns that norm and the putting back; all else is `dti.methods.adamw_rows`'s.
"""

from collections.abc import Sequence

import torch

from dti.embeddings.embedding import Rows
from dti.methods.adamw_rows import FreeRows, adamw, first_rows, free_rows
from dti.methods.base import Encoder, Learned, magnitude_of
from dti.spec.settings import NormedTraining
from dti.sphere import normalize


class NormedInversion(FreeRows[NormedTraining]):
    """AdamW moves e freely, then e keeps its direction and gets the median norm of the vocabulary's non-zero rows.

    Unlike `dti` the radial part of the gradient enters AdamW's moments, and an update's angle is not fixed: about
    learning_rate times the square root of the width over the norm.

    Source: the option "preserve embedding norm" of the trainer OneTrainer. There is no paper; the default learning
    rate, 2e-3, is that of diffusers' textual inversion: at 0.02 an update would be longer than the row.
    """

    name = "ti-norm"

    def start(self, encoder: Encoder, class_word: str, settings: NormedTraining, initial: Rows | None) -> Learned:
        """As `ti`, and the norm to come back to; the first rows keep theirs until the first update."""
        e = first_rows(encoder, class_word, settings, initial)
        return free_rows(e, magnitude=torch.full_like(e[:, :1], magnitude_of(encoder.vocabulary, "median")))

    def optimizer(self, learned: Sequence[Learned], settings: NormedTraining) -> torch.optim.Optimizer:
        """AdamW, and the way back to the norm after each of its steps."""
        optimizer = adamw(learned, settings)
        optimizer.register_step_post_hook(lambda *_: _put_back(learned))
        return optimizer


@torch.no_grad()
def _put_back(learned: Sequence[Learned]) -> None:
    for one in learned:
        e = one.parameters["e"]
        e.copy_(one.constants["magnitude"] * normalize(e))
