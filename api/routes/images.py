"""OpenAI's images endpoint: a generation in its request and response format, awaited."""

import base64
from functools import partial

from fastapi import APIRouter

from api import serializers
from api.deps import GenerateAccess, RequestContext, in_thread
from api.idempotency import Idempotent, IdempotentRequest
from api.job_events import JobRef
from api.schemas.openai import ImagesAnswer, ImagesRequest, OpenAIImage
from service import jobs
from service.concepts import generations
from service.database.tables import Image, Job
from service.errors import JobCancelledError, RpcFailedError, WorkerUnavailableError
from service.kinds.jobs import GenerateInput

router = APIRouter(tags=["generations"])


@router.post("/images/generations")
async def create_images(context: GenerateAccess, request: ImagesRequest, idempotent: IdempotentRequest) -> ImagesAnswer:
    """Generate images as OpenAI's API does: the response waits for them. The job is also at /v1/jobs."""
    job_id = await idempotent.run(partial(_submit, context, request, idempotent))
    timeout_s = context.service.settings.openai_timeout_s
    await context.event_poller.wait_until_done(JobRef(context.owner_id, job_id), timeout_s)
    await in_thread(partial(_finish, context, job_id, idempotent, timeout_s))
    return await in_thread(partial(_response, context, job_id, embedded=request.response_format == "b64_json"))


def _submit(context: RequestContext, request: ImagesRequest, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        job = generations.submit_generation(context.service, session, context.owner_id, request.params())
        return idempotent.commit(session, job.id)


def _finish(context: RequestContext, job_id: str, idempotent: Idempotent, timeout_s: float) -> None:
    """Check that the job has succeeded; an unfinished one is cancelled, since nothing would read its result."""
    with context.service.database.writing() as session:
        job, in_time = jobs.cancel_if_unfinished(session, job_id)
        if job.status != "succeeded":
            idempotent.rollback(session)
    if not in_time:
        raise WorkerUnavailableError(timeout_s)
    if job.status == "cancelled":
        raise JobCancelledError(job_id)
    if job.status == "failed":
        raise RpcFailedError(job.error_code or RpcFailedError.code, job.error_message or "")


def _response(context: RequestContext, job_id: str, *, embedded: bool) -> ImagesAnswer:
    with context.service.database.reading() as session:
        job = jobs.get(session, context.owner_id, job_id)
    rendering = GenerateInput.from_json(job.input).rendering
    to_openai = _embedded if embedded else _linked
    return ImagesAnswer(
        created=int(_ended_at(job)),
        size=f"{rendering.width}x{rendering.height}",
        output_format=rendering.format,
        data=[to_openai(context, image) for image in job.images],
        warnings=serializers.warnings(job),
    )


def _linked(context: RequestContext, image: Image) -> OpenAIImage:
    return OpenAIImage(
        url=serializers.image(context.service, image, with_url=True).url, b64_json=None, revised_prompt=None
    )


def _embedded(context: RequestContext, image: Image) -> OpenAIImage:
    data = base64.b64encode(context.service.storage.get(image.key)).decode()
    return OpenAIImage(url=None, b64_json=data, revised_prompt=None)


def _ended_at(job: Job) -> float:
    if job.finished_at is None:
        raise AssertionError("The job of a response has ended.")
    return job.finished_at.timestamp()
