"""Interpolations: images between two concepts."""

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter

from api.deps import GenerateAccess, RequestContext, Waiting, in_thread
from api.idempotency import Idempotent, IdempotentRequest
from api.job_events import JobRef
from api.routes.jobs import read_job
from api.schemas import responses
from api.schemas.requests import InterpolationRequest
from service.concepts import generations

router = APIRouter(tags=["interpolations"])


@router.post("/interpolations", status_code=HTTPStatus.ACCEPTED, responses={201: {"model": responses.Job}})
async def create_interpolation(
    context: GenerateAccess, request: InterpolationRequest, wait: Waiting, idempotent: IdempotentRequest
) -> responses.Job:
    """Generate one image for each share between two concepts, all from the same noise."""
    job_id = await idempotent.run(partial(_submit, context, request, idempotent))
    await wait.wait_until_done(JobRef(context.owner_id, job_id))
    return await in_thread(partial(read_job, context, job_id))


def _submit(context: RequestContext, request: InterpolationRequest, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        job = generations.submit_interpolation(context.service, session, context.owner_id, request.params())
        return idempotent.commit(session, job.id)
