"""Directional Textual Inversion: the row's norm is fixed, only its direction is learned, on the unit sphere.

Owns the decoupling e = m v and the von Mises-Fisher prior. The update rule is `dti.optim`'s; the loss is the
family's.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows
from dti.methods.base import Encoder, Learned, Method, agreed_count, class_rows, magnitude_of
from dti.optim import SphereSGD
from dti.spec.settings import DirectionalTraining
from dti.sphere import normalize


class DirectionalInversion(Method[DirectionalTraining]):
    """e = m v with |v| = 1: v starts at the class word's direction mu, m is a typical norm of the vocabulary.

    The prior p(v) ~ exp(kappa <mu, v>) enters as the penalty -kappa <mu, v>, whose gradient is the constant
    -kappa mu; every row has its own mu. Going on from given rows, v starts at their directions, while m and mu are
    those of the settings and the class word all the same.

    Source: Kim et al., "Directional Textual Inversion for Personalized Text-to-Image Generation", ICLR 2026,
    arXiv 2512.13672.
    """

    name = "dti"

    def start(self, encoder: Encoder, class_word: str, settings: DirectionalTraining, initial: Rows | None) -> Learned:
        """The class word's directions, or the given rows', and the norm that they keep."""
        mu = normalize(class_rows(encoder, class_word, agreed_count(settings, initial)))
        v = mu.clone() if initial is None else initial.direction.to(mu, copy=True)
        m = torch.full_like(mu[:, :1], magnitude_of(encoder.vocabulary, settings.magnitude))
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
        """Steepest descent on the sphere, over the directions of all encoders."""
        return SphereSGD([one.parameters["v"] for one in learned], lr=settings.learning_rate)

    def finish(self, learned: Learned) -> Rows:
        """The directions as they are, with the norm that they had all along."""
        return Rows(
            direction=learned.parameters["v"].detach().cpu().clone(),
            magnitude=learned.constants["magnitude"].cpu().clone(),
        )
