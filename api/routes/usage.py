"""Usage: an owner's consumption and limits."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy import select

from api.deps import ReadAccess, RequestContext
from api.schema_fields import Text
from api.schemas import keys as schemas
from service.accounts import usage
from service.accounts.authentication import UNLIMITED
from service.database.tables import Owner
from service.errors import NotFoundError

router = APIRouter(tags=["keys"])


@router.get("/usage")
def read_usage(
    context: ReadAccess,
    owner: Annotated[Text | None, Query(description="Another owner's name; requires the scope `admin`.")] = None,
) -> schemas.Usage:
    """Read the caller's usage; device seconds are measured by the workers and arrive a few seconds late."""
    if owner is not None:
        context.identity.check(["admin"])
    with context.service.database.reading() as session:
        condition = Owner.id == context.owner_id if owner is None else Owner.name == owner
        row = session.scalars(select(Owner).where(condition)).one_or_none()
        if row is None:
            raise NotFoundError("owner", str(owner))
        used, day = usage.summary(session, row.id), usage.today(session)
    return schemas.Usage(owner=row.name, day=day, **vars(used), limits=_limits(context))


def _limits(context: RequestContext) -> schemas.Limits:
    settings = context.service.settings
    unfinished = settings.limits.unfinished_jobs
    return schemas.Limits(
        requests_per_minute=(settings.quotas.requests_per_minute or None) if context.identity.key_id else None,
        unfinished_jobs=None if unfinished == UNLIMITED else unfinished,
        device_s_per_day=settings.quotas.device_s_per_day or None,
        stored_bytes=settings.quotas.stored_bytes or None,
    )
