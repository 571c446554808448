"""Jobs: listed, read, followed, measured, cancelled."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from api import serializers
from api.deps import Call, CancelCaller, Cursor, JobId, Limit, ReadCaller, in_thread, now
from api.job_events import EventPoller, JobRef
from api.schema_fields import Text
from api.schemas import responses
from service import jobs
from service.database.tables import ListedKind, Status

router = APIRouter(tags=["jobs"])

_COMMENT_EVERY_S = 10.0
_COMMENT = b": still there\n\n"
_NUMBER_DIGITS = 15

_STREAM = {
    "description": "Events; `status` and `done` carry a Job, `progress` its progress, `preview` an Image.",
    "content": {"text/event-stream": {"schema": {"$ref": "#/components/schemas/JobEvent"}}},
}
_ENDED = {"description": "The job has ended, and all of it was told before."}


@router.get("/jobs")
def list_jobs(
    call: ReadCaller,
    *,
    kind: ListedKind | None = None,
    status: Status | None = None,
    concept: Annotated[Text | None, Query(description="A concept's id or name.")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> responses.JobPage:
    """Jobs, newest first; their pictures come without addresses."""
    filters = jobs.Filters(kind=kind, status=status, concept=concept)
    with call.service.database.reading() as session:
        page = jobs.page(session, call.owner_id, filters, cursor, limit)
        items = serializers.job_list(call.service, session, page.items, with_urls=False)
        return responses.JobPage(items=items, next=page.next)


@router.get("/jobs/{job_id}")
def read_job(call: ReadCaller, job_id: JobId) -> responses.Job:
    """A job, with addresses of its pictures that work for a while."""
    with call.service.database.reading() as session:
        row = jobs.get(session, call.owner_id, job_id)
        return serializers.job(call.service, session, row, with_urls=True)


@router.post("/jobs/{job_id}/cancel", status_code=HTTPStatus.ACCEPTED)
def cancel_job(call: CancelCaller, job_id: JobId) -> responses.Job:
    """Ask for a job's end; one that runs ends between two steps."""
    with call.service.database.writing() as session:
        jobs.get(session, call.owner_id, job_id)
        jobs.request_cancel(session, job_id, now())
    return read_job(call, job_id)


@router.get("/jobs/{job_id}/metrics")
def read_metrics(call: ReadCaller, job_id: JobId) -> responses.Curve:
    """A training's course; empty for other jobs."""
    with call.service.database.reading() as session:
        jobs.get(session, call.owner_id, job_id)
        curve = jobs.curve(session, job_id)
    return responses.Curve(step=curve.step, loss=curve.loss, angle=curve.angle_rad)


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse, responses={200: _STREAM, 204: _ENDED})
async def follow_job(
    call: ReadCaller,
    job_id: JobId,
    last_event_id: Annotated[str | None, Header(description="Go on after this event of the job.")] = None,
) -> Response:
    """What happened to a job and what happens from now on, as server-sent events; the stream ends with the job."""
    newest, ended = await in_thread(lambda: _state(call, job_id))
    position = min(_number(last_event_id), newest)
    if ended and position == newest:
        # A browser that lost the connection after the end asks again; this answer tells it to stop.
        return Response(status_code=HTTPStatus.NO_CONTENT)
    stream = _stream(call.watcher, JobRef(call.owner_id, job_id), position)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(watcher: EventPoller, watched: JobRef, position: int) -> AsyncIterator[bytes]:
    with watcher.listening(watched, position) as listener:
        while not listener.over:
            happenings = await listener.next(_COMMENT_EVERY_S)
            yield b"".join(happening.frame for happening in happenings) or _COMMENT
            if any(happening.name == "done" for happening in happenings):
                return


def _state(call: Call, job_id: str) -> tuple[int, bool]:
    """The number of a job's newest event, and whether the job has ended."""
    with call.service.database.reading() as session:
        row = jobs.get(session, call.owner_id, job_id)
        return row.last_event_number, row.status in jobs.ENDED


def _number(last_event_id: str | None) -> int:
    """An event's number as a client repeats it; what is no number of ours means the beginning."""
    text = (last_event_id or "").strip()[:_NUMBER_DIGITS]
    return int(text) if text.isdecimal() else 0
