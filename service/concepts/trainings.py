"""Trainings: their settings, completed and checked, and the submission of their jobs."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from dti.errors import InvalidSettingError
from dti.spec.prompts import PLAIN_PROMPTS, triggers
from dti.spec.registry import METHODS, training_settings
from dti.spec.settings import SEED_LIMIT, LearnableProperty, Training
from service import jobs
from service.catalogue.models import ModelEntry
from service.catalogue.token_limits import Caption
from service.concepts import unused
from service.context import Service
from service.database.tables import Concept, Job
from service.errors import InvalidInputError
from service.kinds.jobs import Start, TrainInput
from service.kinds.warnings import JobWarning
from service.settings import Limits
from service.webhooks.endpoints import WebhookParams

DEFAULT_METHOD = "dti"


def check_method(method: str) -> str:
    """Check the name of a method; returns it.

    Raises:
        InvalidInputError: there is no such method.
    """
    if method not in METHODS:
        raise InvalidInputError("method", f"There is no method {method!r}. Choose one of: {', '.join(METHODS)}.")
    return method


def complete_settings(
    entry: ModelEntry,
    method: str,
    given: Mapping[str, object],
    limits: Limits,
    before: Mapping[str, object] | None = None,
) -> Training:
    """Complete the settings of a training: given ones, then those before, the model's, the method's; the seed is drawn.

    Args:
        entry: the model.
        method: a name of `dti.spec.registry.METHODS`.
        given: from the request.
        limits: of the service.
        before: of the concept's last training, if it was by the same method.

    Raises:
        InvalidInputError: a setting is unknown, of the wrong type, out of bounds, or not possible with the model.
    """
    try:
        settings = training_settings(method, given, {**entry.training_by(method), **(before or {})})
    except InvalidSettingError as error:
        raise InvalidInputError(f"training.{error.field}", str(error)) from error
    resolution = min(entry.width, entry.height) if settings.resolution is None else settings.resolution
    seed = secrets.randbelow(SEED_LIMIT + 1) if settings.seed is None else settings.seed
    _check_steps(settings.steps, limits)
    _check_resolution(resolution, entry)
    _check_preview(settings.preview_prompt, limits)
    return replace(settings, resolution=resolution, seed=seed)


def check_words(
    service: Service,
    session: Session,
    model: str,
    *,
    name: str,
    class_word: str,
    learnable_property: LearnableProperty,
    settings: Training,
    captions: Sequence[Caption] = (),
) -> None:
    """Check class word, captions, vectors and preview prompt of a training, which would otherwise fail in the worker.

    Raises:
        InvalidInputError: the model does not know the class word, a caption or the preview prompt names another
            concept, or the vectors are too many.
        PromptTooLongError: a caption or the preview prompt does not fit the model's text encoders.
    """
    service.token_limits.check_class_word(session, model, class_word)
    prompt = (settings.preview_prompt or PLAIN_PROMPTS[learnable_property]).replace("{}", f"<{name}>")
    others = [other for other in triggers(prompt) if other != name]
    if others:
        raise InvalidInputError(
            "training.preview_prompt", f"It names <{others[0]}>. Only the trained concept is allowed in it."
        )
    vectors = settings.num_vectors
    service.token_limits.check_training(
        session,
        model,
        None,
        learnable_property=learnable_property,
        name=name,
        class_word=class_word,
        vectors=vectors,
    )
    check_captions(
        service,
        session,
        model,
        captions,
        name=name,
        class_word=class_word,
        learnable_property=learnable_property,
        settings=settings,
    )
    service.token_limits.check_unlearned(session, model, prompt, name=name, class_word=class_word, vectors=vectors)


def check_captions(
    service: Service,
    session: Session,
    model: str,
    captions: Sequence[Caption],
    *,
    name: str,
    class_word: str,
    learnable_property: LearnableProperty,
    settings: Training,
) -> None:
    """Check the captions of a training, where its settings use them.

    Raises:
        InvalidInputError: one names another concept.
        PromptTooLongError: one does not fit the model's text encoders.
    """
    for caption in captions if settings.captions else ():
        _check_names(caption, name)
        service.token_limits.check_training(
            session,
            model,
            caption,
            learnable_property=learnable_property,
            name=name,
            class_word=class_word,
            vectors=settings.num_vectors,
        )


def settings_of_next(entry: ModelEntry, concept: Concept, limits: Limits) -> Training:
    """The settings of a concept's next training if the request gives none.

    An imported or blended concept has had no training: its next one is by the default method.
    """
    trained = concept.method in METHODS
    return complete_settings(
        entry, concept.method if trained else DEFAULT_METHOD, {}, limits, concept.training if trained else None
    )


def _check_names(caption: Caption, name: str) -> None:
    others = [other for other in triggers(caption.text) if other != name]
    if others:
        raise InvalidInputError(
            "captions",
            f"The caption of {caption.file} names <{others[0]}>. Only the trained concept is allowed in it, as {{}} or "
            f"<{name}>.",
        )


def submit(
    service: Service,
    session: Session,
    concept: Concept,
    *,
    method: str,
    settings: Training,
    start: Start,
    webhook: WebhookParams | None,
    warnings: Sequence[JobWarning] = (),
    adding_bytes: int = 0,
) -> Job:
    """Queue a training of a concept; settings without effect are added to the warnings.

    Raises:
        TooManyJobsError: the owner has too many unfinished jobs.
        DeviceQuotaExceededError: the owner's device time of today is used up.
        StorageQuotaExceededError: the owner's storage is full.
    """
    new = jobs.NewJob(
        owner_id=concept.owner_id,
        model=concept.model,
        input=TrainInput(
            concept_id=concept.id,
            name=concept.name,
            class_word=concept.class_word,
            learnable_property=concept.learnable_property,
            method=method,
            start=start,
            training=settings,
        ),
        concepts=[pinned(concept)],
        webhook=webhook,
        warnings=(*warnings, *unused.in_training(settings, [picture.caption for picture in concept.pictures])),
        adding_bytes=adding_bytes,
    )
    return jobs.submit(service, session, new)


def pinned(concept: Concept) -> jobs.PinnedConcept:
    """A concept with its present embedding."""
    embedding = concept.embedding
    return jobs.PinnedConcept(
        id=concept.id,
        name=concept.name,
        embedding_key=embedding.key if embedding else None,
        embedding_sha256=embedding.sha256 if embedding else None,
    )


def _check_steps(steps: int, limits: Limits) -> None:
    if steps > limits.training_steps:
        raise InvalidInputError("training.steps", f"{steps} updates are too many: at most {limits.training_steps}.")


def _check_resolution(resolution: int, entry: ModelEntry) -> None:
    if resolution % entry.size_multiple_px or resolution > entry.max_px:
        raise InvalidInputError(
            "training.resolution",
            f"{resolution} px does not suit {entry.name}: "
            f"a multiple of {entry.size_multiple_px} up to {entry.max_px} is needed.",
        )


def _check_preview(prompt: str | None, limits: Limits) -> None:
    if prompt is None:
        return
    if prompt.count("{}") != 1:
        raise InvalidInputError("training.preview_prompt", "It needs exactly one {}, where the concept stands.")
    if len(prompt) > limits.prompt_characters:
        raise InvalidInputError(
            "training.preview_prompt", f"{len(prompt)} characters are too many: at most {limits.prompt_characters}."
        )
