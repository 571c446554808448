"""Health: liveness, readiness, and metrics for Prometheus."""

from http import HTTPStatus

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import MetricsAccess, PublicAccess
from api.errors import problem
from api.schemas import responses
from service import health, metrics
from service.errors import UnavailableError

router = APIRouter(tags=["health"])

_RETRY_AFTER = {"Retry-After": "5"}


@router.get("/health/live")
async def read_liveness() -> responses.Live:
    """Read whether the process answers; nothing else is checked."""
    return responses.Live(status="ok")


@router.get("/health/ready", response_model=responses.Ready)
def read_readiness(components: PublicAccess) -> responses.Ready | JSONResponse:
    """Read whether requests can be answered, and whether jobs are worked on.

    503 names the parts that are down: database, its schema, object store; `draining` before the process stops. Without
    maintenance or workers requests are answered, and jobs wait; the broker only delays them.
    """
    found = health.readiness(components.service, draining=components.drain.started)
    if found.down:
        detail = f"Down: {', '.join(found.down)}."
        return problem(
            HTTPStatus.SERVICE_UNAVAILABLE, UnavailableError.code, detail, _RETRY_AFTER, down=list(found.down)
        )
    if found.revision is None or found.maintenance is None:
        raise AssertionError("A ready process has read the database.")
    return responses.Ready(
        status="ok",
        database="up",
        storage="up",
        schema_revision=found.revision,
        maintenance=found.maintenance,
        workers=dict(found.workers),
    )


@router.get("/metrics", response_class=PlainTextResponse)
def read_process_metrics(context: MetricsAccess) -> Response:
    """Read the metrics of this API process in Prometheus' text format: requests, refusals, uploads, waits for RPCs."""
    return Response(context.metrics.exposition(), media_type=CONTENT_TYPE_LATEST)


@router.get("/metrics/service", response_class=PlainTextResponse)
def read_service_metrics(context: MetricsAccess) -> Response:
    """Read the metrics of the whole service in Prometheus' text format; they are the same in every API process."""
    with context.service.database.reading() as session:
        text = metrics.exposition(session, context.service.catalogue)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
