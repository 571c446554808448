"""Concepts: learned from pictures, listed, read, learned again, deleted."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, File

from api import serializers
from api.deps import Call, ConceptReference, Cursor, Limit, ReadCaller, TrainCaller, Wait, Waiting, in_thread, now
from api.idempotency import Idempotent, Once
from api.job_events import JobRef
from api.schema_fields import Text
from api.schemas import responses
from api.schemas.requests import NewConcept, RetrainRequest
from api.upload_safety import inspected
from api.uploads import cleaned, said_once, stored
from service import jobs
from service.concepts import concepts
from service.webhooks import endpoints

router = APIRouter(tags=["concepts"])

_PICTURES = "image/jpeg, image/png, image/webp, image/gif, image/heic, image/avif, image/tiff"
_PARTS = {"images": {"contentType": _PICTURES}, "archive": {"contentType": "application/zip"}}


@router.post(
    "/concepts",
    status_code=HTTPStatus.ACCEPTED,
    responses={201: {"model": responses.ConceptAndJob}},
    dependencies=[Depends(said_once)],
    openapi_extra={"requestBody": {"content": {"multipart/form-data": {"encoding": _PARTS}}}},
)
async def create_concept(
    call: TrainCaller, form: Annotated[NewConcept, File()], wait: Waiting, once: Once
) -> responses.ConceptAndJob:
    """Learn a concept from pictures."""
    job_id = await once.make(partial(_create, call, form, once), call.uploads)
    return await _answered(call, job_id, wait)


@router.get("/concepts")
def list_concepts(
    call: ReadCaller,
    *,
    model: Text | None = None,
    ready: bool | None = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> responses.ConceptPage:
    """Concepts, newest first; their pictures come without addresses."""
    with call.service.database.reading() as session:
        page = concepts.page(session, call.owner_id, cursor, limit, model=model, ready=ready)
        items = [serializers.concept(call.service, row, with_urls=False) for row in page.items]
        return responses.ConceptPage(items=items, next=page.next)


@router.get("/concepts/{reference}")
def read_concept(call: ReadCaller, reference: ConceptReference) -> responses.Concept:
    """A concept, with addresses of its pictures that work for a while."""
    with call.service.database.reading() as session:
        return serializers.concept(call.service, concepts.get(session, call.owner_id, reference), with_urls=True)


@router.delete("/concepts/{reference}", status_code=HTTPStatus.NO_CONTENT)
def delete_concept(call: TrainCaller, reference: ConceptReference) -> None:
    """Delete a concept with its pictures, its embeddings and the pictures that were made with it."""
    # Asked first, so that a store that is down leaves everything as it is.
    call.service.storage.check()
    with call.service.database.writing() as session:
        keys = concepts.delete(session, call.owner_id, reference, now())
    call.service.storage.delete(keys)


@router.post(
    "/concepts/{reference}/train", status_code=HTTPStatus.ACCEPTED, responses={201: {"model": responses.ConceptAndJob}}
)
async def train_concept(
    call: TrainCaller, reference: ConceptReference, request: RetrainRequest, wait: Waiting, once: Once
) -> responses.ConceptAndJob:
    """Learn a concept again; until that has succeeded it stays usable as it is."""
    job_id = await once.make(partial(_retrain, call, reference, request, once))
    return await _answered(call, job_id, wait)


def _create(call: Call, form: NewConcept, once: Idempotent) -> str:
    said = form.given(without={"images", "archive"})
    webhook = endpoints.of_request(call.service.settings, said.pop("webhook", None))
    with call.service.database.reading() as session:
        new = concepts.check_new(call.service, session, call.owner_id, said)
    pictures = cleaned(call, form.images, form.archive)
    with stored(call, pictures) as placed:
        judged = inspected(call, new.model, placed)
        with call.service.database.writing() as session:
            _, job = concepts.create(call.service, session, new, judged, now(), webhook=webhook)
            return once.made(session, job.id)


def _retrain(call: Call, reference: str, request: RetrainRequest, once: Idempotent) -> str:
    with call.service.database.writing() as session:
        job = concepts.retrain(call.service, session, call.owner_id, reference, request.given(), now=now())
        return once.made(session, job.id)


async def _answered(call: Call, job_id: str, wait: Wait) -> responses.ConceptAndJob:
    await wait.until_done(JobRef(call.owner_id, job_id))
    return await in_thread(partial(_both, call, job_id))


def _both(call: Call, job_id: str) -> responses.ConceptAndJob:
    with call.service.database.reading() as session:
        job = jobs.get(session, call.owner_id, job_id)
        concept = concepts.get(session, call.owner_id, job.concepts[0].concept_id)
        return responses.ConceptAndJob(
            concept=serializers.concept(call.service, concept, with_urls=True),
            job=serializers.job(call.service, session, job, with_urls=True),
        )
