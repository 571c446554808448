"""The transactional outbox: messages are written in the transaction of their event.

They are rolled back with it, and delivered at least once after its commit. Senders and the rules of jobs are unknown
here; service.jobs calls this module.
"""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.ids import new_id
from service.database.tables import Delivery, Job, Webhook
from service.webhooks import events

_OWNER = "own_"
_WEBHOOK = "whk_"


def default_id(owner_id: str) -> str:
    """The id of an owner's default webhook, which signs for addresses in requests; an owner has at most one."""
    return _WEBHOOK + owner_id.removeprefix(_OWNER)


def enqueue(session: Session, job: Job) -> None:
    """Write the messages about a job's new status for all subscribed webhooks."""
    type_ = events.event_type(job)
    if type_ is None:
        return
    targets = [(hook.id, hook.url) for hook in _enabled(session, job.owner_id) if type_ in hook.events]
    if job.webhook is not None and type_ in job.webhook["events"]:
        targets.append((default_id(job.owner_id), job.webhook["url"]))
    if targets:
        moment = now(session)
        body = events.message(type_, events.payload(job), moment)
        session.add_all(_pending(webhook_id, url, type_, body, moment, job_id=job.id) for webhook_id, url in targets)


def enqueue_test(session: Session, webhook: Webhook, url: str) -> Delivery:
    """Write a test message."""
    body = events.message(events.TEST, {"webhook": webhook.id}, now(session))
    delivery = _pending(webhook.id, url, events.TEST, body, now(session), job_id=None)
    session.add(delivery)
    return delivery


def _enabled(session: Session, owner_id: str) -> list[Webhook]:
    """An owner's enabled webhooks, locked: a message to a webhook that is deleted meanwhile could not be written."""
    enabled = select(Webhook).where(Webhook.owner_id == owner_id, Webhook.url.is_not(None), Webhook.enabled)
    return list(session.scalars(enabled.order_by(Webhook.id).with_for_update(read=True, key_share=True)))


def _pending(
    webhook_id: str, url: str | None, type_: str, body: str, moment: datetime, *, job_id: str | None
) -> Delivery:
    return Delivery(
        id=new_id("dlv"),
        webhook_id=webhook_id,
        job_id=job_id,
        url=url,
        type=type_,
        body=body,
        status="pending",
        due_at=moment,
        created_at=moment,
    )
