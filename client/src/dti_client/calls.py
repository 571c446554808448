"""The calls of the API as values: one function a route builds the request, and says how the response is decoded.

Both clients are made of these functions; retries, timeouts and connections are elsewhere.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, Unpack
from urllib.parse import quote

import httpx

from dti_client import accounts, models
from dti_client.decoding import decode
from dti_client.fields import GenerationFields, ImagesFields, InterpolationFields

T = TypeVar("T")

Picture = Path | bytes
Fields = Mapping[str, Any]
EmbeddingFormat = Literal["dti", "diffusers", "a1111", "comfyui", "replicate"]


@dataclass(frozen=True)
class Call(Generic[T]):
    """A request, and the decoder of its response.

    Args:
        method: of HTTP.
        path: below the service's URL.
        decode: the result of a response.
        takes_idempotency_key: whether the route takes an Idempotency-Key, which makes it safe to retry.
        query: parameters of the query.
        body: sent as JSON.
        form: sent as a form, with `files`.
        files: field, file name and bytes.
        wait_s: of `Prefer: wait`, 1 to 60.
    """

    method: str
    path: str
    decode: Callable[[httpx.Response], T]
    takes_idempotency_key: bool = False
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
    """Create a concept and train it on pictures, given as paths or bytes, or in a ZIP."""
    form = _given(name=name, class_word=class_word, model=model, method=method, learnable_property=learnable_property)
    form |= {key: json.dumps(dict(value)) for key, value in _given(training=training, webhook=webhook).items()}
    call = _post("/v1/concepts", _json(models.ConceptAndJob), wait_s=wait_s)
    return replace(call, form=form, files=_pictures(images, archive))


def list_concepts(
    *,
    q: str | None = None,
    tag: str | None = None,
    model: str | None = None,
    ready: bool | None = None,
    sort: Literal["newest", "oldest", "name"] | None = None,
    cover_urls: bool | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[models.Page[models.Concept]]:
    """List and search concepts, newest first; their training pictures have no URLs here."""
    query = _given(q=q, tag=tag, model=model, ready=ready, sort=sort, cover_urls=cover_urls, cursor=cursor, limit=limit)
    return _get("/v1/concepts", _json(models.Page[models.Concept]), **query)


def read_concept(reference: str) -> Call[models.Concept]:
    """Read a concept by its id or name, with signed URLs of its images."""
    return _get(f"/v1/concepts/{_segment(reference)}", _json(models.Concept))


def change_concept(
    reference: str,
    *,
    name: str | None = None,
    class_word: str | None = None,
    tags: Sequence[str] | None = None,
    cover: str | None = None,
    version: int | None = None,
) -> Call[models.Concept]:
    """Rename a concept, change its class word, tags or cover, or use another of its versions."""
    body = _given(name=name, class_word=class_word, tags=tags, cover=cover, version=version)
    return Call("PATCH", f"/v1/concepts/{_segment(reference)}", _json(models.Concept), body=body)


def list_versions(reference: str) -> Call[models.Page[models.ConceptVersion]]:
    """List all versions of a concept, newest first, with the trainings that made them."""
    return _get(f"/v1/concepts/{_segment(reference)}/versions", _json(models.Page[models.ConceptVersion]))


def add_concept_images(
    reference: str, images: Iterable[Picture] = (), *, archive: Picture | None = None
) -> Call[models.ConceptWithWarnings]:
    """Add training pictures to a concept; its next training uses them."""
    call = _post(f"/v1/concepts/{_segment(reference)}/images", _json(models.ConceptWithWarnings))
    return replace(call, files=_pictures(images, archive))


def change_concept_image(reference: str, image_id: str, *, caption: str | None) -> Call[models.ConceptWithWarnings]:
    """Change the caption of a training picture, for later trainings; None removes it."""
    path = f"/v1/concepts/{_segment(reference)}/images/{_segment(image_id)}"
    return Call("PATCH", path, _json(models.ConceptWithWarnings), body={"caption": caption})


def remove_concept_image(reference: str, image_id: str) -> Call[None]:
    """Remove a training picture from a concept; its present embedding stays."""
    return _delete(f"/v1/concepts/{_segment(reference)}/images/{_segment(image_id)}")


def delete_concept(reference: str) -> Call[None]:
    """Delete a concept with its pictures, its embeddings, and the images generated with it."""
    return _delete(f"/v1/concepts/{_segment(reference)}")


def train_concept(
    reference: str,
    *,
    training: Fields | None = None,
    method: str | None = None,
    start: Literal["current", "class_word"] | None = None,
    webhook: Fields | None = None,
    wait_s: int | None = None,
) -> Call[models.ConceptAndJob]:
    """Train a concept again, from its present embedding or its class word."""
    body = _given(training=training, method=method, webhook=webhook) | ({"from": start} if start else {})
    return _post(f"/v1/concepts/{_segment(reference)}/train", _json(models.ConceptAndJob), body, wait_s=wait_s)


def read_embedding(reference: str, *, format: EmbeddingFormat | None = None) -> Call[bytes]:  # noqa: A002 - see above
    """Download a concept's embedding as the bytes of a file for this or another tool."""
    return _get(f"/v1/concepts/{_segment(reference)}/embedding", _bytes, **_given(format=format))


def read_neighbours(reference: str, *, k: int | None = None) -> Call[models.Neighbours]:
    """Read the words that are nearest to a concept."""
    return _get(f"/v1/concepts/{_segment(reference)}/neighbours", _json(models.Neighbours), **_given(k=k))


def import_concept(
    name: str, class_word: str, model: str, file: Picture, *, normalize: bool = False
) -> Call[models.ImportedConcept]:
    """Create a concept from an embedding file of this or another tool; it is ready at once."""
    form = {"name": name, "class_word": class_word, "model": model, "normalize": str(normalize).lower()}
    call = _post("/v1/concepts/import", _json(models.ImportedConcept))
    return replace(call, form=form, files=[("file", _file(file, "embedding"))])


def blend_concepts(name: str, parts: Mapping[str, float]) -> Call[models.Concept]:
    """Create a concept as the weighted spherical mean of others, given with their weights."""
    body = {"name": name, "parts": [{"concept": concept, "weight": weight} for concept, weight in parts.items()]}
    return _post("/v1/concepts/blend", _json(models.Concept), body)


# --- images


def create_generation(
    prompt: str, *, wait_s: int | None = None, **fields: Unpack[GenerationFields]
) -> Call[models.Job]:
    """Generate images of a prompt, which may contain concepts as <name>."""
    return _post("/v1/generations", _json(models.Job), {"prompt": prompt, **fields}, wait_s=wait_s)


def create_interpolation(
    start: str, end: str, *, wait_s: int | None = None, **fields: Unpack[InterpolationFields]
) -> Call[models.Job]:
    """Generate images between two concepts, all from the same noise."""
    return _post("/v1/interpolations", _json(models.Job), {"from": start, "to": end, **fields}, wait_s=wait_s)


def create_images(prompt: str, **fields: Unpack[ImagesFields]) -> Call[models.ImagesAnswer]:
    """Generate images as OpenAI's API does: the response waits for them."""
    return _post("/v1/images/generations", _json(models.ImagesAnswer), {"prompt": prompt, **fields})


def list_images(
    *,
    q: str | None = None,
    concept: str | None = None,
    job: str | None = None,
    kind: str | None = None,
    favourite: bool | None = None,
    before: datetime | None = None,
    sort: Literal["newest", "oldest"] | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[models.Page[models.GalleryImage]]:
    """List and search generated images, newest first, with signed URLs, which expire."""
    query = _given(q=q, concept=concept, job=job, kind=kind, favourite=favourite, sort=sort, cursor=cursor, limit=limit)
    query |= {"before": before.isoformat()} if before else {}
    return _get("/v1/images", _json(models.Page[models.GalleryImage]), **query)


def download_images(
    *,
    ids: Sequence[str] | None = None,
    q: str | None = None,
    concept: str | None = None,
    job: str | None = None,
    kind: str | None = None,
    favourite: bool | None = None,
) -> Call[bytes]:
    """Download up to 1,000 images as the bytes of a ZIP: those of a search, or of ids."""
    query = _given(id=ids, q=q, concept=concept, job=job, kind=kind, favourite=favourite)
    return _get("/v1/images/archive", _bytes, **query)


def read_image(image_id: str) -> Call[models.GalleryImage]:
    """Read a generated image, with a signed URL, which expires."""
    return _get(f"/v1/images/{_segment(image_id)}", _json(models.GalleryImage))


def change_image(image_id: str, *, favourite: bool) -> Call[models.GalleryImage]:
    """Mark a generated image as a favourite, or not any more."""
    body = {"favourite": favourite}
    return Call("PATCH", f"/v1/images/{_segment(image_id)}", _json(models.GalleryImage), body=body)


def delete_image(image_id: str) -> Call[None]:
    """Delete a generated image of a job that has ended."""
    return _delete(f"/v1/images/{_segment(image_id)}")


# --- jobs


def list_jobs(
    *,
    kind: str | None = None,
    status: models.Status | None = None,
    concept: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[models.Page[models.Job]]:
    """List jobs, newest first; their images have no URLs here."""
    query = _given(kind=kind, status=status, concept=concept, cursor=cursor, limit=limit)
    return _get("/v1/jobs", _json(models.Page[models.Job]), **query)


def read_job(job_id: str) -> Call[models.Job]:
    """Read a job, with signed URLs of its images, which expire."""
    return _get(f"/v1/jobs/{_segment(job_id)}", _json(models.Job))


def cancel_job(job_id: str) -> Call[models.Job]:
    """Cancel a job; repeated, it changes nothing."""
    return replace(_post(f"/v1/jobs/{_segment(job_id)}/cancel", _json(models.Job)), takes_idempotency_key=False)


def retry_job(job_id: str) -> Call[models.Job]:
    """Run a failed job again: a training from its last checkpoint, for a day; images that are finished stay."""
    return _post(f"/v1/jobs/{_segment(job_id)}/retry", _json(models.Job))


def delete_job(job_id: str) -> Call[None]:
    """Delete a job that has ended, with its images; a concept that it has trained stays."""
    return _delete(f"/v1/jobs/{_segment(job_id)}")


def read_metrics(job_id: str) -> Call[models.Curve]:
    """Read the metrics of a training; empty for other jobs."""
    return _get(f"/v1/jobs/{_segment(job_id)}/metrics", _json(models.Curve))


# --- models, usage, health


def list_models() -> Call[models.Page[models.Model]]:
    """List all models of the catalogue."""
    return _get("/v1/models", _json(models.Page[models.Model]))


def read_model(name: str) -> Call[models.ModelDetails]:
    """Read a model of the catalogue, with the words that it knows if they are few."""
    return _get(f"/v1/models/{_segment(name)}", _json(models.ModelDetails))


def count_tokens(prompt: str, *, model: str | None = None) -> Call[models.TokenCount]:
    """Count the tokens of a prompt for each text encoder of its model."""
    call = _post("/v1/tokens", _json(models.TokenCount), {"prompt": prompt, **_given(model=model)})
    return replace(call, takes_idempotency_key=False)


def read_usage(*, owner: str | None = None) -> Call[accounts.Usage]:
    """Read the usage of the caller or, for admins, of another owner."""
    return _get("/v1/usage", _json(accounts.Usage), **_given(owner=owner))


def read_liveness() -> Call[models.Live]:
    """Read whether the service answers."""
    return _get("/health/live", _json(models.Live))


def read_readiness() -> Call[models.Ready]:
    """Read whether database and object store are up."""
    return _get("/health/ready", _json(models.Ready))


def read_process_metrics() -> Call[str]:
    """Read the metrics of the API process that answers, in Prometheus' text format."""
    return _get("/metrics", lambda response: response.text)


def read_service_metrics() -> Call[str]:
    """Read the metrics of the whole service in Prometheus' text format."""
    return _get("/metrics/service", lambda response: response.text)


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
    """Mint a key; its secret is in this response and nowhere else."""
    expiry = {"expires_at": expires_at.isoformat()} if expires_at else {}
    body = {"owner": owner, "name": name, "scopes": list(scopes), **expiry, **_given(quotas=quotas, safety=safety)}
    return replace(_post("/v1/keys", _json(accounts.MintedKey), body), takes_idempotency_key=False)


def list_keys(
    *, owner: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[models.Page[accounts.Key]]:
    """List the keys of all owners, or of one, newest first."""
    return _get("/v1/keys", _json(models.Page[accounts.Key]), **_given(owner=owner, cursor=cursor, limit=limit))


def revoke_key(key_id: str) -> Call[None]:
    """Revoke a key for good."""
    return _delete(f"/v1/keys/{_segment(key_id)}")


def list_audit_entries(
    *, owner: str | None = None, action: str | None = None, cursor: str | None = None, limit: int | None = None
) -> Call[models.Page[accounts.AuditEntry]]:
    """List the audit log, newest first; requires the scope admin."""
    query = _given(owner=owner, action=action, cursor=cursor, limit=limit)
    return _get("/v1/audit", _json(models.Page[accounts.AuditEntry]), **query)


# --- webhooks


def create_webhook(url: str, *, events: Sequence[str] | None = None) -> Call[accounts.WebhookAndSecret]:
    """Subscribe to all jobs from now on; the secret is in this response."""
    return _post("/v1/webhooks", _json(accounts.WebhookAndSecret), {"url": url, **_given(events=events)})


def list_webhooks(*, cursor: str | None = None, limit: int | None = None) -> Call[models.Page[accounts.Webhook]]:
    """List webhooks, newest first."""
    return _get("/v1/webhooks", _json(models.Page[accounts.Webhook]), **_given(cursor=cursor, limit=limit))


def read_webhook(webhook_id: str) -> Call[accounts.Webhook]:
    """Read a webhook."""
    return _get(f"/v1/webhooks/{_segment(webhook_id)}", _json(accounts.Webhook))


def change_webhook(
    webhook_id: str, *, url: str | None = None, events: Sequence[str] | None = None, enabled: bool | None = None
) -> Call[accounts.Webhook]:
    """Change a webhook's URL or events, disable or enable it."""
    body = _given(url=url, events=events, enabled=enabled)
    return Call("PATCH", f"/v1/webhooks/{_segment(webhook_id)}", _json(accounts.Webhook), body=body)


def delete_webhook(webhook_id: str) -> Call[None]:
    """Delete a webhook with its deliveries."""
    return _delete(f"/v1/webhooks/{_segment(webhook_id)}")


def read_default_secret() -> Call[accounts.WebhookSecret]:
    """Read the secret that signs deliveries to URLs named in requests."""
    return _get("/v1/webhooks/default/secret", _json(accounts.WebhookSecret))


def rotate_secret(webhook_id: str) -> Call[accounts.WebhookSecret]:
    """Rotate the secret of a webhook or of `default`."""
    return _post(f"/v1/webhooks/{_segment(webhook_id)}/rotate", _json(accounts.WebhookSecret))


def test_webhook(webhook_id: str) -> Call[accounts.Delivery]:
    """Send a test event."""
    return _post(f"/v1/webhooks/{_segment(webhook_id)}/test", _json(accounts.Delivery))


def list_deliveries(
    webhook_id: str, *, cursor: str | None = None, limit: int | None = None
) -> Call[models.Page[accounts.Delivery]]:
    """List the deliveries of the last two weeks, newest first."""
    query = _given(cursor=cursor, limit=limit)
    return _get(f"/v1/webhooks/{_segment(webhook_id)}/deliveries", _json(models.Page[accounts.Delivery]), **query)


def redeliver(webhook_id: str, delivery_id: str) -> Call[accounts.Delivery]:
    """Send a delivery again."""
    path = f"/v1/webhooks/{_segment(webhook_id)}/deliveries/{_segment(delivery_id)}/redeliver"
    return _post(path, _json(accounts.Delivery))


# --- pages


def next_page(call: Call[models.Page[T]], page: models.Page[T]) -> Call[models.Page[T]] | None:
    """The call of the page after one; None after the last."""
    return None if page.next is None else replace(call, query={**call.query, "cursor": page.next})


# --- building blocks


def _get(path: str, decode: Callable[[httpx.Response], T], **query: object) -> Call[T]:
    return Call("GET", path, decode, query=query)


def _post(
    path: str, decode: Callable[[httpx.Response], T], body: Fields | None = None, wait_s: int | None = None
) -> Call[T]:
    return Call("POST", path, decode, takes_idempotency_key=True, body=body, wait_s=wait_s)


def _delete(path: str) -> Call[None]:
    return Call("DELETE", path, lambda _: None)


def _json(kind: type[T]) -> Callable[[httpx.Response], T]:
    return lambda response: decode(kind, response.json())


def _bytes(response: httpx.Response) -> bytes:
    return response.content


def _given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON holds anything
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def _segment(text: str) -> str:
    """A segment of a path, percent-encoded."""
    return quote(text, safe="")


def _pictures(images: Iterable[Picture], archive: Picture | None) -> list[tuple[str, tuple[str, bytes]]]:
    files = [("images", _file(picture, f"{number}")) for number, picture in enumerate(images)]
    return files + ([("archive", _file(archive, "pictures.zip"))] if archive is not None else [])


def _file(picture: Picture, name: str) -> tuple[str, bytes]:
    return (picture.name, picture.read_bytes()) if isinstance(picture, Path) else (name, picture)
