"""Whether the process lives, whether it can do its work, and what Prometheus wants to know."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import Open, ReadCaller, now
from api.errors import problem
from api.schemas import responses
from service import metrics
from service.errors import ObjectMissingError, UnavailableError

router = APIRouter(tags=["health"])

_RETRY_AFTER = {"Retry-After": "5"}


@router.get("/health/live")
async def read_liveness() -> responses.Live:
    """The process answers; nothing else is asked."""
    return responses.Live(status="ok")


@router.get("/health/ready", response_model=responses.Ready)
def read_readiness(parts: Open) -> responses.Ready | JSONResponse:
    """Whether what requests need is up; 503 names what is down. The broker is not asked: without it work only waits."""
    checks = {"database": parts.service.database.check, "storage": parts.service.storage.check}
    down = [name for name, check in checks.items() if not _stands(check)]
    if down:
        detail = f"Down: {', '.join(down)}."
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, UnavailableError.code, detail, _RETRY_AFTER, down=down)
    return responses.Ready(status="ok", database="up", storage="up")


@router.get("/metrics", response_class=PlainTextResponse)
def read_service_metrics(call: ReadCaller) -> Response:
    """The state of the service in Prometheus' text format."""
    with call.service.database.reading() as session:
        return Response(metrics.exposition(session, now()), media_type=CONTENT_TYPE_LATEST)


def _stands(check: Callable[[], None]) -> bool:
    try:
        check()
    except (UnavailableError, ObjectMissingError):
        return False
    return True
