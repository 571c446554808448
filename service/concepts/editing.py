"""Changes of a concept after its creation: name, class word, tags, cover, present version, training pictures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from dti.spec.settings import Training
from service.accounts import owners, usage
from service.catalogue.token_limits import Caption
from service.concepts import trainings, unused
from service.concepts.concepts import (
    check_class_word,
    check_name,
    get_locked,
    picture_row,
    search_text,
    unfinished_training,
)
from service.context import Service
from service.database.clock import now
from service.database.references import unreferenced
from service.database.tables import Concept, Image, Picture
from service.errors import ConceptInTrainingError, InvalidInputError, NameTakenError, NotFoundError
from service.kinds.warnings import JobWarning
from service.uploads.records import StoredPicture

TAGS_LIMIT = 32
_TAG = r"[a-z0-9][a-z0-9-]{0,31}"

UNCHANGED: Final = object()
"""The cover of a change that leaves it as it is; None removes it."""


@dataclass(frozen=True, kw_only=True)
class ConceptChanges:
    """Changes of a concept; None leaves a field as it is.

    Args:
        name: jobs that are queued or running keep the old one.
        class_word: for later trainings.
        tags: all of them, in any order.
        cover: the id of a training picture or a generated image; None for the first training picture.
        version: the number of the embedding to use from now on.
    """

    name: str | None = None
    class_word: str | None = None
    tags: Sequence[str] | None = None
    cover: str | object | None = UNCHANGED
    version: int | None = None


def change(service: Service, session: Session, owner_id: str, reference: str, changes: ConceptChanges) -> Concept:
    """Change a concept.

    Raises:
        NotFoundError: there is no such concept, version or image.
        InvalidInputError: a field is invalid.
        NameTakenError: the owner has another concept of that name.
    """
    concept = get_locked(session, owner_id, reference)
    if changes.name is not None:
        concept.name = check_name(changes.name)
    if changes.class_word is not None:
        concept.class_word = check_class_word(changes.class_word)
        service.token_limits.check_class_word(session, concept.model, concept.class_word)
    if changes.tags is not None:
        concept.tags = check_tags(changes.tags)
    if changes.cover is not UNCHANGED:
        concept.cover = None if changes.cover is None else _check_cover(session, concept, str(changes.cover))
    if changes.version is not None:
        concept.version = _check_version(concept, changes.version)
    concept.search_text = search_text(concept, concept.tags)
    concept.updated_at = now(session)
    name = concept.name
    try:
        session.flush()
    except IntegrityError as error:
        raise NameTakenError(name) from error
    return concept


def add_pictures(
    service: Service, session: Session, owner_id: str, reference: str, pictures: Sequence[StoredPicture]
) -> Concept:
    """Add stored training pictures to a concept, for its next training.

    Raises:
        NotFoundError: there is no such concept.
        ConceptInTrainingError: a training may be reading its pictures.
        InvalidInputError: it would have too many.
        StorageQuotaExceededError: the owner's storage is full, or would be.
    """
    concept = _changeable(session, owner_id, reference)
    owners.lock(session, owner_id)
    usage.check_storage(session, service.settings.quotas, owner_id, sum(picture.bytes for picture in pictures))
    limit = service.settings.limits.pictures
    if len(concept.pictures) + len(pictures) > limit:
        raise InvalidInputError(
            "images", f"{concept.name!r} has {len(concept.pictures)} pictures: at most {limit} are possible in all."
        )
    first = max((picture.position for picture in concept.pictures), default=-1) + 1
    concept.pictures.extend(picture_row(first + number, picture) for number, picture in enumerate(pictures))
    concept.updated_at = now(session)
    return concept


def remove_picture(session: Session, owner_id: str, reference: str, picture_id: str) -> list[str]:
    """Remove a training picture from a concept; its present embedding stays.

    Returns:
        The keys of objects without a reference, to be deleted after the commit.

    Raises:
        NotFoundError: there is no such concept, or it has no such picture.
        ConceptInTrainingError: a training may be reading its pictures.
    """
    concept = _changeable(session, owner_id, reference)
    picture = _picture(concept, picture_id)
    concept.pictures.remove(picture)
    concept.updated_at = now(session)
    session.flush()
    return unreferenced(session, [picture.key])


def set_caption(
    service: Service, session: Session, owner_id: str, reference: str, picture_id: str, *, caption: str | None
) -> Concept:
    """Set the caption of a training picture, for later trainings; None or "" removes it.

    Raises:
        NotFoundError: there is no such concept, or it has no such picture.
        ConceptInTrainingError: a training may be reading its captions.
        InvalidInputError: it is too long, or names another concept.
        PromptTooLongError: it does not fit the model's text encoders.
    """
    concept = _changeable(session, owner_id, reference)
    limit = service.settings.limits.prompt_characters
    text = (caption or "").strip()
    if len(text) > limit:
        raise InvalidInputError("caption", f"{len(text)} characters are too many: at most {limit}.")
    picture = _picture(concept, picture_id)
    if text:
        check_captions(service, session, concept, [Caption(text, picture.filename)])
    picture.caption = text or None
    concept.updated_at = now(session)
    return concept


def check_captions(service: Service, session: Session, concept: Concept, captions: Sequence[Caption]) -> None:
    """Check captions for a concept's next training.

    Raises:
        InvalidInputError: one names another concept.
        PromptTooLongError: one does not fit the model's text encoders.
    """
    trainings.check_captions(
        service,
        session,
        concept.model,
        captions,
        name=concept.name,
        class_word=concept.class_word,
        learnable_property=concept.learnable_property,
        settings=_next_settings(service, concept),
    )


def caption_warnings(service: Service, concept: Concept, captions: Sequence[str | None]) -> list[JobWarning]:
    """The parts of captions without effect in a concept's next training."""
    return list(unused.in_captions(_next_settings(service, concept), captions))


def _next_settings(service: Service, concept: Concept) -> Training:
    return trainings.settings_of_next(service.catalogue[concept.model], concept, service.settings.limits)


def check_not_in_training(session: Session, concept: Concept) -> None:
    """Check that no training may be reading a concept's pictures.

    Raises:
        ConceptInTrainingError: one may be.
    """
    unfinished = unfinished_training(session, concept)
    if unfinished is not None:
        raise ConceptInTrainingError(concept.name, unfinished)


def check_tags(tags: Sequence[str]) -> list[str]:
    """Check tags; returns them in alphabetical order, each once.

    Raises:
        InvalidInputError: one is invalid, or they are too many.
    """
    for tag in tags:
        if not re.fullmatch(_TAG, tag):
            raise InvalidInputError(
                "tags",
                f"{tag!r} cannot be a tag: 1 to 32 characters of a-z, 0-9 and -, the first of them not a hyphen.",
            )
    distinct = sorted(set(tags))
    if len(distinct) > TAGS_LIMIT:
        raise InvalidInputError("tags", f"{len(distinct)} tags are too many: at most {TAGS_LIMIT}.")
    return distinct


def _changeable(session: Session, owner_id: str, reference: str) -> Concept:
    """A concept that no training is reading, locked."""
    concept = get_locked(session, owner_id, reference)
    check_not_in_training(session, concept)
    return concept


def _picture(concept: Concept, picture_id: str) -> Picture:
    for picture in concept.pictures:
        if picture.id == picture_id:
            return picture
    raise NotFoundError("image", picture_id)


def _check_cover(session: Session, concept: Concept, image_id: str) -> str:
    if image_id in {picture.id for picture in concept.pictures}:
        return image_id
    image = session.get(Image, image_id)
    if image is None or image.owner_id != concept.owner_id:
        raise NotFoundError("image", image_id)
    return image_id


def _check_version(concept: Concept, number: int) -> int:
    numbers = [version.number for version in concept.embeddings]
    if number not in numbers:
        known = ", ".join(map(str, numbers)) or "none yet"
        raise InvalidInputError("version", f"{concept.name!r} has no version {number}. Its versions: {known}.")
    return number
