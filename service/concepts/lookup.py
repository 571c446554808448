"""Lookup of the concepts in a request, and checks that they can be used together. It knows no prompt and no job."""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, selectinload

from dti.spec.prompts import nearest
from service.catalogue.models import Catalogue, ModelEntry
from service.catalogue.token_limits import Vectors
from service.database.tables import Concept
from service.errors import ConceptNotReadyError, EmbeddingsDifferError, UnknownConceptError

_NAMES_LIMIT = 1000
"""Most names that are compared for a suggestion."""


def find(session: Session, owner_id: str, references: Collection[str], *, locked: bool = True) -> list[Concept]:
    """An owner's concepts by names or ids, in the order of the references.

    Unless only their present state is asked for, they are locked against deletion until the transaction ends; a later
    deletion sees the job that pins them.

    Raises:
        UnknownConceptError: some do not exist; all of them are listed.
    """
    query = select(Concept).where(
        Concept.owner_id == owner_id, or_(Concept.name.in_(references), Concept.id.in_(references))
    )
    if locked:
        query = query.order_by(Concept.id).with_for_update(read=True, key_share=True)
    rows = session.scalars(query.options(selectinload(Concept.embeddings))).all()
    found = {reference: row for row in rows for reference in (row.id, row.name)}
    unknown = [reference for reference in references if reference not in found]
    if unknown:
        raise UnknownConceptError(unknown, _nearest(session, owner_id, unknown))
    return [found[reference] for reference in references]


def model_for(catalogue: Catalogue, wanted: str | None, concepts: Sequence[Concept]) -> ModelEntry:
    """The model of a request: the given one, else that of its first concept, else the catalogue's default.

    Raises:
        UnknownModelError: the catalogue has no such model.
    """
    if wanted is None:
        wanted = next((concept.model for concept in concepts), catalogue.default.name)
    return catalogue[wanted]


def vectors_of(concepts: Sequence[Concept]) -> dict[str, Vectors]:
    """The numbers of vectors of each concept's present embedding, by the concept's name.

    Raises:
        ConceptNotReadyError: some have no embedding; all of them are listed.
    """
    unready = [concept.name for concept in concepts if concept.embedding is None]
    if unready:
        raise ConceptNotReadyError(list(dict.fromkeys(unready)))
    return {
        concept.name: {encoder: int(rows["vectors"]) for encoder, rows in concept.embedding.encoders.items()}
        for concept in concepts
        if concept.embedding
    }


def check_same_vectors(first: str, second: str, vectors: Mapping[str, Vectors]) -> None:
    """Check that two concepts have equal numbers of vectors, so that they can be interpolated or blended.

    Raises:
        EmbeddingsDifferError: they differ for an encoder.
    """
    for encoder in vectors[first]:
        counts = (vectors[first][encoder], vectors[second][encoder])
        if counts[0] != counts[1]:
            raise EmbeddingsDifferError(first, second, encoder, counts)


def existing(session: Session, owner_id: str, names: Collection[str]) -> list[str]:
    """Those of some names that an owner's concepts have, in order."""
    if not names:
        return []
    query = select(Concept.name).where(Concept.owner_id == owner_id, Concept.name.in_(names))
    return list(session.scalars(query.order_by(Concept.name)))


def _nearest(session: Session, owner_id: str, names: Sequence[str]) -> list[str]:
    """The owner's concepts with the most similar names, each once."""
    known = session.scalars(select(Concept.name).where(Concept.owner_id == owner_id).limit(_NAMES_LIMIT)).all()
    return list(dict.fromkeys(found for name in names if (found := nearest(name, known))))
