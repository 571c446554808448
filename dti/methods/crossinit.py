"""Cross Initialization (`crossinit`): rows start at the encoder's output for the class word and are held near it."""

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows
from dti.encoders import TextEncoder, class_ids, class_rows
from dti.methods.adamw_rows import AdamWRows, trainable_rows
from dti.methods.base import Learned, vector_count
from dti.spec.settings import CrossInitTraining


class CrossInitialization(AdamWRows[CrossInitTraining]):
    """e starts at the encoder's output e0 for the class word; the penalty w |e - e0| keeps it near.

    Freely trained rows end much nearer to e0, in norm and in direction, than to the vocabulary, so the path is
    shorter. The penalty is averaged over the rows of an encoder and summed over encoders.

    When continuing from given rows, e starts at these rows; e0 stays the class word's output.

    Source: Pang et al., "Cross Initialization for Personalized Text-to-Image Generation", CVPR 2024, arXiv 2312.15905;
    the defaults are those of its released command: 320 updates of 8 images, w = 1e-5, learning rate 6.25e-4 scaled by
    the batch, that is 5e-3. For faces the authors start at a mean over celebrity names; here it is the class word.
    """

    name = "crossinit"

    def start(
        self, encoder: TextEncoder, class_word: str, settings: CrossInitTraining, initial: Rows | None
    ) -> Learned:
        """Start at the encoder's output for the class word, or at the given rows."""
        anchor = _outputs(encoder, class_word, vector_count(settings, initial))
        weight = anchor.new_tensor(settings.regularization)
        e = anchor.clone() if initial is None else initial.vectors.to(anchor, copy=True)
        return trainable_rows(e, anchor=anchor, weight=weight)

    def penalty(self, learned: Learned) -> Tensor:
        """W times the rows' mean distance from e0."""
        distances: Tensor = torch.linalg.vector_norm(learned.parameters["e"] - learned.constants["anchor"], dim=-1)
        return learned.constants["weight"] * distances.mean()


def _outputs(encoder: TextEncoder, class_word: str, count: int | None) -> Tensor:
    """Encoder outputs at the class word's tokens, as many as `class_rows` would give."""
    class_rows(encoder, class_word, count)
    ids = class_ids(encoder, class_word, None)
    # An offloaded encoder answers on the GPU, while its vocabulary (and so the learned rows) stays on the CPU.
    outputs = encoder.output(ids).detach().to(encoder.vocabulary.device, torch.float32)
    return outputs[[index % len(ids) for index in range(count or len(ids))]]
