"""Cross Initialization: rows start where the encoder's output for the class word lies, and are held near it.

Owns that start and the pull towards it; all else is `dti.methods.adamw_rows`'s.
"""

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows
from dti.methods.adamw_rows import FreeRows, free_rows
from dti.methods.base import Encoder, Learned, agreed_count, class_ids, class_rows
from dti.spec.settings import CrossTraining


class CrossInitialization(FreeRows[CrossTraining]):
    """e starts at the encoder's output e0 for the class word, and the penalty w |e - e0| holds it near.

    Freely learned rows end much nearer to e0, in scale and in direction, than to the vocabulary, so there is less way
    to go. The penalty is a mean over the rows of an encoder, and a sum over the encoders.

    Going on from given rows, e starts at them, while e0 is the class word's output all the same.

    Source: Pang et al., "Cross Initialization for Personalized Text-to-Image Generation", CVPR 2024, arXiv 2312.15905;
    defaults are those of its released command: 320 updates of 8 pictures, w = 1e-5, learning rate 6.25e-4 scaled by the
    batch, that is 5e-3. There the start for faces is a mean over names of known people; here it is the class word.
    """

    name = "crossinit"

    def start(self, encoder: Encoder, class_word: str, settings: CrossTraining, initial: Rows | None) -> Learned:
        """The encoder's output for the class word, or the given rows."""
        anchor = _outputs(encoder, class_word, agreed_count(settings, initial))
        weight = anchor.new_tensor(settings.regularization)
        e = anchor.clone() if initial is None else initial.vectors.to(anchor, copy=True)
        return free_rows(e, anchor=anchor, weight=weight)

    def penalty(self, learned: Learned) -> Tensor:
        """How far the rows are from e0 on average, times w."""
        distances: Tensor = torch.linalg.vector_norm(learned.parameters["e"] - learned.constants["anchor"], dim=-1)
        return learned.constants["weight"] * distances.mean()


def _outputs(encoder: Encoder, class_word: str, count: int | None) -> Tensor:
    """The encoder's output at the class word's tokens, as many as `class_rows` would give."""
    class_rows(encoder, class_word, count)
    ids = class_ids(encoder, class_word, None)
    # A model that rests elsewhere than it works answers from where it works.
    outputs = encoder.output(ids).detach().to(encoder.vocabulary.device, torch.float32)
    return outputs[[index % len(ids) for index in range(count or len(ids))]]
