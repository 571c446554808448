"""BaTex: a row is a combination of the vocabulary rows nearest the class word, and only its weights are learned.

Owns which rows those are, and the combination. AdamW is `dti.methods.adamw_rows`'s.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows
from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.methods.adamw_rows import adamw, split
from dti.methods.base import Encoder, Learned, Method, agreed_count, class_ids, class_rows
from dti.spec.settings import SubspaceTraining
from dti.sphere import normalize

_SHARE = 7 / 8
"""Of a row's numbers: 672 of 768, within the 576 to 720 that the paper uses there."""

_ROWS_AT_ONCE = 2**14
"""A whole vocabulary of a language model in float32 takes gigabytes."""

_STRAY = 1e-4
"""Share of a row's norm that may lie outside of the subspace: rounding is a hundredth of it."""


class SubspaceInversion(Method[SubspaceTraining]):
    """e = sum of w_i e_i over the M vocabulary rows nearest the class word; w starts as one for the class word itself.

    Nearest is largest cosine; rows of zeros are left out. Every row has a basis of its own: that of its token. With M
    below the width, e cannot leave the span of words that are like the class word.

    Going on from given rows, w is their best fit; rows that do not lie in the span are refused.

    Source: Du et al., "Efficient Personalized Text-to-image Generation by Leveraging Textual Subspace" (BaTex), 2024,
    arXiv 2407.00608: AdamW, learning rate 2e-3, 1000 updates, M of 576 to 720 at a width of 768.
    """

    name = "subspace"

    def start(self, encoder: Encoder, class_word: str, settings: SubspaceTraining, initial: Rows | None) -> Learned:
        """The weights that give the class word's rows, or the given ones."""
        count = agreed_count(settings, initial)
        class_rows(encoder, class_word, count)
        size = settings.basis_size or max(1, round(_SHARE * encoder.width))
        basis = _basis(encoder, class_ids(encoder, class_word, count), size)
        w = torch.zeros_like(basis[..., 0])
        w[:, 0] = 1
        if initial is not None:
            w = _fit(basis, initial.vectors.to(basis))
        return Learned({"w": w.requires_grad_()}, {"basis": basis, "start": _combined(w.detach(), basis)})

    def vectors(self, learned: Learned) -> Tensor:
        """The rows that the weights give."""
        return _combined(learned.parameters["w"], learned.constants["basis"])

    def penalty(self, learned: Learned) -> Tensor:
        """None."""
        return learned.parameters["w"].new_zeros(())

    def optimizer(self, learned: Sequence[Learned], settings: SubspaceTraining) -> torch.optim.Optimizer:
        """AdamW over the weights of all encoders."""
        return adamw(learned, settings)

    def finish(self, learned: Learned) -> Rows:
        """The rows as the weights give them."""
        return split(self.vectors(learned))


def _combined(w: Tensor, basis: Tensor) -> Tensor:
    """Rows `(n, d)` from weights `(n, M)` and bases `(n, M, d)`."""
    return torch.einsum("nm,nmd->nd", w, basis)


def _basis(encoder: Encoder, ids: Sequence[int], size: int) -> Tensor:
    """Per token the rows of the vocabulary nearest to it `(n, M, d)`, the nearest first: itself."""
    table = encoder.vocabulary.detach()
    cosines = torch.cat([_cosines(table[ids], part) for part in torch.split(table, _ROWS_AT_ONCE)], dim=-1)
    usable = int(cosines[0].isfinite().sum())
    if size > usable:
        raise InvalidSettingError("basis_size", f"{size} is more than the {usable} rows that {encoder.name} has.")
    cosines[range(len(ids)), ids] = torch.inf
    return table[cosines.topk(size, dim=-1).indices].float()


def _cosines(words: Tensor, rows: Tensor) -> Tensor:
    """`(words, rows)`; rows of zeros have no direction and come last."""
    return (normalize(words.float()) @ normalize(rows.float()).T).nan_to_num(nan=-torch.inf)


def _fit(basis: Tensor, rows: Tensor) -> Tensor:
    """The weights `(n, M)` that give these rows.

    Raises:
        EmbeddingMismatchError: none do.
    """
    spans, targets = basis.double().cpu().mT, rows.double().cpu()[..., None]
    # This driver alone copes with words that are combinations of other words; it runs on the CPU.
    w: Tensor = torch.linalg.lstsq(spans, targets, driver="gelsy").solution
    stray = torch.linalg.vector_norm(spans @ w - targets) / torch.linalg.vector_norm(targets)
    if stray > _STRAY:
        raise EmbeddingMismatchError(
            f"The rows to go on from lie outside of the class word's subspace, with {stray:.1%} of their norm. "
            "Start at the class word, or go on with the method that they were learned with."
        )
    return w[..., 0].to(basis)
