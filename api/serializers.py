"""Serializers: rows of the database as response models. Images get a signed URL in reads, and none in lists."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from sqlalchemy.orm import Session

from api.schemas import responses
from service import jobs
from service.concepts import listing
from service.context import Service
from service.database import tables
from service.kinds.jobs import TrainInput, TrainResult
from service.kinds.versioned import without_version
from service.kinds.warnings import JobWarning


def image(service: Service, row: tables.Image | tables.Picture, *, with_url: bool) -> responses.Image:
    """A generated image, or an uploaded picture."""
    generated = row if isinstance(row, tables.Image) else None
    return responses.Image(
        id=row.id,
        url=service.storage.url(row.key, service.settings.url_expires_s) if with_url else None,
        content_type=row.content_type,
        width=row.width,
        height=row.height,
        bytes=row.bytes,
        sha256=row.sha256,
        seed=generated.seed if generated else None,
        prompt=generated.prompt if generated else None,
        share=generated.share if generated else None,
        safety=None if row.safety is None else responses.Safety(**row.safety),
    )


def gallery_image(service: Service, row: tables.Image) -> responses.GalleryImage:
    """A generated image with its job, and a signed URL."""
    return responses.GalleryImage(
        **vars(image(service, row, with_url=True)),
        job=row.job_id,
        kind=row.job.kind,
        model=row.job.model,
        concepts=[concept.name for concept in row.job.concepts],
        favourite=row.favourite,
        created_at=row.created_at,
    )


def job(service: Service, session: Session, row: tables.Job, *, with_urls: bool) -> responses.Job:
    """A job with its estimated time and queue position."""
    (item,) = job_list(service, session, [row], with_urls=with_urls)
    return item


def job_at(envelope: responses.Job, state: jobs.JobState, *, newest: bool) -> responses.Job:
    """A job in a recorded state; its input, concepts and output are the present ones.

    Args:
        envelope: the job as it is now.
        state: as an event recorded it.
        newest: whether that is the job's newest event, so that the present place in the queue belongs to it.
    """
    estimate = envelope.progress if newest else None
    return envelope.model_copy(
        update={
            "status": state.status,
            "attempt": state.attempt,
            "cancel_requested": state.cancel_requested,
            "started_at": state.started_at,
            "finished_at": state.finished_at,
            "device_s": state.device_s,
            "error": _error(state),
            "interruption": _interruption(state),
            "progress": responses.Progress(
                step=state.step,
                total=state.total,
                loss=state.loss,
                eta_s=estimate.eta_s if estimate else state.eta_s,
                queue_position=estimate.queue_position if estimate else None,
                workers=estimate.workers if estimate else None,
            ),
        }
    )


def job_list(service: Service, session: Session, rows: Sequence[tables.Job], *, with_urls: bool) -> list[responses.Job]:
    """Several jobs; the queue is read once for all of them."""
    estimates = jobs.estimate(session, rows)
    return [_job(service, row, estimates.get(row.id), with_urls=with_urls) for row in rows]


def skipped(row: tables.Job) -> list[str]:
    """The uploaded files that a training does not use."""
    return _skipped([JobWarning.from_json(warning) for warning in row.warnings])


def _skipped(found: Sequence[JobWarning]) -> list[str]:
    return [name for warning in found if warning.code == "files_skipped" for name in warning.subjects]


def warnings(row: tables.Job) -> list[responses.Warning]:
    """The warnings of a job."""
    return [responses.Warning(**warning) for warning in row.warnings]


def concept_image(service: Service, row: tables.Picture, *, with_url: bool) -> responses.ConceptImage:
    """A training picture."""
    shown = image(service, row, with_url=with_url)
    return responses.ConceptImage(**vars(shown), filename=row.filename, caption=row.caption)


def concept(service: Service, session: Session, row: tables.Concept, *, with_urls: bool) -> responses.Concept:
    """A concept with its training pictures and its cover."""
    (item,) = concept_list(service, session, [row], with_urls=with_urls, with_cover_urls=with_urls)
    return item


def concept_with_warnings(
    service: Service, session: Session, row: tables.Concept, found: Sequence[JobWarning]
) -> responses.ConceptWithWarnings:
    """A concept whose training pictures have changed, with the warnings of the change."""
    changed = concept(service, session, row, with_urls=True)
    return responses.ConceptWithWarnings(
        **vars(changed),
        skipped=_skipped(found),
        warnings=[responses.Warning(**warning.to_json()) for warning in found],
    )


def concept_list(
    service: Service, session: Session, rows: Sequence[tables.Concept], *, with_urls: bool, with_cover_urls: bool
) -> list[responses.Concept]:
    """Several concepts; their covers are read at once."""
    covers = listing.covers(session, rows)
    return [_concept(service, row, covers, with_urls=with_urls, with_cover_url=with_cover_urls) for row in rows]


def version(row: tables.EmbeddingVersion, training: TrainInput | None, *, current: bool) -> responses.ConceptVersion:
    """A version of a concept, with its training where that is known."""
    return responses.ConceptVersion(
        number=row.number,
        current=current,
        embedding=_embedding(row),
        steps=row.steps,
        job=row.job_id,
        method=training.method if training else None,
        training=asdict(training.training) if training else None,
        created_at=row.created_at,
    )


def _concept(
    service: Service,
    row: tables.Concept,
    covers: Mapping[str, tables.Image],
    *,
    with_urls: bool,
    with_cover_url: bool,
) -> responses.Concept:
    cover = _cover(row, covers)
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
        images=[concept_image(service, picture, with_url=with_urls) for picture in row.pictures],
        embedding=None if row.embedding is None else _embedding(row.embedding),
        version=row.version,
        tags=row.tags,
        cover=None if cover is None else image(service, cover, with_url=with_cover_url),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _job(service: Service, row: tables.Job, estimate: jobs.Estimate | None, *, with_urls: bool) -> responses.Job:
    return responses.Job(
        id=row.id,
        kind=row.kind,
        status=row.status,
        model=row.model,
        concepts=[
            responses.JobConcept(id=item.concept_id, name=item.name, embedding_sha256=item.embedding_sha256)
            for item in row.concepts
        ],
        input=without_version(row.input),
        output=_output(service, row, with_urls=with_urls),
        progress=responses.Progress(
            step=row.step,
            total=row.total,
            loss=row.loss,
            eta_s=estimate.eta_s if estimate else row.eta_s,
            queue_position=estimate.position if estimate else None,
            workers=estimate.workers if estimate else None,
        ),
        error=_error(row),
        interruption=_interruption(row),
        warnings=warnings(row),
        attempt=row.attempt,
        cancel_requested=row.cancel_requested,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        device_s=row.device_s,
        request_id=row.request_id,
        links=_links(row.id),
    )


def _output(service: Service, row: tables.Job, *, with_urls: bool) -> responses.Output:
    generated = [(item.role, image(service, item, with_url=with_urls)) for item in row.images]
    return responses.Output(
        images=[item for role, item in generated if role in {"image", "preview"}],
        animation=next((item for role, item in generated if role == "animation"), None),
        contact_sheet=next((item for role, item in generated if role == "contact_sheet"), None),
        training_images=_training_images(row),
    )


def _error(row: tables.Job | jobs.JobState) -> responses.JobError | None:
    if row.error_code is None:
        return None
    return responses.JobError(code=row.error_code, message=row.error_message or "")


def _interruption(row: tables.Job | jobs.JobState) -> responses.JobInterruption | None:
    if row.interruption is None:
        return None
    return responses.JobInterruption(code=row.interruption, message=jobs.interruption_message(row.interruption))


def _links(job_id: str) -> responses.Links:
    path = f"/v1/jobs/{job_id}"
    return responses.Links(self=path, events=f"{path}/events", cancel=f"{path}/cancel")


def _cover(row: tables.Concept, covers: Mapping[str, tables.Image]) -> tables.Image | tables.Picture | None:
    """The chosen cover while it exists, or else the first training picture."""
    chosen = next((picture for picture in row.pictures if picture.id == row.cover), None)
    return chosen or covers.get(row.cover or "") or next(iter(row.pictures), None)


def _embedding(row: tables.EmbeddingVersion) -> responses.Embedding:
    rows = {name: responses.EncoderRows(**encoder) for name, encoder in row.encoders.items()}
    return responses.Embedding(sha256=row.sha256, encoders=rows)


def _training_images(row: tables.Job) -> list[responses.TrainingImage] | None:
    """The assessment of each training image; None before a training has started and for other kinds."""
    if row.result is None:
        return None
    return [responses.TrainingImage(**vars(image)) for image in TrainResult.from_json(row.result).training_images]
