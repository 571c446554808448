"""The audit log; requires the scope admin."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import AdminAccess, Cursor, Limit
from api.schema_fields import Text
from api.schemas import audit as schemas
from service import audit
from service.database.tables import AuditAction

router = APIRouter(tags=["audit"])


@router.get("/audit")
def list_audit_entries(
    context: AdminAccess,
    *,
    owner: Annotated[Text | None, Query(description="Only acts of this owner, by name.")] = None,
    action: Annotated[AuditAction | None, Query(description="Only acts of this kind.")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> schemas.AuditPage:
    """List the audit log, newest first: keys, webhooks, deletions and retention, with their callers."""
    filters = audit.Filters(owner=owner, action=action)
    with context.service.database.reading() as session:
        page = audit.page(session, filters, cursor, limit)
        names = audit.owner_names(session, {row.owner_id for row in page.items})
        items = [
            schemas.AuditEntry(
                id=row.id,
                action=row.action,
                subject=row.subject,
                details=row.details,
                owner=names[row.owner_id],
                key=row.key_id,
                request_id=row.request_id,
                created_at=row.created_at,
            )
            for row in page.items
        ]
    return schemas.AuditPage(items=items, next=page.next)
