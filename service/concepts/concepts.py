"""Concepts: created from pictures, retrained, listed, deleted with their images.

Callers store objects before a transaction begins, and delete them after it ends; the functions here return the keys.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import cast, get_args

from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, selectinload

from dti.spec.prompts import NAME_PATTERN
from dti.spec.settings import LearnableProperty, Training
from service import jobs
from service.catalogue.token_limits import Caption
from service.concepts import trainings
from service.context import Service
from service.database.clock import now
from service.database.ids import is_id, new_id
from service.database.references import unreferenced
from service.database.search import folded, tag_words
from service.database.tables import UNFINISHED, Concept, Job, JobConcept, Picture
from service.errors import (
    ConceptNotReadyError,
    ConceptWithoutPicturesError,
    InvalidInputError,
    NameTakenError,
    NotFoundError,
)
from service.kinds.jobs import Start, TrainInput, kind_of
from service.kinds.warnings import JobWarning
from service.uploads.records import StoredPicture
from service.webhooks import endpoints
from service.webhooks.endpoints import WebhookParams

CLASS_WORD_CHARACTERS = 100


@dataclass(frozen=True, kw_only=True)
class ConceptParams:
    """A concept to create; None for the catalogue's default."""

    name: str
    class_word: str
    model: str | None = None
    method: str = trainings.DEFAULT_METHOD
    learnable_property: str = "object"
    training: Mapping[str, object] = field(default_factory=dict)
    webhook: WebhookParams | None = None


@dataclass(frozen=True, kw_only=True)
class RetrainParams:
    """Another training of a concept; None keeps the method of the last one."""

    training: Mapping[str, object] = field(default_factory=dict)
    method: str | None = None
    start: str = "class_word"
    webhook: WebhookParams | None = None


@dataclass(frozen=True, kw_only=True)
class CheckedConcept:
    """A checked concept; an imported or blended one has no training."""

    owner_id: str
    name: str
    class_word: str
    learnable_property: LearnableProperty
    model: str
    method: str
    training: Training | None = None

    def row(self, now: datetime) -> Concept:
        """Its row, with a new id, to be added to a session."""
        training = {} if self.training is None else asdict(self.training)
        return Concept(
            id=new_id("con"),
            **{**vars(self), "training": training},
            tags=[],
            search_text=search_text(self, ()),
            created_at=now,
            updated_at=now,
        )


def search_text(concept: CheckedConcept | Concept, tags: Sequence[str]) -> str:
    """The text in which a search finds a concept."""
    return folded(concept.name, concept.class_word, concept.model, tag_words(tags))


def check_new(service: Service, session: Session, owner_id: str, params: ConceptParams) -> CheckedConcept:
    """Check all fields of a new concept, before any of its files is stored.

    Raises:
        InvalidInputError: a field is invalid.
        UnknownModelError: the catalogue has no such model.
        PromptTooLongError: the prompt of the previews does not fit the model's text encoders.
        NameTakenError: the owner already has a concept of that name.
    """
    endpoints.check(service.settings, params.webhook)
    name = check_name(params.name)
    entry = service.catalogue.default if params.model is None else service.catalogue[params.model]
    method = trainings.check_method(params.method)
    class_word = check_class_word(params.class_word)
    learnable_property = _check_learnable_property(params.learnable_property)
    training = trainings.complete_settings(entry, method, params.training, service.settings.limits)
    new = CheckedConcept(
        owner_id=owner_id,
        name=name,
        class_word=class_word,
        learnable_property=learnable_property,
        model=entry.name,
        method=method,
        training=training,
    )
    check_name_free(session, owner_id, name)
    _check_words(service, session, new, training)
    return new


def create(
    service: Service,
    session: Session,
    new: CheckedConcept,
    pictures: Sequence[StoredPicture],
    *,
    webhook: WebhookParams | None = None,
    warnings: Sequence[JobWarning] = (),
) -> tuple[Concept, Job]:
    """Create a concept and queue its first training, with a checked webhook and the warnings of that job.

    Raises:
        NameTakenError: another request has taken the name meanwhile.
        TooManyJobsError: the owner has too many unfinished jobs.
        DeviceQuotaExceededError: the owner's device time of today is used up.
        StorageQuotaExceededError: the owner's storage is full.
    """
    if new.training is None:
        raise AssertionError("A concept of pictures has settings of its training.")
    concept = new.row(now(session))
    concept.pictures = [picture_row(position, picture) for position, picture in enumerate(pictures)]
    concept.embeddings = []
    job = trainings.submit(
        service,
        session,
        concept,
        method=new.method,
        settings=new.training,
        start="class_word",
        webhook=webhook,
        warnings=warnings,
        adding_bytes=sum(picture.bytes for picture in pictures),
    )
    concept.job_id = job.id
    _add(session, concept)
    return concept, job


def create_from_embedding(session: Session, new: CheckedConcept, made: jobs.StoredEmbedding) -> Concept:
    """Create a concept from a stored embedding.

    Raises:
        NameTakenError: another request has taken the name meanwhile.
    """
    concept = new.row(now(session))
    concept.pictures = []
    concept.embeddings = [made.version(concept.id, 1, now(session))]
    concept.version = 1
    _add(session, concept)
    return concept


def get(session: Session, owner_id: str, reference: str) -> Concept:
    """A concept by its id or its name, with its pictures and embeddings.

    Raises:
        NotFoundError: it does not exist, or belongs to another owner.
    """
    return _get(session, _owned(owner_id, reference), reference)


def get_ready_locked(session: Session, owner_id: str, reference: str) -> Concept:
    """A concept with an embedding, locked against deletion until the transaction ends.

    Raises:
        NotFoundError: it does not exist, or belongs to another owner.
        ConceptNotReadyError: it has no embedding yet.
    """
    concept = _get(session, _owned(owner_id, reference).with_for_update(read=True, key_share=True), reference)
    if concept.embedding is None:
        raise ConceptNotReadyError([concept.name])
    return concept


def get_locked(session: Session, owner_id: str, reference: str) -> Concept:
    """A concept, locked for a change until the transaction ends.

    Raises:
        NotFoundError: it does not exist, or belongs to another owner.
    """
    return _get(session, _owned(owner_id, reference).with_for_update(), reference)


def unfinished_training(session: Session, concept: Concept) -> str | None:
    """The id of a training of a concept that has not ended; None if there is none."""
    query = select(Job.id).join(JobConcept).where(JobConcept.concept_id == concept.id, Job.kind == kind_of(TrainInput))
    return session.scalars(query.where(Job.status.in_(UNFINISHED)).limit(1)).first()


def retrain(service: Service, session: Session, owner_id: str, reference: str, params: RetrainParams) -> Job:
    """Queue another training; the present embedding stays in use until it succeeds.

    Settings that are not given are those of the last training, if it was by the same method; the seed is always drawn.

    Raises:
        NotFoundError: there is no such concept.
        InvalidInputError: a field is invalid.
        ConceptWithoutPicturesError: it was imported or blended, or its pictures have expired.
        ConceptNotReadyError: it has no embedding to start from.
        PromptTooLongError: the prompt of the previews does not fit the model's text encoders.
        TooManyJobsError: the owner has too many unfinished jobs.
        DeviceQuotaExceededError: the owner's device time of today is used up.
        StorageQuotaExceededError: the owner's storage is full.
    """
    concept = get_locked(session, owner_id, reference)
    if not concept.pictures:
        raise ConceptWithoutPicturesError(concept.name)
    start = _check_start(params.start)
    if start == "current" and concept.embedding is None:
        raise ConceptNotReadyError([concept.name])
    method = trainings.check_method(concept.method if params.method is None else params.method)
    before = {**concept.training, "seed": None} if method == concept.method else {}
    settings = trainings.complete_settings(
        service.catalogue[concept.model], method, params.training, service.settings.limits, before
    )
    captions = [Caption(picture.caption, picture.filename) for picture in concept.pictures if picture.caption]
    _check_words(service, session, concept, settings, captions)
    endpoints.check(service.settings, params.webhook)
    job = trainings.submit(
        service, session, concept, method=method, settings=settings, start=start, webhook=params.webhook
    )
    concept.job_id = job.id
    return job


def delete(session: Session, owner_id: str, reference: str) -> list[str]:
    """Delete a concept with its pictures, its embeddings and all images generated with it; cancel its unfinished jobs.

    Returns:
        The keys of objects without a reference, to be deleted after the commit.

    Raises:
        NotFoundError: there is no such concept.
    """
    concept = get_locked(session, owner_id, reference)
    keys = {picture.key for picture in concept.pictures} | {version.key for version in concept.embeddings}
    for job in session.scalars(_jobs_of(concept)).all():
        keys.update(image.key for image in job.images)
        keys.update(key for key in (job.checkpoint_key, job.file_key) if key)
        # The job stays, as a record; its files and its result show the concept, and go.
        job.images.clear()
        job.checkpoint_key = job.file_key = job.result = None
        if job.status in UNFINISHED:
            jobs.force_cancel(session, job)
    session.delete(concept)
    session.flush()
    return unreferenced(session, keys)


def check_captions(service: Service, session: Session, new: CheckedConcept, captions: Sequence[Caption]) -> None:
    """Check the captions of a new concept's pictures, before any of these is decoded.

    Raises:
        InvalidInputError: one names another concept.
        PromptTooLongError: one does not fit the model's text encoders.
    """
    if new.training is not None:
        _check_words(service, session, new, new.training, captions)


def _check_words(
    service: Service,
    session: Session,
    concept: CheckedConcept | Concept,
    settings: Training,
    captions: Sequence[Caption] = (),
) -> None:
    trainings.check_words(
        service,
        session,
        concept.model,
        name=concept.name,
        class_word=concept.class_word,
        learnable_property=concept.learnable_property,
        settings=settings,
        captions=captions,
    )


def picture_row(position: int, stored: StoredPicture) -> Picture:
    """The row of a stored training picture, to be added to a concept."""
    safety = stored.safety.to_json() if stored.safety else None
    return Picture(id=new_id("img"), position=position, **{**vars(stored), "safety": safety})


def _add(session: Session, concept: Concept) -> None:
    session.add(concept)
    try:
        session.flush()
    except IntegrityError as error:
        raise NameTakenError(concept.name) from error


def _owned(owner_id: str, reference: str) -> Select[Concept]:
    named = Concept.id if is_id("con", reference) else Concept.name
    return with_children(select(Concept).where(Concept.owner_id == owner_id, named == reference))


def with_children(query: Select[Concept]) -> Select[Concept]:
    """A query of concepts that loads their pictures and embeddings as well."""
    return query.options(selectinload(Concept.pictures), selectinload(Concept.embeddings))


def _get(session: Session, query: Select[Concept], reference: str) -> Concept:
    concept = session.scalars(query).one_or_none()
    if concept is None:
        raise NotFoundError("concept", reference)
    return concept


def _jobs_of(concept: Concept) -> Select[Job]:
    """The jobs with a concept, locked in the order of their ids, so that concurrent deletions do not deadlock."""
    query = select(Job).where(Job.concepts.any(JobConcept.concept_id == concept.id)).order_by(Job.id)
    return query.with_for_update().options(selectinload(Job.images)).execution_options(populate_existing=True)


def check_name_free(session: Session, owner_id: str, name: str) -> None:
    """Check that an owner has no concept of a name.

    Raises:
        NameTakenError: there is one.
    """
    if session.scalars(select(Concept.id).where(Concept.owner_id == owner_id, Concept.name == name)).first():
        raise NameTakenError(name)


def check_name(name: str) -> str:
    """Check the name of a concept; returns it.

    Raises:
        InvalidInputError: it is invalid.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidInputError(
            "name",
            f"{name!r} cannot be a name: 1 to 63 characters of a-z, 0-9 and -, the first of them not a hyphen.",
        )
    return name


def check_class_word(word: str) -> str:
    """Check a class word; returns it with single spaces.

    Raises:
        InvalidInputError: it is empty or too long.
    """
    stripped = " ".join(word.split())
    if not stripped or len(stripped) > CLASS_WORD_CHARACTERS:
        raise InvalidInputError(
            "class_word", f"{word!r} cannot be a class word: 1 to {CLASS_WORD_CHARACTERS} characters, such as 'dog'."
        )
    return stripped


def _check_start(start: str) -> Start:
    if start not in get_args(Start):
        raise InvalidInputError("from", f"{start!r} is not allowed. Choose one of: current, class_word.")
    return cast("Start", start)


def _check_learnable_property(given: str) -> LearnableProperty:
    if given not in get_args(LearnableProperty):
        raise InvalidInputError(
            "learnable_property", f"{given!r} is not allowed. Choose one of: {', '.join(get_args(LearnableProperty))}."
        )
    return cast("LearnableProperty", given)
