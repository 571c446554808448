"""Webhooks: endpoints, secrets, deliveries. The id "default" stands for the URLs that requests name themselves."""

from functools import partial
from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Path, Response
from sqlalchemy.orm import Session

from api.deps import CancelAccess, Cursor, Limit, ReadAccess, RequestContext, in_thread
from api.idempotency import Idempotent, IdempotentRequest
from api.schema_fields import Text
from api.schemas import webhooks as schemas
from service import audit
from service.database import tables
from service.webhooks import deliveries, endpoints

router = APIRouter(tags=["webhooks"])

JobAccess = CancelAccess
"""Any scope that makes jobs may also subscribe to them."""

WebhookId = Annotated[Text, Path(description="A webhook's id.")]
WebhookOrDefault = Annotated[
    Text, Path(description="A webhook's id, or `default` for the URLs that requests name themselves.")
]
DeliveryId = Annotated[Text, Path(description="A delivery's id.")]


@router.post("/webhooks", status_code=HTTPStatus.CREATED)
async def create_webhook(
    context: JobAccess, request: schemas.WebhookRequest, response: Response, idempotent: IdempotentRequest
) -> schemas.WebhookAndSecret:
    """Subscribe to all jobs from now on. The secret is in this response; later it can only be rotated."""
    webhook_id = await idempotent.run(partial(_create, context, request, idempotent))
    response.headers["Cache-Control"] = "no-store"
    return await in_thread(partial(_with_secret, context, webhook_id))


@router.get("/webhooks")
def list_webhooks(context: ReadAccess, *, cursor: Cursor = None, limit: Limit = 20) -> schemas.WebhookPage:
    """List webhooks, newest first."""
    with context.service.database.reading() as session:
        page = endpoints.page(session, context.owner_id, cursor, limit)
        return schemas.WebhookPage(items=[_webhook(row) for row in page.items], next=page.next)


@router.get("/webhooks/default/secret")
def read_default_secret(context: JobAccess, response: Response) -> schemas.WebhookSecret:
    """Read the secret that signs deliveries to URLs named in requests."""
    response.headers["Cache-Control"] = "no-store"
    with context.service.database.writing() as session:
        return _secret(endpoints.ensure_default(session, context.owner_id))


@router.get("/webhooks/{webhook_id}")
def read_webhook(context: ReadAccess, webhook_id: WebhookId) -> schemas.Webhook:
    """Read a webhook."""
    with context.service.database.reading() as session:
        return _webhook(endpoints.get(session, context.owner_id, webhook_id))


@router.patch("/webhooks/{webhook_id}")
def change_webhook(context: JobAccess, webhook_id: WebhookId, request: schemas.WebhookChangeRequest) -> schemas.Webhook:
    """Change a webhook's URL or events, disable or enable it. Pending deliveries go to the new URL."""
    settings = context.service.settings
    with context.service.database.writing() as session:
        row = endpoints.update(settings, session, context.owner_id, webhook_id, request.params())
        _record(context, session, "webhook.changed", row)
        return _webhook(row)


@router.delete("/webhooks/{webhook_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_webhook(context: JobAccess, webhook_id: WebhookId) -> None:
    """Delete a webhook with its deliveries, including pending ones."""
    with context.service.database.writing() as session:
        _record(context, session, "webhook.deleted", endpoints.delete(session, context.owner_id, webhook_id))


@router.post("/webhooks/{webhook_id}/rotate")
async def rotate_secret(
    context: JobAccess, webhook_id: WebhookOrDefault, response: Response, idempotent: IdempotentRequest
) -> schemas.WebhookSecret:
    """Rotate the secret; for 24 hours deliveries are also signed with the old one."""
    rotated_id = await idempotent.run(partial(_rotate, context, webhook_id, idempotent))
    response.headers["Cache-Control"] = "no-store"
    return await in_thread(partial(_present_secret, context, rotated_id))


@router.post("/webhooks/{webhook_id}/test", status_code=HTTPStatus.ACCEPTED)
async def test_webhook(context: JobAccess, webhook_id: WebhookId, idempotent: IdempotentRequest) -> schemas.Delivery:
    """Send a test event."""
    delivery_id = await idempotent.run(partial(_test, context, webhook_id, idempotent))
    return await in_thread(partial(_read_delivery, context, webhook_id, delivery_id))


@router.get("/webhooks/{webhook_id}/deliveries")
def list_deliveries(
    context: ReadAccess, webhook_id: WebhookOrDefault, *, cursor: Cursor = None, limit: Limit = 20
) -> schemas.DeliveryPage:
    """List the deliveries of the last two weeks, newest first, with the result of each."""
    with context.service.database.reading() as session:
        page = deliveries.page(session, context.owner_id, webhook_id, cursor, limit)
        return schemas.DeliveryPage(items=[_delivery(row) for row in page.items], next=page.next)


@router.post("/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=HTTPStatus.ACCEPTED)
async def redeliver(
    context: JobAccess, webhook_id: WebhookOrDefault, delivery_id: DeliveryId, idempotent: IdempotentRequest
) -> schemas.Delivery:
    """Send a delivery again, whatever its status; its id stays."""
    redelivered_id = await idempotent.run(partial(_redeliver, context, webhook_id, delivery_id, idempotent))
    return await in_thread(partial(_read_delivery, context, webhook_id, redelivered_id))


def _create(context: RequestContext, request: schemas.WebhookRequest, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        webhook = endpoints.create(context.service.settings, session, context.owner_id, request.params())
        _record(context, session, "webhook.created", webhook)
        return idempotent.commit(session, webhook.id)


def _with_secret(context: RequestContext, webhook_id: str) -> schemas.WebhookAndSecret:
    with context.service.database.reading() as session:
        row = endpoints.get(session, context.owner_id, webhook_id)
        return schemas.WebhookAndSecret(webhook=_webhook(row), secret=row.secret)


def _rotate(context: RequestContext, webhook_id: str, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        webhook = endpoints.rotate(session, context.owner_id, webhook_id)
        _record(context, session, "webhook.secret_rotated", webhook)
        return idempotent.commit(session, webhook_id)


def _present_secret(context: RequestContext, webhook_id: str) -> schemas.WebhookSecret:
    with context.service.database.reading() as session:
        default = webhook_id == endpoints.DEFAULT
        find = endpoints.get_default if default else partial(endpoints.get, webhook_id=webhook_id)
        return _secret(find(session, context.owner_id))


def _test(context: RequestContext, webhook_id: str, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        return idempotent.commit(session, endpoints.send_test(session, context.owner_id, webhook_id).id)


def _redeliver(context: RequestContext, webhook_id: str, delivery_id: str, idempotent: Idempotent) -> str:
    with context.service.database.writing() as session:
        return idempotent.commit(session, deliveries.redeliver(session, context.owner_id, webhook_id, delivery_id).id)


def _read_delivery(context: RequestContext, webhook_id: str, delivery_id: str) -> schemas.Delivery:
    with context.service.database.reading() as session:
        return _delivery(deliveries.get(session, context.owner_id, webhook_id, delivery_id))


def _record(context: RequestContext, session: Session, action: tables.AuditAction, row: tables.Webhook) -> None:
    details = {"host": urlsplit(row.url or "").hostname, "events": row.events, "enabled": row.enabled}
    audit.record(session, context.actor, action, row.id, details)


def _webhook(row: tables.Webhook) -> schemas.Webhook:
    return schemas.Webhook(
        id=row.id,
        url=row.url or "",
        events=row.events,
        enabled=row.enabled,
        disabled_reason=row.disabled_reason,
        failing_since=row.failing_since,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _secret(row: tables.Webhook) -> schemas.WebhookSecret:
    return schemas.WebhookSecret(secret=row.secret, old_secret_until=row.old_secret_until)


def _delivery(row: tables.Delivery) -> schemas.Delivery:
    return schemas.Delivery(
        id=row.id,
        type=row.type,
        job=row.job_id,
        url=row.url,
        status=row.status,
        attempts=row.attempts,
        next_attempt_at=row.due_at,
        attempted_at=row.attempted_at,
        delivered_at=row.delivered_at,
        response_status=row.response_status,
        response=row.response,
        error=row.error,
        created_at=row.created_at,
    )
