"""Concepts: create, list, read, train again, delete."""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, File, Query

from api import serializers
from api.deps import (
    ConceptReference,
    Cursor,
    Limit,
    ReadAccess,
    RequestContext,
    TrainAccess,
    Wait,
    Waiting,
    in_thread,
)
from api.forms import FormRoute
from api.idempotency import Idempotent, IdempotentRequest
from api.job_events import JobRef
from api.schema_fields import Text
from api.schemas import responses
from api.schemas.requests import ConceptChangeRequest, NewConcept, RetrainRequest
from api.upload_safety import check_pictures
from api.uploads import reject_repeated_fields, selected_files, stored_pictures
from service import audit, jobs
from service.concepts import concepts, editing, listing
from service.concepts.concepts import ConceptParams
from service.concepts.listing import Sort
from service.kinds.warnings import JobWarning
from service.uploads.records import StoredPicture
from service.uploads.training_files import TrainingFiles

router = APIRouter(tags=["concepts"], route_class=FormRoute)

_PICTURES = "image/jpeg, image/png, image/webp, image/gif, image/heic, image/avif, image/tiff"
PARTS = {"images": {"contentType": _PICTURES}, "archive": {"contentType": "application/zip"}}
"""The content types of the files of a form with pictures."""


@router.post(
    "/concepts",
    status_code=HTTPStatus.ACCEPTED,
    responses={201: {"model": responses.ConceptAndJob}},
    dependencies=[Depends(reject_repeated_fields)],
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"encoding": PARTS}}}},
)
async def create_concept(
    context: TrainAccess, form: Annotated[NewConcept, File()], wait: Waiting, idempotent: IdempotentRequest
) -> responses.ConceptAndJob:
    """Create a concept and train it on pictures."""
    job_id = await idempotent.run_async(partial(_create, context, form, idempotent))
    return await _response(context, job_id, wait)


@router.get("/concepts")
def list_concepts(
    context: ReadAccess,
    *,
    q: Annotated[
        Text | None,
        Query(max_length=500, description="Words that all occur in the name, the class word, the model or the tags."),
    ] = None,
    tag: Annotated[Text | None, Query(max_length=100, description="A whole tag.")] = None,
    model: Annotated[Text | None, Query(description="The name of a model.")] = None,
    ready: Annotated[bool | None, Query(description="Only concepts with an embedding, or only others.")] = None,
    sort: Annotated[Sort, Query(description="The order of the list; a cursor belongs to one order.")] = "newest",
    cover_urls: Annotated[bool, Query(description="Whether each cover has a signed URL, which expires.")] = False,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> responses.ConceptPage:
    """List and search concepts, newest first; their training pictures have no URLs here."""
    filters = listing.Filters(q=q, tag=tag, model=model, ready=ready)
    with context.service.database.reading() as session:
        page = listing.page(session, context.owner_id, filters, cursor, limit, sort=sort)
        items = serializers.concept_list(
            context.service, session, page.items, with_urls=False, with_cover_urls=cover_urls
        )
        return responses.ConceptPage(items=items, next=page.next)


@router.get("/concepts/{reference}")
def read_concept(context: ReadAccess, reference: ConceptReference) -> responses.Concept:
    """Read a concept, with signed URLs of its images, which expire."""
    with context.service.database.reading() as session:
        row = concepts.get(session, context.owner_id, reference)
        return serializers.concept(context.service, session, row, with_urls=True)


@router.patch("/concepts/{reference}")
def change_concept(
    context: TrainAccess, reference: ConceptReference, request: ConceptChangeRequest
) -> responses.Concept:
    """Rename a concept, change its class word, tags or cover, or use another of its versions."""
    with context.service.database.writing() as session:
        row = editing.change(context.service, session, context.owner_id, reference, request.params())
        return serializers.concept(context.service, session, row, with_urls=True)


@router.get("/concepts/{reference}/versions")
def list_versions(context: ReadAccess, reference: ConceptReference) -> responses.ConceptVersionPage:
    """List all versions of a concept, newest first; each has the job of its training, with loss curve and previews."""
    with context.service.database.reading() as session:
        row = concepts.get(session, context.owner_id, reference)
        trainings = listing.trainings(session, row)
    items = [
        serializers.version(version, trainings.get(version.job_id or ""), current=version.number == row.version)
        for version in reversed(row.embeddings)
    ]
    return responses.ConceptVersionPage(items=items, next=None)


@router.delete("/concepts/{reference}", status_code=HTTPStatus.NO_CONTENT)
def delete_concept(context: TrainAccess, reference: ConceptReference) -> None:
    """Delete a concept with its pictures, its embeddings, and the images generated with it."""
    # Checked first, so that nothing is deleted while the object store is down.
    context.service.storage.check()
    with context.service.database.writing() as session:
        concept = concepts.get_locked(session, context.owner_id, reference)
        audit.record(session, context.actor, "concept.deleted", concept.id, {"name": concept.name})
        keys = concepts.delete(session, context.owner_id, concept.id)
    context.service.storage.delete(keys)


@router.post(
    "/concepts/{reference}/train", status_code=HTTPStatus.ACCEPTED, responses={201: {"model": responses.ConceptAndJob}}
)
async def train_concept(
    context: TrainAccess,
    reference: ConceptReference,
    request: RetrainRequest,
    wait: Waiting,
    idempotent: IdempotentRequest,
) -> responses.ConceptAndJob:
    """Train a concept again; until that succeeds, its present embedding stays in use."""
    job_id = await idempotent.run(partial(_retrain, context, reference, request, idempotent))
    return await _response(context, job_id, wait)


async def _create(context: RequestContext, form: NewConcept, idempotent: Idempotent) -> str:
    params = form.params()
    new = await in_thread(partial(_check_new, context, params))
    files = await in_thread(partial(selected_files, context, form.images, form.archive))
    await in_thread(partial(_check_captions, context, new, files))
    async with stored_pictures(context, files) as stored:
        checked = await check_pictures(context, new.model, stored.pictures)
        commit = partial(_create_and_train, context, new, checked, params, idempotent, warnings=stored.warnings)
        return await in_thread(commit)


def _check_new(context: RequestContext, params: ConceptParams) -> concepts.CheckedConcept:
    with context.service.database.reading() as session:
        return concepts.check_new(context.service, session, context.owner_id, params)


def _check_captions(context: RequestContext, new: concepts.CheckedConcept, files: TrainingFiles) -> None:
    with context.service.database.reading() as session:
        concepts.check_captions(context.service, session, new, files.captions)


def _create_and_train(
    context: RequestContext,
    new: concepts.CheckedConcept,
    pictures: Sequence[StoredPicture],
    params: ConceptParams,
    idempotent: Idempotent,
    *,
    warnings: Sequence[JobWarning],
) -> str:
    with context.service.database.writing() as session:
        _, job = concepts.create(context.service, session, new, pictures, webhook=params.webhook, warnings=warnings)
        return idempotent.commit(session, job.id)


def _retrain(context: RequestContext, reference: str, request: RetrainRequest, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        job = concepts.retrain(context.service, session, context.owner_id, reference, request.params())
        return idempotent.commit(session, job.id)


async def _response(context: RequestContext, job_id: str, wait: Wait) -> responses.ConceptAndJob:
    await wait.wait_until_done(JobRef(context.owner_id, job_id))
    return await in_thread(partial(_concept_and_job, context, job_id))


def _concept_and_job(context: RequestContext, job_id: str) -> responses.ConceptAndJob:
    with context.service.database.reading() as session:
        job = jobs.get(session, context.owner_id, job_id)
        concept = concepts.get(session, context.owner_id, job.concepts[0].concept_id)
        return responses.ConceptAndJob(
            concept=serializers.concept(context.service, session, concept, with_urls=True),
            job=serializers.job(context.service, session, job, with_urls=True),
            skipped=serializers.skipped(job),
        )
