"""Keys: mint, list, revoke; requires the scope admin."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.deps import AdminAccess, Cursor, KeyId, Limit
from api.schema_fields import Text
from api.schemas import keys as schemas
from service import audit, safety
from service.accounts import keys
from service.accounts.keys import NewKey
from service.database import tables

router = APIRouter(tags=["keys"])


@router.post("/keys", status_code=HTTPStatus.CREATED)
def create_key(context: AdminAccess, request: schemas.NewKeyRequest, response: Response) -> schemas.MintedKey:
    """Mint a key. Its secret is in this response and nowhere else: only a digest is stored."""
    response.headers["Cache-Control"] = "no-store"
    quotas = request.quotas.model_dump(exclude_none=True) if request.quotas else {}
    new = NewKey(
        owner=request.owner,
        name=request.name,
        scopes=request.scopes,
        expires_at=request.expires_at,
        quotas=quotas,
        safety=request.safety,
    )
    safety.check_policy(new.safety, context.service.settings.safety.checker)
    with context.service.database.writing() as session:
        key, secret = keys.mint(session, new)
        audit.record(session, context.actor, "key.minted", key.id, keys.audit_details(key))
        return schemas.MintedKey(key=_key(key), secret=secret)


@router.get("/keys")
def list_keys(
    context: AdminAccess,
    *,
    owner: Annotated[Text | None, Query(description="Only keys of this owner, by name.")] = None,
    cursor: Cursor = None,
    limit: Limit = 20,
) -> schemas.KeyPage:
    """List the keys of all owners, or of one, newest first, including expired and revoked ones."""
    with context.service.database.reading() as session:
        page = keys.page(session, cursor, limit, owner=owner)
        return schemas.KeyPage(items=[_key(row) for row in page.items], next=page.next)


@router.delete("/keys/{key_id}", status_code=HTTPStatus.NO_CONTENT)
def revoke_key(context: AdminAccess, key_id: KeyId) -> None:
    """Revoke a key for good. Its owner's data stays."""
    with context.service.database.writing() as session:
        key = keys.revoke(session, key_id)
        if session.is_modified(key):
            audit.record(session, context.actor, "key.revoked", key.id, keys.audit_details(key))


def _key(row: tables.Key) -> schemas.Key:
    return schemas.Key(
        id=row.id,
        owner=row.owner.name,
        name=row.name,
        prefix=row.prefix,
        scopes=row.scopes,
        quotas=schemas.KeyQuotas(**{name: row.quotas.get(name) for name in keys.QUOTAS}),
        safety=row.safety,
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )
