"""Rows of another tool as magnitude times direction, so that the product gives the row again.

Owns what "exact" means where one row is kept as two tensors. Every row that ever was such a product, a concept of ours
that comes back from another tool's file, is found again bit for bit. A row that never was one has, in float32, mostly
no magnitude for which all its products come out even; each of its numbers is then one unit in the last place off at
most, and from there on exact.
"""

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows

_WINDOW = 1e-5
"""How far from one the norm of a direction may be, as `dti.embeddings.embedding` accepts it."""


_TRIED_FIRST = 64


def split(vectors: Tensor) -> Rows:
    """Directions and magnitudes whose products are these rows.

    Args:
        vectors: `(n, d)`, float32, finite, none of them zero.
    """
    parts = [_split(vector) for vector in vectors]
    return Rows(torch.stack([v for v, _ in parts]), torch.stack([m for _, m in parts]).unsqueeze(-1))


def _split(e: Tensor) -> tuple[Tensor, Tensor]:
    """The magnitude nearest to the norm with which every product is exact, or the norm itself."""
    norm = torch.linalg.vector_norm(e.double()).float()
    candidates = _magnitudes_around(norm)
    # Most candidates fail at once: all are tried on a few numbers, what is left on the whole row.
    first = e[:_TRIED_FIRST]
    fitting = (candidates * _quotient(first, candidates) == first).all(dim=-1)
    for m in candidates[fitting]:
        v = _quotient(e, m)
        if torch.equal(m * v, e) and abs(torch.linalg.vector_norm(v.double()) - 1) < _WINDOW:
            return v, m.squeeze()
    return _quotient(e, norm), norm


def _magnitudes_around(norm: Tensor) -> Tensor:
    """The float32 numbers `(k, 1)` for which the row's direction counts as a unit one, nearest first."""
    reach = round(2 * _WINDOW / torch.finfo(torch.float32).eps)
    distances = sorted(range(-reach, reach + 1), key=abs)
    return (norm.view(torch.int32) + torch.tensor(distances, dtype=torch.int32)).view(torch.float32).unsqueeze(-1)


def _quotient(e: Tensor, m: Tensor) -> Tensor:
    """The v nearest to e / m, or its neighbour where only that one gives m v = e; e and m are broadcast."""
    v = e / m
    for end in (torch.inf, -torch.inf):
        beside = torch.nextafter(v, v.new_tensor(end))
        v = torch.where((m * v != e) & (m * beside == e), beside, v)
    return v
