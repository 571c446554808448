"""OpenAI's images endpoint: a generation that is waited for, asked for and answered as its clients do."""

import base64
from functools import partial

from fastapi import APIRouter

from api import serializers
from api.deps import Call, GenerateCaller, in_thread, now
from api.idempotency import Idempotent, Once
from api.job_events import JobRef
from api.schemas.openai import ImagesAnswer, ImagesRequest, OpenAIImage
from service import jobs
from service.concepts import generations
from service.database.tables import Image, Job
from service.errors import JobCancelledError, RpcFailedError, WorkerUnavailableError

router = APIRouter(tags=["generations"])


@router.post("/images/generations")
async def create_images(call: GenerateCaller, request: ImagesRequest, once: Once) -> ImagesAnswer:
    """Make pictures of a prompt and wait for them, in the way of OpenAI's API; any job is also at /v1/jobs."""
    job_id = await once.make(partial(_submit, call, request, once))
    waited_s = call.service.settings.openai_timeout_s
    await call.watcher.until_done(JobRef(call.owner_id, job_id), waited_s)
    await in_thread(partial(_close, call, job_id, once, waited_s))
    return await in_thread(partial(_answer, call, job_id, whole=request.response_format == "b64_json"))


def _submit(call: Call, request: ImagesRequest, once: Idempotent) -> str:
    with call.service.database.writing() as session:
        job = generations.generation(call.service, session, call.owner_id, request.generation(), now())
        return once.made(session, job.id)


def _close(call: Call, job_id: str, once: Idempotent, waited_s: float) -> None:
    """See that the job has succeeded; one that has not ended is called off, for nobody would come for it."""
    with call.service.database.writing() as session:
        job, in_time = jobs.cancel_if_unfinished(session, job_id, now())
        if job.status != "succeeded":
            once.unmade(session)
    if not in_time:
        raise WorkerUnavailableError(waited_s)
    if job.status == "cancelled":
        raise JobCancelledError(job_id)
    if job.status == "failed":
        raise RpcFailedError(job.error_code or RpcFailedError.code, job.error_message or "")


def _answer(call: Call, job_id: str, *, whole: bool) -> ImagesAnswer:
    with call.service.database.reading() as session:
        job = jobs.get(session, call.owner_id, job_id)
    picture = _whole if whole else _address
    return ImagesAnswer(
        created=int(_ended_at(job)),
        size=f"{job.input['width']}x{job.input['height']}",
        output_format=job.input["format"],
        data=[picture(call, image) for image in job.images],
    )


def _address(call: Call, image: Image) -> OpenAIImage:
    return OpenAIImage(
        url=serializers.image(call.service, image, with_url=True).url, b64_json=None, revised_prompt=None
    )


def _whole(call: Call, image: Image) -> OpenAIImage:
    data = base64.b64encode(call.service.storage.get(image.key)).decode()
    return OpenAIImage(url=None, b64_json=data, revised_prompt=None)


def _ended_at(job: Job) -> float:
    if job.finished_at is None:
        raise AssertionError("Only a job that has ended is answered.")
    return job.finished_at.timestamp()
