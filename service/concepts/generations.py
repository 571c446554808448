"""Generations and interpolations: every default filled in, every concept pinned.

A prompt that cannot be rendered as it stands is refused; a concept in it is never left out silently.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TypeVar

from sqlalchemy.orm import Session

from dti.errors import InvalidSettingError
from dti.spec.prompts import PLAIN_PROMPTS, parse_prompt, triggers
from dti.spec.registry import check_rendering
from dti.spec.settings import SEED_LIMIT, CompleteRendering, Interpolation, PromptSyntax, Rendering, complete
from service import jobs, workers
from service.catalogue.models import ModelEntry
from service.catalogue.token_limits import Vectors
from service.concepts import compatibility, lookup, unused
from service.concepts.trainings import pinned
from service.context import Service
from service.database.tables import Concept, Job
from service.errors import InvalidInputError, UnknownSchedulerError
from service.kinds.jobs import GenerateInput, InterpolateInput
from service.kinds.warnings import JobWarning
from service.settings import Limits
from service.webhooks import endpoints
from service.webhooks.endpoints import WebhookParams

_SHARES_LIMIT = 64

S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class GenerateParams:
    """Images of a prompt; None for the default of the model or the service."""

    prompt: str
    negative_prompt: str = ""
    model: str | None = None
    rendering: Mapping[str, object] = field(default_factory=dict)
    webhook: WebhookParams | None = None


@dataclass(frozen=True, kw_only=True)
class InterpolateParams:
    """Images between two concepts, by id or name; None for a default."""

    start: str
    end: str
    shares: Sequence[float] | None = None
    prompt: str | None = None
    negative_prompt: str = ""
    model: str | None = None
    interpolation: Mapping[str, object] = field(default_factory=dict)
    rendering: Mapping[str, object] = field(default_factory=dict)
    webhook: WebhookParams | None = None


@dataclass(frozen=True, kw_only=True)
class TokenCount:
    """The tokens of a prompt.

    Args:
        model: that renders it.
        concepts: their names in the prompt.
        encoders: tokens and limit by encoder; None while no worker has reported the model's tokenizers.
    """

    model: str
    concepts: list[str]
    encoders: dict[str, tuple[int, int]] | None


def submit_generation(service: Service, session: Session, owner_id: str, params: GenerateParams) -> Job:
    """Queue a generation.

    Raises:
        UnknownConceptError: the prompt names concepts that do not exist.
        ConceptNotReadyError: a concept has no embedding yet.
        ModelMismatchError: a concept belongs to another family, or, if strict, to another model.
        UnknownModelError: the catalogue has no such model.
        UnknownSchedulerError: the model has no such scheduler.
        PromptTooLongError: the prompt does not fit the model's text encoders.
        InvalidInputError: a field is invalid.
        TooManyJobsError: the owner has too many unfinished jobs.
        DeviceQuotaExceededError: the owner's device time of today is used up.
        StorageQuotaExceededError: the owner's storage is full.
    """
    endpoints.check(service.settings, params.webhook)
    prompts = _prompts(params.prompt, params.negative_prompt, service.settings.limits)
    concepts = lookup.find(session, owner_id, _named(prompts))
    entry = lookup.model_for(service.catalogue, params.model, concepts)
    vectors = lookup.vectors_of(concepts)
    rendering = _rendering(entry, params.rendering, service.settings.limits)
    _check_lengths(service, session, entry, prompts, vectors, syntax=rendering.prompt_syntax)
    new = jobs.NewJob(
        owner_id=owner_id,
        model=entry.name,
        input=GenerateInput(
            prompt=params.prompt, negative_prompt=params.negative_prompt, model=entry.name, rendering=rendering
        ),
        concepts=[pinned(concept) for concept in concepts],
        webhook=params.webhook,
        warnings=(
            *unused.in_prompts(
                {"prompt": params.prompt, "negative_prompt": params.negative_prompt}, syntax=rendering.prompt_syntax
            ),
            *unused.in_plain_names(lookup.existing(session, owner_id, unused.plain_names(params.prompt))),
            *_unguided(session, entry, params, rendering),
            *compatibility.check(session, service.catalogue, entry, concepts, strict=rendering.strict),
        ),
    )
    return jobs.submit(service, session, new)


def submit_interpolation(service: Service, session: Session, owner_id: str, params: InterpolateParams) -> Job:
    """Queue an interpolation.

    Raises:
        EmbeddingsDifferError: the two concepts have different numbers of vectors.
        ServiceError: as for a generation.
    """
    endpoints.check(service.settings, params.webhook)
    first, last = lookup.find(session, owner_id, (params.start, params.end))
    prompt = PLAIN_PROMPTS[first.learnable_property] if params.prompt is None else params.prompt
    prompts = _prompts(prompt, params.negative_prompt, service.settings.limits)
    spelled = _spell(prompt, first, last)
    between, shares = _between(params)
    concepts = [first, last, *lookup.find(session, owner_id, _named(prompts))]
    entry = lookup.model_for(service.catalogue, params.model, concepts)
    vectors = lookup.vectors_of(concepts)
    lookup.check_same_vectors(first.name, last.name, vectors)
    rendering = _rendering(entry, params.rendering, service.settings.limits)
    _check_lengths(service, session, entry, [*spelled, params.negative_prompt], vectors, syntax=rendering.prompt_syntax)
    new = jobs.NewJob(
        owner_id=owner_id,
        model=entry.name,
        input=InterpolateInput(
            start=first.name,
            end=last.name,
            prompt=prompt,
            negative_prompt=params.negative_prompt,
            model=entry.name,
            interpolation=between,
            shares=shares,
            rendering=rendering,
        ),
        concepts=[pinned(concept) for concept in concepts],
        webhook=params.webhook,
        warnings=(
            *unused.in_prompts(
                {"prompt": prompt, "negative_prompt": params.negative_prompt},
                placeholder=True,
                syntax=rendering.prompt_syntax,
            ),
            *_unguided(session, entry, params, rendering),
            *compatibility.check(session, service.catalogue, entry, concepts, strict=rendering.strict),
            *unused.in_interpolation(params.interpolation, params.shares, first.name, last.name),
        ),
    )
    return jobs.submit(service, session, new)


def count_tokens(service: Service, session: Session, owner_id: str, prompt: str, model: str | None) -> TokenCount:
    """Count the tokens of a prompt.

    Raises:
        UnknownConceptError: the prompt names concepts that do not exist.
        ConceptNotReadyError: a concept has no embedding yet.
        UnknownModelError: the catalogue has no such model.
        InvalidInputError: the prompt is empty or too long.
    """
    prompts = _prompts(prompt, "", service.settings.limits)
    concepts = lookup.find(session, owner_id, _named(prompts), locked=False)
    entry = lookup.model_for(service.catalogue, model, concepts)
    encoders = service.token_limits.count(session, entry.name, prompt, lookup.vectors_of(concepts))
    return TokenCount(model=entry.name, concepts=[concept.name for concept in concepts], encoders=encoders)


def _named(prompts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for prompt in prompts for name in triggers(prompt)))


def _unguided(
    session: Session, entry: ModelEntry, params: GenerateParams | InterpolateParams, rendering: CompleteRendering
) -> Iterator[JobWarning]:
    return unused.in_rendering(
        entry.family,
        rendering,
        params.negative_prompt,
        given={name for name, value in params.rendering.items() if value is not None},
        takes_guidance=workers.takes_guidance(session, entry.name),
    )


def _prompts(prompt: str, negative_prompt: str, limits: Limits) -> Sequence[str]:
    prompts = {"prompt": prompt, "negative_prompt": negative_prompt}
    for name, text in prompts.items():
        if len(text) > limits.prompt_characters:
            raise InvalidInputError(name, f"{len(text)} characters are too many: at most {limits.prompt_characters}.")
    if not prompt.strip():
        raise InvalidInputError("prompt", "The prompt is empty. Describe the picture.")
    return tuple(prompts.values())


def _spell(prompt: str, first: Concept, last: Concept) -> list[str]:
    """The prompts of both ends of an interpolation."""
    if prompt.count("{}") != 1:
        raise InvalidInputError("prompt", "It needs exactly one {}, where the concepts stand.")
    return [prompt.replace("{}", f"<{end.name}>") for end in (first, last)]


def _check_lengths(
    service: Service,
    session: Session,
    entry: ModelEntry,
    prompts: Iterable[str],
    vectors: Mapping[str, Vectors],
    *,
    syntax: PromptSyntax,
) -> None:
    for prompt in prompts:
        parse_prompt(prompt, syntax)  # refuses a weight that is too large, also before a worker has published a card
        service.token_limits.check(session, entry.name, prompt, vectors, syntax=syntax)


def _between(params: InterpolateParams) -> tuple[Interpolation, tuple[float, ...]]:
    """The interpolation method, and the shares of the last concept; `num_images` is refused."""
    if "num_images" in params.rendering:
        raise InvalidInputError("num_images", "An interpolation has one picture per frame. Set frames or shares.")
    chosen = _complete(Interpolation, params.interpolation, {})
    shares = params.shares
    if shares is None:
        shares = [position / (chosen.frames - 1) for position in range(chosen.frames)]
    if not 1 <= len(shares) <= _SHARES_LIMIT:
        raise InvalidInputError("shares", f"{len(shares)} shares are not possible: 1 to {_SHARES_LIMIT}.")
    if not all(0 <= share <= 1 for share in shares):
        raise InvalidInputError("shares", f"{shares} are not all numbers from 0 to 1.")
    return replace(chosen, frames=len(shares)), tuple(float(share) for share in shares)


def _rendering(entry: ModelEntry, given: Mapping[str, object], limits: Limits) -> CompleteRendering:
    """All settings of the images: the given ones, then the model's; the seed is drawn if it is missing."""
    own = {name: getattr(entry, name) for name in ("width", "height", "steps", "guidance_scale", "scheduler")}
    chosen = _complete(Rendering, given, own)
    seed = secrets.randbelow(SEED_LIMIT + 1) if chosen.seed is None else chosen.seed
    rendering = CompleteRendering(**{**asdict(chosen), "seed": seed})
    if rendering.scheduler not in entry.schedulers:
        raise UnknownSchedulerError(rendering.scheduler, entry.schedulers)
    try:
        check_rendering(entry.family, rendering)
    except InvalidSettingError as error:
        raise InvalidInputError(error.field, str(error)) from error
    for side, size_px in (("width", rendering.width), ("height", rendering.height)):
        _check_side(side, size_px, entry)
    if rendering.steps > limits.denoising_steps:
        raise InvalidInputError("steps", f"{rendering.steps} steps are too many: at most {limits.denoising_steps}.")
    return rendering


def _check_side(side: str, size_px: int, entry: ModelEntry) -> None:
    if size_px % entry.size_multiple_px or size_px > entry.max_px:
        raise InvalidInputError(
            side,
            f"{size_px} px does not suit {entry.name}: a multiple of {entry.size_multiple_px} "
            f"up to {entry.max_px} is needed.",
        )


def _complete(kind: type[S], given: Mapping[str, object], defaults: Mapping[str, object]) -> S:
    try:
        return complete(kind, given, defaults)
    except InvalidSettingError as error:
        raise InvalidInputError(error.field, str(error)) from error
