"""Usage: what an owner has used, and how much there is for them."""

from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from api.deps import Call, ReadCaller, now
from api.schema_fields import Text
from api.schemas import keys as schemas
from service.accounts import usage
from service.accounts.authentication import UNLIMITED
from service.database.tables import Owner
from service.errors import NotFoundError

router = APIRouter(tags=["keys"])


@router.get("/usage")
def read_usage(
    call: ReadCaller,
    owner: Annotated[Text | None, Query(description="Another owner's name; this takes the scope `admin`.")] = None,
) -> schemas.Usage:
    """What the caller has used; seconds are measured by the workers and arrive a few seconds later."""
    moment = now()
    if owner is not None:
        call.identity.check(["admin"])
    with call.service.database.reading() as session:
        whose = Owner.id == call.owner_id if owner is None else Owner.name == owner
        row = session.scalars(select(Owner).where(whose)).one_or_none()
        if row is None:
            raise NotFoundError("owner", str(owner))
        used = usage.used(session, row.id, moment)
    return schemas.Usage(owner=row.name, day=moment.astimezone(UTC).date(), **vars(used), limits=_limits(call))


def _limits(call: Call) -> schemas.Limits:
    settings = call.service.settings
    unfinished = settings.limits.unfinished_jobs
    return schemas.Limits(
        requests_per_minute=(settings.quotas.requests_per_minute or None) if call.identity.key_id else None,
        unfinished_jobs=None if unfinished == UNLIMITED else unfinished,
        device_s_per_day=settings.quotas.device_s_per_day or None,
        stored_bytes=settings.quotas.stored_bytes or None,
    )
