"""Rows as answers. Pictures get an address that works for a while where one thing is read, and none in lists."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from api.schemas import responses
from service import jobs
from service.context import Service
from service.database import tables


def image(service: Service, row: tables.Image | tables.Picture, *, with_url: bool) -> responses.Image:
    """A picture that was made, or one that was uploaded."""
    made = row if isinstance(row, tables.Image) else None
    return responses.Image(
        id=row.id,
        url=service.storage.url(row.key, service.settings.url_expires_s) if with_url else None,
        content_type=row.content_type,
        width=row.width,
        height=row.height,
        bytes=row.bytes,
        sha256=row.sha256,
        seed=made.seed if made else None,
        prompt=made.prompt if made else None,
        share=made.share if made else None,
        safety=None if row.safety is None else responses.Safety(**row.safety),
    )


def job(service: Service, session: Session, row: tables.Job, *, with_urls: bool) -> responses.Job:
    """The one envelope."""
    (one,) = job_list(service, session, [row], with_urls=with_urls)
    return one


def job_list(service: Service, session: Session, rows: Sequence[tables.Job], *, with_urls: bool) -> list[responses.Job]:
    """Several envelopes; the queue is looked at once for all of them."""
    expected = jobs.estimate(session, rows, datetime.now(UTC))
    return [_job(service, row, expected.get(row.id), with_urls=with_urls) for row in rows]


def concept(service: Service, row: tables.Concept, *, with_urls: bool) -> responses.Concept:
    """A concept with the pictures that it is learned from."""
    return responses.Concept(
        id=row.id,
        name=row.name,
        trigger=f"<{row.name}>",
        class_word=row.class_word,
        learnable_property=row.learnable_property,
        model=row.model,
        method=row.method,
        training=row.training,
        ready=row.embedding is not None,
        job=row.job_id,
        images=[image(service, picture, with_url=with_urls) for picture in row.pictures],
        embedding=_embedding(row.embedding),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _job(service: Service, row: tables.Job, expectation: jobs.Expectation | None, *, with_urls: bool) -> responses.Job:
    return responses.Job(
        id=row.id,
        kind=_listed(row.kind),
        status=row.status,
        model=row.model,
        concepts=[
            responses.JobConcept(id=one.concept_id, name=one.name, embedding_sha256=one.embedding_sha256)
            for one in row.concepts
        ],
        input=row.input,
        output=_output(service, row, with_urls=with_urls),
        progress=responses.Progress(
            step=row.step,
            total=row.total,
            loss=row.loss,
            eta_s=expectation.eta_s if expectation else row.eta_s,
            queue_position=expectation.position if expectation else None,
        ),
        error=_error(row),
        attempt=row.attempt,
        cancel_requested=row.cancel_requested,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        links=_links(row.id),
    )


def _listed(kind: tables.Kind) -> tables.ListedKind:
    if kind == "rpc":
        raise AssertionError("Nobody sees an RPC.")
    return kind


def _output(service: Service, row: tables.Job, *, with_urls: bool) -> responses.Output:
    made = [(one.role, image(service, one, with_url=with_urls)) for one in row.images]
    return responses.Output(
        images=[one for role, one in made if role in {"image", "preview"}],
        animation=next((one for role, one in made if role == "animation"), None),
        contact_sheet=next((one for role, one in made if role == "contact_sheet"), None),
        training_images=_training_images(row.result),
    )


def _error(row: tables.Job) -> responses.JobError | None:
    if row.error_code is None:
        return None
    return responses.JobError(code=row.error_code, message=row.error_message or "")


def _links(job_id: str) -> responses.Links:
    place = f"/v1/jobs/{job_id}"
    return responses.Links(self=place, events=f"{place}/events", cancel=f"{place}/cancel")


def _embedding(row: tables.EmbeddingVersion | None) -> responses.Embedding | None:
    if row is None:
        return None
    rows = {name: responses.EncoderRows(**encoder) for name, encoder in row.encoders.items()}
    return responses.Embedding(sha256=row.sha256, encoders=rows)


def _training_images(result: Mapping[str, Any] | None) -> list[responses.TrainingImage] | None:
    """The assessment of each training image; None before a training has begun and for other kinds."""
    return None if result is None else [responses.TrainingImage(**image) for image in result["training_images"]]
