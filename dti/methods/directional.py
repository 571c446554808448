"""Directional Textual Inversion (`dti`): the rows' norm is fixed, their direction is trained on the unit sphere.

Owns the decomposition e = m v and the von Mises-Fisher prior; `dti.optim` owns the update rule.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows
from dti.encoders import TextEncoder, class_rows, vocabulary_norm
from dti.methods.base import Learned, Method, vector_count
from dti.optim import SphereSGD
from dti.spec.settings import DirectionalTraining
from dti.sphere import normalize


class DirectionalInversion(Method[DirectionalTraining]):
    """e = m v with |v| = 1: v starts at the class word's direction mu, m is a statistic of the vocabulary's norms.

    The prior p(v) ~ exp(kappa <mu, v>) enters as the penalty -kappa <mu, v>, with the constant gradient -kappa mu;
    every row has its own mu. When continuing from given rows, v starts at their directions; m and mu still come from
    the settings and the class word.

    Source: Kim et al., "Directional Textual Inversion for Personalized Text-to-Image Generation", ICLR 2026,
    arXiv 2512.13672; reference implementation github.com/kunheek/dti.
    """

    name = "dti"

    def start(
        self, encoder: TextEncoder, class_word: str, settings: DirectionalTraining, initial: Rows | None
    ) -> Learned:
        """Start at the class word's directions, or at the given rows' directions."""
        mu = normalize(class_rows(encoder, class_word, vector_count(settings, initial)))
        v = mu.clone() if initial is None else initial.direction.to(mu, copy=True)
        m = torch.full_like(mu[:, :1], vocabulary_norm(encoder.vocabulary, settings.magnitude))
        return Learned(
            parameters={"v": v.requires_grad_()},
            constants={"mu": mu, "magnitude": m, "kappa": mu.new_tensor(settings.kappa), "start": m * v.detach()},
        )

    def vectors(self, learned: Learned) -> Tensor:
        """The rows e = m v."""
        return learned.constants["magnitude"] * learned.parameters["v"]

    def penalty(self, learned: Learned) -> Tensor:
        """-kappa <mu, v>, summed over the rows."""
        return -learned.constants["kappa"] * (learned.constants["mu"] * learned.parameters["v"]).sum()

    def optimizer(self, learned: Sequence[Learned], settings: DirectionalTraining) -> torch.optim.Optimizer:
        """Riemannian gradient descent over the directions of all encoders."""
        return SphereSGD([state.parameters["v"] for state in learned], lr=settings.learning_rate)

    def finish(self, learned: Learned) -> Rows:
        """The directions v with the fixed norm m."""
        return Rows(
            direction=learned.parameters["v"].detach().cpu().clone(),
            magnitude=learned.constants["magnitude"].cpu().clone(),
        )
