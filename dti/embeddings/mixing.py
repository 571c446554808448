"""Interpolation between two embeddings, and blending (weighted spherical mean) of several."""

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
    """Interpolate between two embeddings, row by row and encoder by encoder.

    At shares 0 and 1 the rows equal those of a and b, bit for bit. Otherwise "slerp" interpolates directions along the
    great circle and magnitudes linearly, so equal norms are preserved; "lerp" interpolates the rows along their chord,
    which leaves the sphere, for comparison.

    Args:
        a: embedding at share 0; supplies trigger and class word.
        b: embedding at share 1.
        share: 0 … 1.
        method: slerp or lerp.

    Raises:
        InvalidSettingError: the share is not within 0 … 1.
        EmbeddingMismatchError: the two differ in model or in the number of vectors (rows have no defined
            correspondence then), or their chord passes through zero.

    Source: Kim et al., arXiv 2512.13672: slerp of directions at fixed magnitude.
    """
    if not 0 <= share <= 1:
        raise InvalidSettingError("share", f"{share} lies outside 0 … 1.")
    _check_same_space([a, b])
    if share in {0, 1}:
        rows = (b if share else a).rows
    else:
        rows = {name: _INTERPOLATIONS[method](a.rows[name], b.rows[name], share) for name in a.rows}
    return _mixed(a, rows, method, {"from": a.trigger, "to": b.trigger, "share": share})


def blend(parts: Sequence[tuple[Embedding, float]]) -> Embedding:
    """Weighted spherical mean of embeddings; magnitudes are averaged with the same weights.

    Args:
        parts: at least one embedding, with positive weights; the first supplies trigger and class word.

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
    _check_same_space(embeddings, ("checkpoint fingerprints", [embedding.fingerprint for embedding in embeddings]))
    first = embeddings[0]
    weights = torch.tensor([weight for _, weight in parts], dtype=torch.float64)
    rows = {name: _average([embedding.rows[name] for embedding in embeddings], weights) for name in first.rows}
    recipe = {"parts": [{"concept": embedding.trigger, "weight": weight} for embedding, weight in parts]}
    return _mixed(first, rows, "blend", recipe)


def _check_same_space(embeddings: Sequence[Embedding], *further: tuple[str, Sequence[object]]) -> None:
    """Check that embeddings have rows to mix, and that further values of theirs are equal."""
    subjects: Sequence[tuple[str, Sequence[object]]] = (
        ("model families", [embedding.family for embedding in embeddings]),
        *further,
        ("vectors and row widths", [_shapes(embedding) for embedding in embeddings]),
    )
    first = embeddings[0]
    for number, other in enumerate(embeddings[1:], start=1):
        for subject, values in subjects:
            value, others = values[0], values[number]
            if value != others:
                raise EmbeddingMismatchError(
                    f"<{first.trigger}> and <{other.trigger}> cannot be mixed: "
                    f"their {subject} differ, {value} and {others}."
                    " Train both on the same model with the same num_vectors."
                )


def _shapes(embedding: Embedding) -> Mapping[str, tuple[int, ...]]:
    return {name: tuple(rows.direction.shape) for name, rows in embedding.rows.items()}


def _slerp_rows(a: Rows, b: Rows, share: float) -> Rows:
    return Rows(slerp(a.direction, b.direction, share), torch.lerp(a.magnitude, b.magnitude, share))


def _lerp_rows(a: Rows, b: Rows, share: float) -> Rows:
    vectors = torch.lerp(a.vectors, b.vectors, share)
    magnitude = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    if (magnitude == 0).any():
        raise EmbeddingMismatchError(f"At share {share} the rows cancel each other out. Use slerp, or another share.")
    return Rows(normalize(vectors), magnitude)


_INTERPOLATIONS: Mapping[Mixing, Callable[[Rows, Rows, float], Rows]] = {"slerp": _slerp_rows, "lerp": _lerp_rows}


def _average(parts: Sequence[Rows], weights: Tensor) -> Rows:
    magnitudes = torch.stack([part.magnitude for part in parts]).double()
    return Rows(
        mean(torch.stack([part.direction for part in parts]), weights),
        (weights.reshape(-1, 1, 1) * magnitudes).sum(dim=0).div(weights.sum()).float(),
    )


def _mixed(first: Embedding, rows: Mapping[str, Rows], method: str, recipe: Mapping[str, object]) -> Embedding:
    return replace(first, rows=rows, method=method, settings=recipe, steps=0)
