"""Would stand in api/routes/toys.py."""

from functools import partial
from http import HTTPStatus

from fastapi import APIRouter

from api.deps import GenerateAccess, in_thread
from api.routes.jobs import read_job
from api.schemas import responses
from tests.toys.kinds import rules
from tests.toys.kinds.listing import OwnToyInput, ToyInput
from tests.toys.kinds.schemas import ToyRequest

router = APIRouter(tags=["toys"])


@router.post("/toys", status_code=HTTPStatus.ACCEPTED)
async def create_toy(context: GenerateAccess, request: ToyRequest) -> responses.Job:
    """Make a toy."""
    return await in_thread(partial(_submit, context, request, ToyInput))


@router.post("/own-toys", status_code=HTTPStatus.ACCEPTED)
async def create_own_toy(context: GenerateAccess, request: ToyRequest) -> responses.Job:
    """Make a toy of the other kind."""
    return await in_thread(partial(_submit, context, request, OwnToyInput))


def _submit(context, request, kind):
    with context.service.database.writing() as session:
        job = rules.toy(context.service, session, context.owner_id, request.params(), kind)
    return read_job(context, job.id)
