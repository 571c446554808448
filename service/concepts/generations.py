"""What a client may ask a model for: generations and interpolations, every default filled in, every concept pinned.

A prompt is refused here when it could not be rendered as it stands; what it names is never left out silently.
"""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from dti.errors import InvalidSettingError
from dti.spec.prompts import PLAIN_PROMPTS, triggers
from dti.spec.settings import SEED_LIMIT, Interpolation, Rendering, complete
from service import jobs
from service.catalogue.models import ModelEntry
from service.catalogue.token_limits import EncoderShapes
from service.concepts import lookup
from service.concepts.trainings import pinned
from service.context import Service
from service.database.tables import Concept, Job
from service.errors import InvalidInputError, UnknownSchedulerError
from service.settings import Limits
from service.webhooks import endpoints

_INTERPOLATION = frozenset(setting.name for setting in fields(Interpolation))
_ELSEWHERE = _INTERPOLATION | {"prompt", "negative_prompt", "model", "from", "to", "shares"}
"""What a request may hold beside its rendering."""
_SHARES_LIMIT = 64

S = TypeVar("S")


def generation(service: Service, session: Session, owner_id: str, said: Mapping[str, Any]) -> Job:
    """Queue pictures of a prompt. What `said` does not name, or names null, takes its default.

    Raises:
        UnknownConceptError: the prompt names concepts that do not exist.
        ConceptNotReadyError: a concept has no embedding yet.
        ModelMismatchError: a concept belongs to another model.
        UnknownModelError: the catalogue has no such model.
        UnknownSchedulerError: the model has no such scheduler.
        PromptTooLongError: the prompt does not fit the model's text encoders.
        InvalidInputError: a field is wrong.
        TooManyJobsError: the owner has too many unfinished jobs.
        DeviceQuotaExceededError: the owner's jobs had the devices long enough today.
        StorageQuotaExceededError: the owner's things fill the storage.
    """
    given = _without_nulls(said)
    webhook = endpoints.of_request(service.settings, given.pop("webhook", None))
    prompts = _prompts(given, service.settings.limits)
    concepts = lookup.find(session, owner_id, _named(prompts))
    entry = lookup.model_for(service.catalogue, given.pop("model", None), concepts)
    encoders = lookup.encoders_of(concepts)
    rendering = _rendering(entry, given, service.settings.limits)
    _check_lengths(service, session, entry, prompts.values(), encoders)
    new = jobs.NewJob(
        owner_id=owner_id,
        kind="generate",
        model=entry.name,
        input={**prompts, "model": entry.name, **rendering},
        total=rendering["steps"] * rendering["num_images"],
        slots=rendering["num_images"],
        concepts=[pinned(concept) for concept in concepts],
        webhook=webhook,
    )
    return jobs.submit(service, session, new)


def interpolation(service: Service, session: Session, owner_id: str, said: Mapping[str, Any]) -> Job:
    """Queue the pictures between two concepts. What `said` does not name, or names null, takes its default.

    Raises:
        EmbeddingsDifferError: the two have different numbers of vectors.
        ServiceError: as for a generation.
    """
    given = _without_nulls(said)
    webhook = endpoints.of_request(service.settings, given.pop("webhook", None))
    first, last = lookup.find(session, owner_id, (given.pop("from"), given.pop("to")))
    prompts = _prompts({"prompt": PLAIN_PROMPTS[first.learnable_property]} | given, service.settings.limits)
    spelled = _spell(prompts["prompt"], first, last)
    between = _between(given)
    concepts = [first, last, *lookup.find(session, owner_id, _named(prompts))]
    entry = lookup.model_for(service.catalogue, given.pop("model", None), concepts)
    encoders = lookup.encoders_of(concepts)
    lookup.check_alike(first.name, last.name, encoders)
    rendering = _rendering(entry, given, service.settings.limits)
    del rendering["num_images"]
    _check_lengths(service, session, entry, [*spelled, prompts["negative_prompt"]], encoders)
    new = jobs.NewJob(
        owner_id=owner_id,
        kind="interpolate",
        model=entry.name,
        input={"from": first.name, "to": last.name, **prompts, "model": entry.name, **between, **rendering},
        total=rendering["steps"] * between["frames"],
        slots=between["frames"],
        concepts=[pinned(concept) for concept in concepts],
        webhook=webhook,
    )
    return jobs.submit(service, session, new)


def _without_nulls(said: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if value is not None}


def _named(prompts: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(name for prompt in prompts.values() for name in triggers(prompt)))


def _prompts(given: Mapping[str, Any], limits: Limits) -> dict[str, str]:
    prompts = {"prompt": given["prompt"], "negative_prompt": given.get("negative_prompt", "")}
    for name, prompt in prompts.items():
        if len(prompt) > limits.prompt_characters:
            raise InvalidInputError(name, f"{len(prompt)} characters are too many: at most {limits.prompt_characters}.")
    if not prompts["prompt"].strip():
        raise InvalidInputError("prompt", "The prompt is empty. Say what the picture shows.")
    return prompts


def _spell(prompt: str, first: Concept, last: Concept) -> list[str]:
    """An interpolation's prompt for its ends."""
    if prompt.count("{}") != 1:
        raise InvalidInputError("prompt", "It needs exactly one {}, where the concepts stand.")
    return [prompt.replace("{}", f"<{end.name}>") for end in (first, last)]


def _check_lengths(
    service: Service, session: Session, entry: ModelEntry, prompts: Iterable[str], encoders: Mapping[str, EncoderShapes]
) -> None:
    for prompt in prompts:
        service.token_limits.check(session, entry.name, prompt, encoders)


def _between(given: Mapping[str, Any]) -> dict[str, Any]:
    """Which points are rendered, and how; `num_images` has no meaning here."""
    if "num_images" in given:
        raise InvalidInputError("num_images", "An interpolation has one picture a frame. Say frames or shares.")
    shares = given.get("shares")
    chosen = asdict(_complete(Interpolation, {name: given[name] for name in _INTERPOLATION & given.keys()}, {}))
    if shares is None:
        shares = [place / (chosen["frames"] - 1) for place in range(chosen["frames"])]
    if not 1 <= len(shares) <= _SHARES_LIMIT:
        raise InvalidInputError("shares", f"{len(shares)} shares are not possible: 1 to {_SHARES_LIMIT}.")
    if not all(0 <= share <= 1 for share in shares):
        raise InvalidInputError("shares", f"{shares} are not all numbers from 0 to 1.")
    return {**chosen, "frames": len(shares), "shares": [float(share) for share in shares]}


def _rendering(entry: ModelEntry, given: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """All settings of the pictures: those given, else the model's; a seed is drawn."""
    own = {name: getattr(entry, name) for name in ("width", "height", "steps", "guidance_scale", "scheduler")}
    rest = {name: value for name, value in given.items() if name not in _ELSEWHERE}
    rendering = asdict(_complete(Rendering, rest, own))
    if rendering["scheduler"] not in entry.schedulers:
        raise UnknownSchedulerError(rendering["scheduler"], entry.schedulers)
    for side in ("width", "height"):
        _check_side(side, rendering[side], entry)
    if rendering["steps"] > limits.denoising_steps:
        raise InvalidInputError("steps", f"{rendering['steps']} steps are too many: at most {limits.denoising_steps}.")
    if rendering["seed"] is None:
        rendering["seed"] = secrets.randbelow(SEED_LIMIT + 1)
    return rendering


def _check_side(side: str, size_px: int, entry: ModelEntry) -> None:
    if size_px % entry.size_multiple_px or size_px > entry.max_px:
        raise InvalidInputError(
            side,
            f"{size_px} px does not suit {entry.name}: a multiple of {entry.size_multiple_px} "
            f"up to {entry.max_px} is needed.",
        )


def _complete(kind: type[S], given: Mapping[str, Any], defaults: Mapping[str, Any]) -> S:
    try:
        return complete(kind, given, defaults)
    except InvalidSettingError as error:
        raise InvalidInputError(error.field, str(error)) from error
