"""Concepts made of concepts: a point between two embeddings, a weighted mean of several.

Owns which embeddings may be mixed and what becomes of their magnitudes. It knows no model and renders nothing.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from dti.embeddings.embedding import Embedding, Rows
from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.spec.settings import Mixing
from dti.sphere import mean, normalize, slerp


def interpolate(a: Embedding, b: Embedding, share: float, method: Mixing) -> Embedding:
    """The embedding at a share of the way from a to b, row by row and encoder by encoder.

    At shares 0 and 1 the rows are those of a and b, bit for bit. Otherwise "slerp" turns the directions along their
    great circle and goes linearly from magnitude to magnitude, so that concepts of one norm keep it; "lerp" walks
    along the chord between the rows themselves, which leaves the sphere: for comparison.

    Args:
        a: the concept at share 0; trigger and class word are its.
        b: the concept at share 1.
        share: 0 … 1.
        method: how to get from one to the other.

    Raises:
        InvalidSettingError: the share is not within 0 … 1.
        EmbeddingMismatchError: the two do not belong together, have different numbers of vectors (there is no telling
            which row of one answers which of the other, so none is invented), or their chord passes through zero.
    """
    if not 0 <= share <= 1:
        raise InvalidSettingError("share", f"{share} lies outside 0 … 1.")
    _check_alike([a, b])
    if share in {0, 1}:
        rows = (b if share else a).rows
    else:
        rows = {name: _WAYS[method](a.rows[name], b.rows[name], share) for name in a.rows}
    return _made(a, rows, method, {"from": a.trigger, "to": b.trigger, "share": share})


def blend(parts: Sequence[tuple[Embedding, float]]) -> Embedding:
    """The weighted spherical mean of concepts; magnitudes are averaged with the same weights.

    Args:
        parts: at least one concept, each with a positive weight; trigger and class word are the first one's.

    Raises:
        InvalidSettingError: there are no parts, or a weight is not positive and finite.
        EmbeddingMismatchError: as for `interpolate`.
    """
    for _, weight in parts:
        if not (weight > 0 and math.isfinite(weight)):
            raise InvalidSettingError("weight", f"{weight} is not a positive number.")
    if not parts:
        raise InvalidSettingError("parts", "there is nothing to blend. Name at least one concept.")
    embeddings = [embedding for embedding, _ in parts]
    _check_alike(embeddings)
    first = embeddings[0]
    weights = torch.tensor([weight for _, weight in parts], dtype=torch.float64)
    rows = {name: _averaged([one.rows[name] for one in embeddings], weights) for name in first.rows}
    recipe = {"parts": [{"concept": one.trigger, "weight": weight} for one, weight in parts]}
    return _made(first, rows, "blend", recipe)


def _check_alike(embeddings: Sequence[Embedding]) -> None:
    first = embeddings[0]
    for other in embeddings[1:]:
        for what, here, there in (
            ("model families", first.family, other.family),
            ("checkpoint fingerprints", first.fingerprint, other.fingerprint),
            ("vectors and row widths", _shapes(first), _shapes(other)),
        ):
            if here != there:
                raise EmbeddingMismatchError(
                    f"<{first.trigger}> and <{other.trigger}> cannot be mixed: their {what} differ, {here} and {there}."
                    " Train both on the same model with the same num_vectors."
                )


def _shapes(embedding: Embedding) -> Mapping[str, tuple[int, ...]]:
    return {name: tuple(rows.direction.shape) for name, rows in embedding.rows.items()}


def _along_circle(a: Rows, b: Rows, share: float) -> Rows:
    return Rows(slerp(a.direction, b.direction, share), torch.lerp(a.magnitude, b.magnitude, share))


def _along_chord(a: Rows, b: Rows, share: float) -> Rows:
    vectors = torch.lerp(a.vectors, b.vectors, share)
    magnitude = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    if (magnitude == 0).any():
        raise EmbeddingMismatchError(f"At share {share} the rows cancel each other out. Use slerp, or another share.")
    return Rows(normalize(vectors), magnitude)


_WAYS: Mapping[Mixing, Callable[[Rows, Rows, float], Rows]] = {"slerp": _along_circle, "lerp": _along_chord}


def _averaged(parts: Sequence[Rows], weights: Tensor) -> Rows:
    magnitudes = torch.stack([part.magnitude for part in parts]).double()
    return Rows(
        mean(torch.stack([part.direction for part in parts]), weights),
        (weights.reshape(-1, 1, 1) * magnitudes).sum(dim=0).div(weights.sum()).float(),
    )


def _made(first: Embedding, rows: Mapping[str, Rows], method: str, recipe: Mapping[str, object]) -> Embedding:
    return replace(first, rows=rows, method=method, settings=recipe, steps=0)
