"""Concepts on models that they were not trained on: which fit, and the warnings of a job that uses them."""

from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from service import workers
from service.catalogue.models import Catalogue, ModelEntry
from service.database.tables import Concept
from service.errors import ModelMismatchError
from service.kinds.warnings import JobWarning
from service.workers import Card


def check(
    session: Session, catalogue: Catalogue, entry: ModelEntry, concepts: Sequence[Concept], *, strict: bool
) -> Iterator[JobWarning]:
    """Warn of the concepts that were trained on other weights than the model's.

    Cards of models are known once a worker has loaded them; without them the worker checks, and adds the warning.

    Args:
        session: reads the cards.
        catalogue: with the families of models.
        entry: the model of the request.
        concepts: of the request.
        strict: whether such a concept is refused.

    Raises:
        ModelMismatchError: a concept is of another family or of other encoders, or `strict` refuses it.
    """
    cards = workers.cards(session)
    for concept in dict.fromkeys(concept for concept in concepts if concept.model != entry.name):
        own, wanted = cards.get(concept.model), cards.get(entry.name)
        other_weights = own is not None and wanted is not None and own["fingerprint"] != wanted["fingerprint"]
        if not _may_fit(catalogue, entry, concept, wanted) or (strict and other_weights):
            raise ModelMismatchError(concept.name, concept.model, entry.name)
        if other_weights:
            yield warning(concept.name, entry.name)


def _may_fit(catalogue: Catalogue, entry: ModelEntry, concept: Concept, card: Card | None) -> bool:
    """Whether family and widths are the model's, as far as they are known."""
    if concept.model in catalogue and catalogue[concept.model].family != entry.family:
        return False
    if card is None or concept.embedding is None:
        return True
    widths = {name: encoder["width"] for name, encoder in card["encoders"].items()}
    return {name: int(rows["dim"]) for name, rows in concept.embedding.encoders.items()} == widths


def warning(concept: str, model: str) -> JobWarning:
    """The warning of a concept that was trained on other weights than the model's."""
    return JobWarning(
        code="concept_of_another_model",
        message=f"<{concept}> was trained on other weights than those of {model}, and may look different there. "
        "Train it on this model for its full likeness, or set strict to refuse such concepts.",
        subjects=(concept,),
    )
