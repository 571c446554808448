"""A file's rows as an embedding for a loaded model: which encoder each belongs to, and how long it is to be.

Owns the agreement between a file and a model, and the repair of an inflated row. It knows no format.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from dti.embeddings.embedding import Embedding, Rows
from dti.errors import EmbeddingMismatchError
from dti.families import Family
from dti.formats.external import Foreign
from dti.formats.splitting import split
from dti.methods.base import Encoder, class_rows, magnitude_of
from dti.sphere import normalize as unit

METHOD = "import"
"""What stands in an embedding's `method` where no method of ours made it."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """An embedding that can be used with the model, and its rows' norms in the file and now, by encoder."""

    embedding: Embedding
    norms_before: Mapping[str, list[float]]
    norms_after: Mapping[str, list[float]]


def adopt(found: Foreign | Embedding, *, family: Family, trigger: str, class_word: str, normalize: bool) -> Adopted:
    """The concept of a file as an embedding for a model.

    An embedding of our own keeps its method and settings. It may come from another checkpoint of the same family,
    whose fingerprint then stands in the settings as `imported_fingerprint`: whoever imports it names the model.

    Args:
        found: what `detect_and_read` gave.
        family: the model.
        trigger: what prompts will call the concept.
        class_word: what kind of thing it is.
        normalize: give every row the vocabulary's mean norm and keep only its direction.

    Raises:
        EmbeddingMismatchError: the rows do not fit the model's encoders; it says what was expected and found.
        InvalidSettingError: the model does not know the class word.
    """
    for encoder in family.encoders.values():
        class_rows(encoder, class_word, count=1)
    rows = fitted(found, family)
    adopted = {name: _repaired(part, family.encoders[name]) for name, part in rows.items()} if normalize else rows
    history = _history(found, family)
    embedding = Embedding(
        rows=adopted,
        trigger=trigger,
        class_word=class_word,
        family=family.name,
        fingerprint=family.fingerprint,
        method=found.method if isinstance(found, Embedding) else METHOD,
        settings={**history, "normalized": True} if normalize else history,
        steps=found.steps if isinstance(found, Embedding) else 0,
    )
    return Adopted(embedding, _norms(rows), _norms(adopted))


def fitted(found: Foreign | Embedding, family: Family) -> Mapping[str, Rows]:
    """The rows of a file by the encoders of a model.

    Raises:
        EmbeddingMismatchError: they do not fit; it says what was expected and found.
    """
    if isinstance(found, Embedding):
        found.check_fits(family=family.name, fingerprint=found.fingerprint, widths=_widths(family))
        return found.rows
    vectors = dict(found.vectors)
    if None in vectors:
        vectors[_home(found, family)] = vectors.pop(None)
    widths = {name: rows.shape[1] for name, rows in vectors.items()}
    if widths != _widths(family):
        raise EmbeddingMismatchError(_difference(found, family))
    return {name: split(vectors[name]) for name in family.encoders}


def _home(found: Foreign, family: Family) -> str:
    """The encoder of the only tensor of a file that names none: its width tells, where it can."""
    width = found.vectors[None].shape[1]
    fitting = [name for name, wanted in _widths(family).items() if wanted == width]
    if not fitting:
        raise EmbeddingMismatchError(_difference(found, family))
    if len(fitting) > 1:
        raise EmbeddingMismatchError(
            f"{_difference(found, family)} Its width fits {' and '.join(fitting)} alike, and no name says which."
        )
    return fitting[0]


def _difference(found: Foreign, family: Family) -> str:
    held = ", ".join(f"{name or 'one without a name'} ({rows.shape[1]})" for name, rows in found.vectors.items())
    taken = ", ".join(f"{name} ({width})" for name, width in _widths(family).items())
    return (
        f"The file ({found.format}) was made for another kind of model. Expected rows for the encoders of "
        f"{family.name}, with their widths: {taken}. Found: {held}. Choose the model that it was made for."
    )


def _history(found: Foreign | Embedding, family: Family) -> Mapping[str, object]:
    """What is known of how the rows came to be."""
    if not isinstance(found, Embedding):
        return {"imported_format": found.format, "imported_trigger": found.trigger}
    if found.fingerprint == family.fingerprint:
        return found.settings
    return {**found.settings, "imported_fingerprint": found.fingerprint}


def _widths(family: Family) -> dict[str, int]:
    return {name: encoder.width for name, encoder in family.encoders.items()}


def _norms(rows: Mapping[str, Rows]) -> dict[str, list[float]]:
    return {name: torch.linalg.vector_norm(part.vectors, dim=-1).tolist() for name, part in rows.items()}


def _repaired(rows: Rows, encoder: Encoder) -> Rows:
    """The same directions, as long as a word of the vocabulary is on average."""
    magnitude = torch.full_like(rows.magnitude, magnitude_of(encoder.vocabulary, "mean"))
    return Rows(unit(rows.direction), magnitude)
