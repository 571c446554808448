"""Generations: pictures of a prompt."""

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter

from api.deps import Call, Caller, Waiting, in_thread, now
from api.routes.jobs import read_job
from api.schemas import answers
from api.schemas.requests import GenerationRequest
from api.watching import Watched
from service import requests

router = APIRouter(tags=["generations"])


@router.post("/generations", status_code=HTTPStatus.ACCEPTED, responses={201: {"model": answers.Job}})
async def create_generation(call: Caller, request: GenerationRequest, wait: Waiting) -> answers.Job:
    """Make pictures of a prompt in which any number of concepts stand as <name>."""
    job_id = await in_thread(partial(_submit, call, request))
    await wait.until_done(Watched(call.owner_id, job_id))
    return await in_thread(partial(read_job, call, job_id))


def _submit(call: Call, request: GenerationRequest) -> str:
    with call.service.database.writing() as session:
        return requests.generation(call.service, session, call.owner_id, request.said(), now()).id
