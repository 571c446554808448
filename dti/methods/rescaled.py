"""Textual Inversion whose rows are brought to a norm of the vocabulary after training.

Owns the rescaling; all else is `dti.methods.adamw_rows`'s.
"""

import torch

from dti.embeddings.embedding import Rows
from dti.methods.adamw_rows import FreeRows, first_rows, free_rows
from dti.methods.base import Encoder, Learned, magnitude_of
from dti.spec.settings import RescaledTraining
from dti.sphere import normalize


class RescaledInversion(FreeRows[RescaledTraining]):
    """`ti`, with the norm set to m afterwards: what remains of an inflated row when its length is repaired.

    The loss is that of the free row, whose norm it was learned with; every embedding that is read, the last one and
    those that previews show on the way, is rescaled: they are what would be served if training stopped there. So a
    falling loss may go with previews that do not improve, which is the point of the comparison.

    Source: the baseline "TI rescaled" of Kim et al., "Directional Textual Inversion", arXiv 2512.13672.
    """

    name = "ti-rescaled"

    def start(self, encoder: Encoder, class_word: str, settings: RescaledTraining, initial: Rows | None) -> Learned:
        """As `ti`, and the norm that is set in the end."""
        e = first_rows(encoder, class_word, settings, initial)
        m = magnitude_of(encoder.vocabulary, settings.magnitude)
        return free_rows(e, magnitude=torch.full_like(e[:, :1], m))

    def finish(self, learned: Learned) -> Rows:
        """The rows' directions, with the norm m."""
        return Rows(
            direction=normalize(learned.parameters["e"].detach()).cpu(),
            magnitude=learned.constants["magnitude"].cpu().clone(),
        )
