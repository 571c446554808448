"""Jobs: list, read, cancel, metrics, event stream."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from api import serializers
from api.deps import CancelAccess, Cursor, JobId, Limit, ReadAccess, RequestContext, in_thread
from api.idempotency import Idempotent, IdempotentRequest
from api.job_events import JobRef
from api.schema_fields import Text
from api.schemas import responses
from service import audit, jobs
from service.database.tables import Status

router = APIRouter(tags=["jobs"])

_SCOPES = {"train": "train"}
"""The scope that a kind of job needs to run again, where it is not `generate`."""

_KEEPALIVE_INTERVAL_S = 10.0
_KEEPALIVE = b": keepalive\n\n"
_NUMBER_DIGITS = 15

_STREAM = {
    "description": "Events; `status` and `done` carry a Job in its state at that event and with its present output, "
    "`progress` its progress, `preview` an Image.",
    "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/JobEvent"}}},
}
_ENDED = {"description": "The job has ended, and the client has all of its events."}


@router.get("/jobs")
def list_jobs(
    context: ReadAccess,
    *,
    kind: Annotated[responses.ListedKind | None, Query(description="Only jobs of this kind.")] = None,
    status: Annotated[Status | None, Query(description="Only jobs in this state.")] = None,
    concept: Annotated[Text | None, Query(description="A concept's id or name.")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> responses.JobPage:
    """List jobs, newest first; their images have no URLs here."""
    filters = jobs.Filters(kind=kind, status=status, concept=concept)
    with context.service.database.reading() as session:
        page = jobs.page(session, context.owner_id, filters, cursor, limit)
        items = serializers.job_list(context.service, session, page.items, with_urls=False)
        return responses.JobPage(items=items, next=page.next)


@router.get("/jobs/{job_id}")
def read_job(context: ReadAccess, job_id: JobId) -> responses.Job:
    """Read a job, with signed URLs of its images, which expire."""
    with context.service.database.reading() as session:
        row = jobs.get(session, context.owner_id, job_id)
        return serializers.job(context.service, session, row, with_urls=True)


@router.post("/jobs/{job_id}/cancel", status_code=HTTPStatus.ACCEPTED)
def cancel_job(context: CancelAccess, job_id: JobId) -> responses.Job:
    """Cancel a job; a running one ends between two steps."""
    with context.service.database.writing() as session:
        jobs.get(session, context.owner_id, job_id)
        jobs.request_cancel(session, job_id)
    return read_job(context, job_id)


@router.delete("/jobs/{job_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_job(context: CancelAccess, job_id: JobId) -> None:
    """Delete a job that has ended, with its images; a concept that it has trained stays, without its loss curve."""
    # Checked first, so that nothing is deleted while the object store is down.
    context.service.storage.check()
    with context.service.database.writing() as session:
        keys = jobs.delete(session, context.owner_id, job_id)
        audit.record(session, context.actor, "job.deleted", job_id)
    context.service.storage.delete(keys)


@router.post("/jobs/{job_id}/retry", status_code=HTTPStatus.ACCEPTED)
async def retry_job(context: CancelAccess, job_id: JobId, idempotent: IdempotentRequest) -> responses.Job:
    """Run a failed job again: a training from its last checkpoint, for a day; images that are finished stay."""
    await idempotent.run(lambda: _retry(context, job_id, idempotent))
    return await in_thread(lambda: read_job(context, job_id))


@router.get("/jobs/{job_id}/metrics")
def read_metrics(context: ReadAccess, job_id: JobId) -> responses.Curve:
    """Read the metrics of a training; empty for other jobs."""
    with context.service.database.reading() as session:
        jobs.get(session, context.owner_id, job_id)
        curve = jobs.training_metrics(session, job_id)
    return responses.Curve(step=curve.step, loss=curve.loss, angle=curve.angle_rad)


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse, responses={200: _STREAM, 204: _ENDED})
async def follow_job(
    context: ReadAccess,
    job_id: JobId,
    last_event_id: Annotated[str | None, Header(description="Resume after this event of the job.")] = None,
) -> Response:
    """Stream past and future events of a job as server-sent events, until the job ends."""
    newest, ended = await in_thread(lambda: _state(context, job_id))
    position = min(_number(last_event_id), newest)
    if ended and position == newest:
        # A browser reconnects after the end of a stream; 204 makes it stop.
        return Response(status_code=HTTPStatus.NO_CONTENT)
    context.streams.check(context.identity.key_id)
    stream = _stream(context, JobRef(context.owner_id, job_id), position)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _retry(context: RequestContext, job_id: str, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        kind = jobs.get(session, context.owner_id, job_id).kind
        context.identity.check([_SCOPES.get(kind, "generate")])
        return idempotent.commit(session, jobs.retry(context.service, session, context.owner_id, job_id).id)


async def _stream(context: RequestContext, job: JobRef, position: int) -> AsyncIterator[bytes]:
    with context.streams.open(context.identity.key_id), context.event_poller.subscribe(job, position) as subscription:
        while not subscription.closed:
            events = await subscription.next(_KEEPALIVE_INTERVAL_S)
            yield b"".join(event.encoded for event in events) or _KEEPALIVE
            if any(event.name == "done" for event in events):
                return


def _state(context: RequestContext, job_id: str) -> tuple[int, bool]:
    """The number of a job's newest event, and whether the job has ended."""
    with context.service.database.reading() as session:
        row = jobs.get(session, context.owner_id, job_id)
        return row.last_event_number, row.status in jobs.ENDED


def _number(last_event_id: str | None) -> int:
    """The event number in `Last-Event-ID`; 0, the beginning, where it is malformed."""
    text = (last_event_id or "").strip()[:_NUMBER_DIGITS]
    return int(text) if text.isdecimal() else 0
