"""Interpolations: pictures on the way from one concept to another."""

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter

from api.deps import Call, GenerateCaller, Waiting, in_thread, now
from api.idempotency import Idempotent, Once
from api.job_events import JobRef
from api.routes.jobs import read_job
from api.schemas import responses
from api.schemas.requests import InterpolationRequest
from service.concepts import generations

router = APIRouter(tags=["interpolations"])


@router.post("/interpolations", status_code=HTTPStatus.ACCEPTED, responses={201: {"model": responses.Job}})
async def create_interpolation(
    call: GenerateCaller, request: InterpolationRequest, wait: Waiting, once: Once
) -> responses.Job:
    """Make one picture for each share of the way, all from the same noise."""
    job_id = await once.make(partial(_submit, call, request, once))
    await wait.until_done(JobRef(call.owner_id, job_id))
    return await in_thread(partial(read_job, call, job_id))


def _submit(call: Call, request: InterpolationRequest, once: Idempotent) -> str:
    with call.service.database.writing() as session:
        job = generations.interpolation(call.service, session, call.owner_id, request.given(), now())
        return once.made(session, job.id)
