"""Exact split of rows into magnitude and direction, such that their float32 product is the row.

A row that was once such a product (an exported `dti` embedding) is recovered bit for bit. For other rows an exact split
mostly does not exist in float32; each component is then off by at most one unit in the last place, once.
"""

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows

_WINDOW = 1e-5
"""Tolerance of a direction's norm, as in `dti.embeddings.embedding`."""

_TRIED_FIRST = 64
"""Components tested first; most candidate magnitudes fail on them."""


def split(vectors: Tensor) -> Rows:
    """Directions and magnitudes with these rows as products.

    Args:
        vectors: `(n, d)`, float32, finite, non-zero.
    """
    parts = [_split(vector) for vector in vectors]
    return Rows(torch.stack([v for v, _ in parts]), torch.stack([m for _, m in parts]).unsqueeze(-1))


def _split(e: Tensor) -> tuple[Tensor, Tensor]:
    """Split by the magnitude nearest the norm for which all products are exact; by the norm if there is none."""
    norm = torch.linalg.vector_norm(e.double()).float()
    candidates = _magnitudes_around(norm)
    # Float32 division rounds, so m * (e / m) differs from e for most m; the original m is among the neighbours of the
    # norm. All candidates are tried on a few components, the survivors on the whole row.
    first = e[:_TRIED_FIRST]
    fitting = (candidates * _quotient(first, candidates) == first).all(dim=-1)
    for m in candidates[fitting]:
        v = _quotient(e, m)
        if torch.equal(m * v, e) and abs(torch.linalg.vector_norm(v.double()) - 1) < _WINDOW:
            return v, m.squeeze()
    return _quotient(e, norm), norm


def _magnitudes_around(norm: Tensor) -> Tensor:
    """Float32 neighbours `(k, 1)` of the norm within the tolerance, nearest first."""
    reach = round(2 * _WINDOW / torch.finfo(torch.float32).eps)
    distances = sorted(range(-reach, reach + 1), key=abs)
    return (norm.view(torch.int32) + torch.tensor(distances, dtype=torch.int32)).view(torch.float32).unsqueeze(-1)


def _quotient(e: Tensor, m: Tensor) -> Tensor:
    """E / m, replaced by an adjacent float where only that gives m v = e; e and m are broadcast."""
    v = e / m
    for end in (torch.inf, -torch.inf):
        beside = torch.nextafter(v, v.new_tensor(end))
        v = torch.where((m * v != e) & (m * beside == e), beside, v)
    return v
