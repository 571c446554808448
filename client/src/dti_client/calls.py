"""Every call of the API as a value: what is sent, and how the answer is read. Sends nothing itself.

Both clients are made of these functions, one a route; whoever sends them decides about time, retries and threads.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import httpx

from dti_client import accounts, models
from dti_client.reading import read

T = TypeVar("T")

Picture = Path | bytes
Fields = Mapping[str, Any]
EmbeddingFormat = Literal["dti", "diffusers", "a1111", "comfyui", "replicate"]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and how its answer is read.

    Args:
        method: of HTTP.
        path: below the service's address.
        read: makes of the answer what the caller gets.
        keyed: whether the route takes an Idempotency-Key, with which it may be sent again.
        query: what stands behind the question mark.
        body: sent as JSON.
        form: sent as a form, with `files`.
        files: name in the form, file name and bytes.
        wait_s: how long the service is to hold its answer until the job has ended.
    """

    method: str
    path: str
    read: Callable[[httpx.Response], T]
    keyed: bool = False
    query: Fields = field(default_factory=dict)
    body: Fields | None = None
    form: Fields = field(default_factory=dict)
    files: Sequence[tuple[str, tuple[str, bytes]]] = ()
    wait_s: int | None = None


# --- concepts


def create_concept(
    name: str,
    class_word: str,
    *,
    images: Iterable[Picture] = (),
    archive: Picture | None = None,
    model: str | None = None,
    method: str | None = None,
    learnable_property: Literal["object", "style"] | None = None,
    training: Fields | None = None,
    webhook: Fields | None = None,
    wait_s: int | None = None,
) -> Call[models.ConceptAndJob]:
    """Learn a concept from pictures, given as paths or bytes, or in a zip."""
    said = _said(name=name, class_word=class_word, model=model, method=method, learnable_property=learnable_property)
    said |= {key: json.dumps(dict(value)) for key, value in _said(training=training, webhook=webhook).items()}
    files = [("images", _file(picture, f"{number}")) for number, picture in enumerate(images)]
    files += [("archive", _file(archive, "pictures.zip"))] if archive is not None else []
    made = _post("/v1/concepts", _as(models.ConceptAndJob), wait_s=wait_s)
    return replace(made, form=said, files=files)


def list_concepts(
    *, model: str | None = None, ready: bool | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[models.Page[models.Concept]]:
    """Concepts, newest first; their pictures come without addresses."""
    query = _said(model=model, ready=ready, cursor=cursor, limit=limit)
    return _get("/v1/concepts", _as(models.Page[models.Concept]), **query)


def read_concept(reference: str) -> Call[models.Concept]:
    """A concept by its id or name, with addresses of its pictures."""
    return _get(f"/v1/concepts/{_part(reference)}", _as(models.Concept))


def delete_concept(reference: str) -> Call[None]:
    """Delete a concept with its pictures, its embeddings and the pictures that were made with it."""
    return _delete(f"/v1/concepts/{_part(reference)}")


def train_concept(
    reference: str,
    *,
    training: Fields | None = None,
    method: str | None = None,
    start: Literal["current", "class_word"] | None = None,
    webhook: Fields | None = None,
    wait_s: int | None = None,
) -> Call[models.ConceptAndJob]:
    """Learn a concept again, from its present embedding or its class word."""
    body = _said(training=training, method=method, webhook=webhook) | ({"from": start} if start else {})
    return _post(f"/v1/concepts/{_part(reference)}/train", _as(models.ConceptAndJob), body, wait_s=wait_s)


def read_embedding(reference: str, *, format: EmbeddingFormat | None = None) -> Call[bytes]:  # noqa: A002 - see above
    """What was learned, as the bytes of a file that this or another tool reads."""
    return _get(f"/v1/concepts/{_part(reference)}/embedding", _bytes, **_said(format=format))


def read_neighbours(reference: str, *, k: int | None = None) -> Call[models.Neighbours]:
    """What a concept has learned, in words."""
    return _get(f"/v1/concepts/{_part(reference)}/neighbours", _as(models.Neighbours), **_said(k=k))


def import_concept(
    name: str, class_word: str, model: str, file: Picture, *, normalize: bool = False
) -> Call[models.ImportedConcept]:
    """Make a concept of an embedding that this or another tool has written; it is ready at once."""
    said = {"name": name, "class_word": class_word, "model": model, "normalize": str(normalize).lower()}
    made = _post("/v1/concepts/import", _as(models.ImportedConcept))
    return replace(made, form=said, files=[("file", _file(file, "embedding"))])


def blend_concepts(name: str, parts: Mapping[str, float]) -> Call[models.Concept]:
    """Make a concept as the weighted spherical mean of others, given with their weights."""
    body = {"name": name, "parts": [{"concept": concept, "weight": weight} for concept, weight in parts.items()]}
    return _post("/v1/concepts/blend", _as(models.Concept), body)


# --- pictures


def create_generation(
    prompt: str,
    *,
    wait_s: int | None = None,
    **fields: Any,  # noqa: ANN401 - JSON holds anything
) -> Call[models.Job]:
    """Make pictures of a prompt in which concepts stand as <name>.

    `fields`: negative_prompt, model, num_images, width, height, steps, guidance_scale, scheduler, seed, format and
    webhook.
    """
    return _post("/v1/generations", _as(models.Job), {"prompt": prompt, **fields}, wait_s=wait_s)


def create_interpolation(
    start: str,
    end: str,
    *,
    wait_s: int | None = None,
    **fields: Any,  # noqa: ANN401 - see above
) -> Call[models.Job]:
    """Make pictures on the way from one concept to another, all from the same noise.

    `fields`: frames, shares, prompt, method, animation, contact_sheet, and those of a generation but for num_images.
    """
    return _post("/v1/interpolations", _as(models.Job), {"from": start, "to": end, **fields}, wait_s=wait_s)


def create_images(prompt: str, **fields: Any) -> Call[models.ImagesAnswer]:  # noqa: ANN401 - see above
    """Make pictures and wait for them, as OpenAI's clients do."""
    return _post("/v1/images/generations", _as(models.ImagesAnswer), {"prompt": prompt, **fields})


# --- jobs


def list_jobs(
    *,
    kind: models.Kind | None = None,
    status: models.Status | None = None,
    concept: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[models.Page[models.Job]]:
    """Jobs, newest first; their pictures come without addresses."""
    query = _said(kind=kind, status=status, concept=concept, cursor=cursor, limit=limit)
    return _get("/v1/jobs", _as(models.Page[models.Job]), **query)


def read_job(job_id: str) -> Call[models.Job]:
    """A job, with addresses of its pictures that work for a while."""
    return _get(f"/v1/jobs/{_part(job_id)}", _as(models.Job))


def cancel_job(job_id: str) -> Call[models.Job]:
    """Ask for a job's end; asked again, nothing more happens."""
    return replace(_post(f"/v1/jobs/{_part(job_id)}/cancel", _as(models.Job)), keyed=False)


def read_metrics(job_id: str) -> Call[models.Curve]:
    """A training's course; empty for other jobs."""
    return _get(f"/v1/jobs/{_part(job_id)}/metrics", _as(models.Curve))


# --- around it


def list_models() -> Call[models.Page[models.Model]]:
    """All models of the catalogue."""
    return _get("/v1/models", _as(models.Page[models.Model]))


def read_usage(*, owner: str | None = None) -> Call[accounts.Usage]:
    """What the caller, or for admins another owner, has used."""
    return _get("/v1/usage", _as(accounts.Usage), **_said(owner=owner))


def read_liveness() -> Call[models.Live]:
    """Whether the service answers."""
    return _get("/health/live", _as(models.Live))


def read_readiness() -> Call[models.Ready]:
    """Whether what the service stands on is up."""
    return _get("/health/ready", _as(models.Ready))


def read_service_metrics() -> Call[str]:
    """The state of the service in Prometheus' text format."""
    return _get("/metrics", lambda answer: answer.text)


# --- keys


def create_key(
    owner: str,
    name: str,
    scopes: Sequence[str],
    *,
    expires_at: datetime | None = None,
    quotas: Mapping[str, int] | None = None,
    safety: str | None = None,
) -> Call[accounts.MintedKey]:
    """Mint a key; its secret is in this answer and nowhere else."""
    ends = {"expires_at": expires_at.isoformat()} if expires_at else {}
    body = {"owner": owner, "name": name, "scopes": list(scopes), **ends, **_said(quotas=quotas, safety=safety)}
    return replace(_post("/v1/keys", _as(accounts.MintedKey), body), keyed=False)


def list_keys(
    *, owner: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[models.Page[accounts.Key]]:
    """Keys of all owners, or of one, newest first."""
    return _get("/v1/keys", _as(models.Page[accounts.Key]), **_said(owner=owner, cursor=cursor, limit=limit))


def revoke_key(key_id: str) -> Call[None]:
    """Take a key back for good."""
    return _delete(f"/v1/keys/{_part(key_id)}")


# --- webhooks


def create_webhook(url: str, *, events: Sequence[str] | None = None) -> Call[accounts.WebhookAndSecret]:
    """Have all jobs told of from now on; the secret is in this answer."""
    return _post("/v1/webhooks", _as(accounts.WebhookAndSecret), {"url": url, **_said(events=events)})


def list_webhooks(*, cursor: str | None = None, limit: int | None = None) -> Call[models.Page[accounts.Webhook]]:
    """Standing webhooks, newest first."""
    return _get("/v1/webhooks", _as(models.Page[accounts.Webhook]), **_said(cursor=cursor, limit=limit))


def read_webhook(webhook_id: str) -> Call[accounts.Webhook]:
    """A standing webhook."""
    return _get(f"/v1/webhooks/{_part(webhook_id)}", _as(accounts.Webhook))


def change_webhook(
    webhook_id: str, *, url: str | None = None, events: Sequence[str] | None = None, enabled: bool | None = None
) -> Call[accounts.Webhook]:
    """Change a standing webhook's address or events, or disable or enable it."""
    body = _said(url=url, events=events, enabled=enabled)
    return Call("PATCH", f"/v1/webhooks/{_part(webhook_id)}", _as(accounts.Webhook), body=body)


def delete_webhook(webhook_id: str) -> Call[None]:
    """Delete a standing webhook with its messages."""
    return _delete(f"/v1/webhooks/{_part(webhook_id)}")


def read_default_secret() -> Call[accounts.WebhookSecret]:
    """What messages to addresses named in requests are signed with."""
    return _get("/v1/webhooks/default/secret", _as(accounts.WebhookSecret))


def rotate_secret(webhook_id: str) -> Call[accounts.WebhookSecret]:
    """Make a new secret, of a webhook or of `default`."""
    return _post(f"/v1/webhooks/{_part(webhook_id)}/rotate", _as(accounts.WebhookSecret))


def test_webhook(webhook_id: str) -> Call[accounts.Delivery]:
    """Have a message sent that tells nothing but that it came."""
    return _post(f"/v1/webhooks/{_part(webhook_id)}/test", _as(accounts.Delivery))


def list_deliveries(
    webhook_id: str, *, cursor: str | None = None, limit: int | None = None
) -> Call[models.Page[accounts.Delivery]]:
    """Messages of the last two weeks, newest first."""
    query = _said(cursor=cursor, limit=limit)
    return _get(f"/v1/webhooks/{_part(webhook_id)}/deliveries", _as(models.Page[accounts.Delivery]), **query)


def redeliver(webhook_id: str, delivery_id: str) -> Call[accounts.Delivery]:
    """Have a message sent again."""
    path = f"/v1/webhooks/{_part(webhook_id)}/deliveries/{_part(delivery_id)}/redeliver"
    return _post(path, _as(accounts.Delivery))


# --- what the calls are made of


def _get(path: str, reading: Callable[[httpx.Response], T], **query: object) -> Call[T]:
    return Call("GET", path, reading, query=query)


def _post(
    path: str, reading: Callable[[httpx.Response], T], body: Fields | None = None, wait_s: int | None = None
) -> Call[T]:
    return Call("POST", path, reading, keyed=True, body=body, wait_s=wait_s)


def _delete(path: str) -> Call[None]:
    return Call("DELETE", path, lambda _: None)


def _as(kind: type[T]) -> Callable[[httpx.Response], T]:
    return lambda answer: read(kind, answer.json())


def _bytes(answer: httpx.Response) -> bytes:
    return answer.content


def _said(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON holds anything
    """The fields that are given."""
    return {name: value for name, value in fields.items() if value is not None}


def _part(text: str) -> str:
    """A part of a path, whatever stands in it."""
    return quote(text, safe="")


def _file(picture: Picture, name: str) -> tuple[str, bytes]:
    return (picture.name, picture.read_bytes()) if isinstance(picture, Path) else (name, picture)
