"""Norm-preserving Textual Inversion (`ti-norm`): rows are reset to the vocabulary's median norm after updates."""

from collections.abc import Sequence

import torch

from dti.embeddings.embedding import Rows
from dti.encoders import TextEncoder, vocabulary_norm
from dti.methods.adamw_rows import AdamWRows, adamw, initial_rows, trainable_rows
from dti.methods.base import Learned
from dti.spec.settings import NormedTraining
from dti.sphere import normalize


class NormedInversion(AdamWRows[NormedTraining]):
    """AdamW moves e freely; then e keeps its direction and takes the median norm of the non-zero vocabulary rows.

    Unlike in `dti`, the radial part of the gradient enters AdamW's moments, and the angle of an update is not fixed:
    about learning_rate times the square root of the width over the norm.

    Source: the option "preserve embedding norm" of the trainer OneTrainer; there is no paper. The default learning
    rate 2e-3 is that of diffusers' textual inversion: at 0.02 an update would be longer than the row.
    """

    name = "ti-norm"

    def start(self, encoder: TextEncoder, class_word: str, settings: NormedTraining, initial: Rows | None) -> Learned:
        """As `ti`, with the target norm as a constant; the initial rows keep their own norm until the first update."""
        e = initial_rows(encoder, class_word, settings, initial)
        return trainable_rows(e, magnitude=torch.full_like(e[:, :1], vocabulary_norm(encoder.vocabulary, "median")))

    def optimizer(self, learned: Sequence[Learned], settings: NormedTraining) -> torch.optim.Optimizer:
        """AdamW, with the projection after every step."""
        optimizer = adamw(learned, settings)
        optimizer.register_step_post_hook(lambda *_: _project(learned))
        return optimizer


@torch.no_grad()
def _project(learned: Sequence[Learned]) -> None:
    for state in learned:
        e = state.parameters["e"]
        e.copy_(state.constants["magnitude"] * normalize(e))
