"""BaTex (`subspace`): rows are trained as linear combinations of the vocabulary rows nearest the class word."""

from collections.abc import Sequence

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows
from dti.encoders import TextEncoder, class_ids, class_rows
from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.methods.adamw_rows import adamw, split
from dti.methods.base import Learned, Method, vector_count
from dti.spec.settings import SubspaceTraining
from dti.sphere import normalize

_BASIS_SHARE = 7 / 8
"""Default basis size as a share of the width: 672 of 768, within the paper's 576 to 720."""

_CHUNK_ROWS = 2**14
"""A language model's whole vocabulary in float32 would take gigabytes."""

_RESIDUAL_LIMIT = 1e-4
"""Share of a row's norm that may lie outside the subspace; rounding accounts for a hundredth of it."""


class SubspaceInversion(Method[SubspaceTraining]):
    """e = sum of w_i e_i over the M vocabulary rows nearest the class word; w starts at 1 for the class word itself.

    Nearest means largest cosine; zero rows are excluded. Every row has its own basis, that of its token. With M below
    the width, e cannot leave the span of words similar to the class word.

    When continuing from given rows, w is their least-squares fit; rows outside the span are refused.

    Source: Du et al., "Efficient Personalized Text-to-image Generation by Leveraging Textual Subspace" (BaTex), 2024,
    arXiv 2407.00608: AdamW, learning rate 2e-3, 1000 updates, M of 576 to 720 at a width of 768.
    """

    name = "subspace"

    def start(self, encoder: TextEncoder, class_word: str, settings: SubspaceTraining, initial: Rows | None) -> Learned:
        """Weights that reproduce the class word's rows, or the given ones."""
        count = vector_count(settings, initial)
        class_rows(encoder, class_word, count)
        size = settings.basis_size or max(1, round(_BASIS_SHARE * encoder.width))
        basis = _basis(encoder, class_ids(encoder, class_word, count), size)
        w = torch.zeros_like(basis[..., 0])
        w[:, 0] = 1
        if initial is not None:
            w = _fit(basis, initial.vectors.to(basis))
        return Learned({"w": w.requires_grad_()}, {"basis": basis, "start": _combine(w.detach(), basis)})

    def vectors(self, learned: Learned) -> Tensor:
        """The rows e = sum of w_i e_i."""
        return _combine(learned.parameters["w"], learned.constants["basis"])

    def penalty(self, learned: Learned) -> Tensor:
        """Zero."""
        return learned.parameters["w"].new_zeros(())

    def optimizer(self, learned: Sequence[Learned], settings: SubspaceTraining) -> torch.optim.Optimizer:
        """AdamW over the weights of all encoders."""
        return adamw(learned, settings)

    def finish(self, learned: Learned) -> Rows:
        """The rows given by the weights."""
        return split(self.vectors(learned))


def _combine(w: Tensor, basis: Tensor) -> Tensor:
    """Rows `(n, d)` from weights `(n, M)` and bases `(n, M, d)`."""
    return torch.einsum("nm,nmd->nd", w, basis)


def _basis(encoder: TextEncoder, ids: Sequence[int], size: int) -> Tensor:
    """The vocabulary rows nearest each token `(n, M, d)`, in descending cosine; the token itself is first."""
    table = encoder.vocabulary.detach()
    cosines = torch.cat([_cosines(table[ids], part) for part in torch.split(table, _CHUNK_ROWS)], dim=-1)
    usable = int(cosines[0].isfinite().sum())
    if size > usable:
        raise InvalidSettingError("basis_size", f"{size} is more than the {usable} rows that {encoder.name} has.")
    cosines[range(len(ids)), ids] = torch.inf
    return table[cosines.topk(size, dim=-1).indices].float()


def _cosines(words: Tensor, rows: Tensor) -> Tensor:
    """Cosines `(words, rows)`; -inf for zero rows, which have no direction."""
    return (normalize(words.float()) @ normalize(rows.float()).T).nan_to_num(nan=-torch.inf)


def _fit(basis: Tensor, rows: Tensor) -> Tensor:
    """Weights `(n, M)` that reproduce these rows.

    Raises:
        EmbeddingMismatchError: the rows lie outside the span of the basis.
    """
    spans, targets = basis.double().cpu().mT, rows.double().cpu()[..., None]
    # gelsy is the only driver that handles rank-deficient bases (words that are combinations of other words);
    # it exists on the CPU only.
    w: Tensor = torch.linalg.lstsq(spans, targets, driver="gelsy").solution
    residual = torch.linalg.vector_norm(spans @ w - targets) / torch.linalg.vector_norm(targets)
    if residual > _RESIDUAL_LIMIT:
        raise EmbeddingMismatchError(
            f"The rows to continue from lie outside the class word's subspace, with {residual:.1%} of their norm. "
            "Start at the class word, or continue with the method that they were trained by."
        )
    return w[..., 0].to(basis)
