"""Concepts: create, list, read, train again, delete."""

from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, File

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
from api.idempotency import Idempotent, IdempotentRequest
from api.job_events import JobRef
from api.schema_fields import Text
from api.schemas import responses
from api.schemas.requests import NewConcept, RetrainRequest
from api.upload_safety import check_pictures
from api.uploads import reject_repeated_fields, stored_pictures
from service import jobs
from service.concepts import concepts
from service.concepts.concepts import ConceptParams
from service.uploads.records import StoredPicture

router = APIRouter(tags=["concepts"])

_PICTURES = "image/jpeg, image/png, image/webp, image/gif, image/heic, image/avif, image/tiff"
_PARTS = {"images": {"contentType": _PICTURES}, "archive": {"contentType": "application/zip"}}


@router.post(
    "/concepts",
    status_code=HTTPStatus.ACCEPTED,
    responses={201: {"model": responses.ConceptAndJob}},
    dependencies=[Depends(reject_repeated_fields)],
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"encoding": _PARTS}}}},
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
    model: Text | None = None,
    ready: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> responses.ConceptPage:
    """List concepts, newest first; their images have no URLs here."""
    with context.service.database.reading() as session:
        page = concepts.page(session, context.owner_id, cursor, limit, model=model, ready=ready)
        items = [serializers.concept(context.service, row, with_urls=False) for row in page.items]
        return responses.ConceptPage(items=items, next=page.next)


@router.get("/concepts/{reference}")
def read_concept(context: ReadAccess, reference: ConceptReference) -> responses.Concept:
    """Read a concept, with signed URLs of its images, which expire."""
    with context.service.database.reading() as session:
        return serializers.concept(context.service, concepts.get(session, context.owner_id, reference), with_urls=True)


@router.delete("/concepts/{reference}", status_code=HTTPStatus.NO_CONTENT)
def delete_concept(context: TrainAccess, reference: ConceptReference) -> None:
    """Delete a concept with its pictures, its embeddings, and the images generated with it."""
    # Checked first, so that nothing is deleted while the object store is down.
    context.service.storage.check()
    with context.service.database.writing() as session:
        keys = concepts.delete(session, context.owner_id, reference)
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
    async with stored_pictures(context, form.images, form.archive) as stored:
        checked = await check_pictures(context, new.model, stored)
        return await in_thread(partial(_create_and_train, context, new, checked, params, idempotent))


def _check_new(context: RequestContext, params: ConceptParams) -> concepts.CheckedConcept:
    with context.service.database.reading() as session:
        return concepts.check_new(context.service, session, context.owner_id, params)


def _create_and_train(
    context: RequestContext,
    new: concepts.CheckedConcept,
    pictures: Sequence[StoredPicture],
    params: ConceptParams,
    idempotent: Idempotent,
) -> str:
    with context.service.database.writing() as session:
        _, job = concepts.create(context.service, session, new, pictures, webhook=params.webhook)
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
            concept=serializers.concept(context.service, concept, with_urls=True),
            job=serializers.job(context.service, session, job, with_urls=True),
        )
