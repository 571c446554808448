"""Conversion of a file's rows to an embedding for a loaded model: encoder assignment and norm repair."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from dti.embeddings.embedding import Embedding, Rows
from dti.encoders import TextEncoder, class_rows, vocabulary_norm
from dti.errors import EmbeddingMismatchError
from dti.families import Family
from dti.formats.external import ExternalEmbedding
from dti.formats.splitting import split
from dti.sphere import normalize as unit

METHOD = "import"
"""`Embedding.method` of rows from other tools."""


@dataclass(frozen=True, slots=True)
class ConvertedEmbedding:
    """An embedding for the model, and its rows' norms before and after conversion, by encoder."""

    embedding: Embedding
    norms_before: Mapping[str, list[float]]
    norms_after: Mapping[str, list[float]]


def convert(
    found: ExternalEmbedding | Embedding, *, family: Family, trigger: str, class_word: str, normalize: bool
) -> ConvertedEmbedding:
    """Convert a file's concept to an embedding for a model.

    A `dti` embedding keeps its method and settings. It may come from another checkpoint of the same family;
    the settings then record that checkpoint's fingerprint as `imported_fingerprint`.

    Args:
        found: from `detect_and_read`.
        family: the model.
        trigger: name of the concept in prompts.
        class_word: category of the concept.
        normalize: whether to replace every row's norm by the vocabulary's mean norm.

    Raises:
        EmbeddingMismatchError: the rows do not fit the model's encoders.
        InvalidSettingError: the model does not know the class word.
    """
    # Prompts reserve a concept's positions with the class word's tokens, so every encoder must know the word.
    for encoder in family.encoders.values():
        class_rows(encoder, class_word, count=1)
    rows = rows_by_encoder(found, family)
    converted = {name: _normalized(part, family.encoders[name]) for name, part in rows.items()} if normalize else rows
    history = _history(found, family)
    embedding = Embedding(
        rows=converted,
        trigger=trigger,
        class_word=class_word,
        family=family.name,
        fingerprint=family.fingerprint,
        method=found.method if isinstance(found, Embedding) else METHOD,
        settings={**history, "normalized": True} if normalize else history,
        steps=found.steps if isinstance(found, Embedding) else 0,
    )
    return ConvertedEmbedding(embedding, _norms(rows), _norms(converted))


def rows_by_encoder(found: ExternalEmbedding | Embedding, family: Family) -> Mapping[str, Rows]:
    """A file's rows by the model's encoders.

    Raises:
        EmbeddingMismatchError: the rows do not fit the model's encoders.
    """
    if isinstance(found, Embedding):
        found.check_fits(family=family.name, fingerprint=found.fingerprint, widths=_widths(family))
        return found.rows
    vectors = dict(found.vectors)
    if None in vectors:
        vectors[_encoder_by_width(found, family)] = vectors.pop(None)
    widths = {name: rows.shape[1] for name, rows in vectors.items()}
    if widths != _widths(family):
        raise EmbeddingMismatchError(_mismatch(found, family))
    return {name: split(vectors[name]) for name in family.encoders}


def _encoder_by_width(found: ExternalEmbedding, family: Family) -> str:
    """The only encoder with the width of a file's single, unnamed tensor."""
    width = found.vectors[None].shape[1]
    fitting = [name for name, wanted in _widths(family).items() if wanted == width]
    if not fitting:
        raise EmbeddingMismatchError(_mismatch(found, family))
    if len(fitting) > 1:
        raise EmbeddingMismatchError(
            f"{_mismatch(found, family)} Its width fits {' and '.join(fitting)} alike, and no name says which."
        )
    return fitting[0]


def _mismatch(found: ExternalEmbedding, family: Family) -> str:
    held = ", ".join(f"{name or 'one without a name'} ({rows.shape[1]})" for name, rows in found.vectors.items())
    taken = ", ".join(f"{name} ({width})" for name, width in _widths(family).items())
    return (
        f"The file ({found.format}) was made for another kind of model. Expected rows for the encoders of "
        f"{family.name}, with their widths: {taken}. Found: {held}. Choose the model that it was made for."
    )


def _history(found: ExternalEmbedding | Embedding, family: Family) -> Mapping[str, object]:
    """Provenance of the rows, for the embedding's settings."""
    if not isinstance(found, Embedding):
        return {"imported_format": found.format, "imported_trigger": found.trigger}
    if found.fingerprint == family.fingerprint:
        return found.settings
    return {**found.settings, "imported_fingerprint": found.fingerprint}


def _widths(family: Family) -> dict[str, int]:
    return {name: encoder.width for name, encoder in family.encoders.items()}


def _norms(rows: Mapping[str, Rows]) -> dict[str, list[float]]:
    return {name: torch.linalg.vector_norm(part.vectors, dim=-1).tolist() for name, part in rows.items()}


def _normalized(rows: Rows, encoder: TextEncoder) -> Rows:
    """The same directions with the vocabulary's mean norm."""
    magnitude = torch.full_like(rows.magnitude, vocabulary_norm(encoder.vocabulary, "mean"))
    return Rows(unit(rows.direction), magnitude)
