"""Health: liveness, readiness, and metrics for Prometheus."""

from collections.abc import Callable
from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import PublicAccess, ReadAccess
from api.errors import problem
from api.schemas import responses
from service import metrics
from service.errors import ObjectMissingError, UnavailableError

router = APIRouter(tags=["health"])

_RETRY_AFTER = {"Retry-After": "5"}


@router.get("/health/live")
async def read_liveness() -> responses.Live:
    """Read whether the process answers; nothing else is checked."""
    return responses.Live(status="ok")


@router.get("/health/ready", response_model=responses.Ready)
def read_readiness(components: PublicAccess) -> responses.Ready | JSONResponse:
    """Read whether database and object store are up; 503 names those that are down. The broker only delays jobs."""
    checks = {"database": components.service.database.check, "storage": components.service.storage.check}
    down = [name for name, check in checks.items() if not _is_up(check)]
    if down:
        detail = f"Down: {', '.join(down)}."
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, UnavailableError.code, detail, _RETRY_AFTER, down=down)
    return responses.Ready(status="ok", database="up", storage="up")


@router.get("/metrics", response_class=PlainTextResponse)
def read_service_metrics(context: ReadAccess) -> Response:
    """Read the metrics of the service in Prometheus' text format."""
    with context.service.database.reading() as session:
        return Response(metrics.exposition(session), media_type=CONTENT_TYPE_LATEST)


def _is_up(check: Callable[[], None]) -> bool:
    try:
        check()
    except (UnavailableError, ObjectMissingError):
        return False
    return True
