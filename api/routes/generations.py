"""Generations: pictures of a prompt."""

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter

from api.deps import Call, GenerateCaller, Waiting, in_thread, now
from api.idempotency import Idempotent, Once
from api.job_events import JobRef
from api.routes.jobs import read_job
from api.schemas import responses
from api.schemas.requests import GenerationRequest
from service.concepts import generations

router = APIRouter(tags=["generations"])


@router.post("/generations", status_code=HTTPStatus.ACCEPTED, responses={201: {"model": responses.Job}})
async def create_generation(
    call: GenerateCaller, request: GenerationRequest, wait: Waiting, once: Once
) -> responses.Job:
    """Make pictures of a prompt in which any number of concepts stand as <name>."""
    job_id = await once.make(partial(_submit, call, request, once))
    await wait.until_done(JobRef(call.owner_id, job_id))
    return await in_thread(partial(read_job, call, job_id))


def _submit(call: Call, request: GenerationRequest, once: Idempotent) -> str:
    with call.service.database.writing() as session:
        job = generations.generation(call.service, session, call.owner_id, request.given(), now())
        return once.made(session, job.id)
