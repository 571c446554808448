"""Rescaled Textual Inversion (`ti-rescaled`): `ti`, with the rows' norms reset to m after training."""

import torch

from dti.embeddings.embedding import Rows
from dti.encoders import TextEncoder, vocabulary_norm
from dti.methods.adamw_rows import AdamWRows, initial_rows, trainable_rows
from dti.methods.base import Learned
from dti.spec.settings import RescaledTraining
from dti.sphere import normalize


class RescaledInversion(AdamWRows[RescaledTraining]):
    """`ti`, with the norm set to m on export: measures how much of an inflated row survives the repair of its norm.

    The loss is that of the free row at its own norm. Every exported embedding is rescaled, previews during training
    included, because previews show the result of stopping there. A falling loss can therefore come with previews that
    do not improve.

    Source: the baseline "TI rescaled" of Kim et al., "Directional Textual Inversion", arXiv 2512.13672.
    """

    name = "ti-rescaled"

    def start(self, encoder: TextEncoder, class_word: str, settings: RescaledTraining, initial: Rows | None) -> Learned:
        """As `ti`, with the final norm as a constant."""
        e = initial_rows(encoder, class_word, settings, initial)
        m = vocabulary_norm(encoder.vocabulary, settings.magnitude)
        return trainable_rows(e, magnitude=torch.full_like(e[:, :1], m))

    def finish(self, learned: Learned) -> Rows:
        """The rows' directions, with the norm m."""
        return Rows(
            direction=normalize(learned.parameters["e"].detach()).cpu(),
            magnitude=learned.constants["magnitude"].cpu().clone(),
        )
