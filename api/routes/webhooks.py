"""Webhooks: standing ones, their secrets and their messages. "default" is what addresses named in requests go by."""

from functools import partial
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path, Response

from api.deps import Call, CancelCaller, Cursor, Limit, ReadCaller, in_thread, now
from api.idempotency import Idempotent, Once
from api.schema_fields import Text
from api.schemas import webhooks as schemas
from service.database import tables
from service.webhooks import deliveries, endpoints

router = APIRouter(tags=["webhooks"])

MakerCaller = CancelCaller
"""Whoever may make jobs of any kind may also say who is told of them."""

WebhookId = Annotated[Text, Path(description="A webhook's id.")]
WebhookOrDefault = Annotated[
    Text, Path(description="A webhook's id, or `default` for addresses that requests name themselves.")
]
DeliveryId = Annotated[Text, Path(description="A message's id.")]


@router.post("/webhooks", status_code=HTTPStatus.CREATED)
async def create_webhook(
    call: MakerCaller, request: schemas.WebhookRequest, response: Response, once: Once
) -> schemas.WebhookAndSecret:
    """Have all jobs told of from now on. The secret is in this answer; afterwards it can only be made anew."""
    webhook_id = await once.make(partial(_create, call, request, once))
    response.headers["Cache-Control"] = "no-store"
    return await in_thread(partial(_with_secret, call, webhook_id))


@router.get("/webhooks")
def list_webhooks(call: ReadCaller, *, cursor: Cursor = None, limit: Limit = 20) -> schemas.WebhookPage:
    """Standing webhooks, newest first."""
    with call.service.database.reading() as session:
        page = endpoints.page(session, call.owner_id, cursor, limit)
        return schemas.WebhookPage(items=[_webhook(row) for row in page.items], next=page.next)


@router.get("/webhooks/default/secret")
def read_default_secret(call: MakerCaller, response: Response) -> schemas.WebhookSecret:
    """What messages to addresses named in requests are signed with."""
    response.headers["Cache-Control"] = "no-store"
    with call.service.database.writing() as session:
        return _secret(endpoints.ensure_default(session, call.owner_id, now()))


@router.get("/webhooks/{webhook_id}")
def read_webhook(call: ReadCaller, webhook_id: WebhookId) -> schemas.Webhook:
    """A standing webhook."""
    with call.service.database.reading() as session:
        return _webhook(endpoints.get(session, call.owner_id, webhook_id))


@router.patch("/webhooks/{webhook_id}")
def change_webhook(call: MakerCaller, webhook_id: WebhookId, request: schemas.WebhookChangeRequest) -> schemas.Webhook:
    """Change a standing webhook's address or events, or disable or enable it. What waits goes to the new address."""
    settings = call.service.settings
    with call.service.database.writing() as session:
        return _webhook(endpoints.change(settings, session, call.owner_id, webhook_id, request.given(), now=now()))


@router.delete("/webhooks/{webhook_id}", status_code=HTTPStatus.NO_CONTENT)
def delete_webhook(call: MakerCaller, webhook_id: WebhookId) -> None:
    """Delete a standing webhook with its messages, also those that wait."""
    with call.service.database.writing() as session:
        endpoints.delete(session, call.owner_id, webhook_id)


@router.post("/webhooks/{webhook_id}/rotate")
async def rotate_secret(
    call: MakerCaller, webhook_id: WebhookOrDefault, response: Response, once: Once
) -> schemas.WebhookSecret:
    """Make a new secret; for 24 hours messages are signed with the old one, too."""
    rotated_id = await once.make(partial(_rotate, call, webhook_id, once))
    response.headers["Cache-Control"] = "no-store"
    return await in_thread(partial(_present_secret, call, rotated_id))


@router.post("/webhooks/{webhook_id}/test", status_code=HTTPStatus.ACCEPTED)
async def test_webhook(call: MakerCaller, webhook_id: WebhookId, once: Once) -> schemas.Delivery:
    """Have a message sent that tells nothing but that it came."""
    delivery_id = await once.make(partial(_test, call, webhook_id, once))
    return await in_thread(partial(_read_delivery, call, webhook_id, delivery_id))


@router.get("/webhooks/{webhook_id}/deliveries")
def list_deliveries(
    call: ReadCaller, webhook_id: WebhookOrDefault, *, cursor: Cursor = None, limit: Limit = 20
) -> schemas.DeliveryPage:
    """Messages of the last two weeks, newest first, with what came of each."""
    with call.service.database.reading() as session:
        page = deliveries.page(session, call.owner_id, webhook_id, cursor, limit)
        return schemas.DeliveryPage(items=[_delivery(row) for row in page.items], next=page.next)


@router.post("/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", status_code=HTTPStatus.ACCEPTED)
async def redeliver(
    call: MakerCaller, webhook_id: WebhookOrDefault, delivery_id: DeliveryId, once: Once
) -> schemas.Delivery:
    """Have a message sent again, whatever became of it; its id stays."""
    again = await once.make(partial(_redeliver, call, webhook_id, delivery_id, once))
    return await in_thread(partial(_read_delivery, call, webhook_id, again))


def _create(call: Call, request: schemas.WebhookRequest, once: Idempotent) -> str:
    with call.service.database.writing() as session:
        made = endpoints.create(call.service.settings, session, call.owner_id, request.given(), now())
        return once.made(session, made.id)


def _with_secret(call: Call, webhook_id: str) -> schemas.WebhookAndSecret:
    with call.service.database.reading() as session:
        row = endpoints.get(session, call.owner_id, webhook_id)
        return schemas.WebhookAndSecret(webhook=_webhook(row), secret=row.secret)


def _rotate(call: Call, webhook_id: str, once: Idempotent) -> str:
    with call.service.database.writing() as session:
        endpoints.rotate(session, call.owner_id, webhook_id, now())
        return once.made(session, webhook_id)


def _present_secret(call: Call, webhook_id: str) -> schemas.WebhookSecret:
    with call.service.database.reading() as session:
        default = webhook_id == endpoints.DEFAULT
        find = endpoints.get_default if default else partial(endpoints.get, webhook_id=webhook_id)
        return _secret(find(session, call.owner_id))


def _test(call: Call, webhook_id: str, once: Idempotent) -> str:
    with call.service.database.writing() as session:
        return once.made(session, endpoints.test(session, call.owner_id, webhook_id, now()).id)


def _redeliver(call: Call, webhook_id: str, delivery_id: str, once: Idempotent) -> str:
    with call.service.database.writing() as session:
        return once.made(session, deliveries.redeliver(session, call.owner_id, webhook_id, delivery_id, now()).id)


def _read_delivery(call: Call, webhook_id: str, delivery_id: str) -> schemas.Delivery:
    with call.service.database.reading() as session:
        return _delivery(deliveries.get(session, call.owner_id, webhook_id, delivery_id))


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
