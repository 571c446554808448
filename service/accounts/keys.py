"""Keys: minted for an owner, listed, revoked. Only the digest of a secret is stored; the secret is shown once.

Keys are verified in service.accounts.authentication.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, get_args

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.accounts.key_format import digest, new_secret, visible_prefix
from service.database.clock import now
from service.database.ids import new_id
from service.database.paging import Page, keyset
from service.database.tables import Key, Owner
from service.errors import InvalidInputError, NotFoundError
from service.safety import Policy

Scope = Literal["read", "train", "generate", "metrics", "admin"]
"""Permission to read, to train concepts, to generate images, to scrape metrics, or, as admin, for everything."""

SCOPES: tuple[Scope, ...] = get_args(Scope)

QUOTAS = ("requests_per_minute", "unfinished_jobs", "device_s_per_day", "stored_bytes")
"""The quotas that a key can override."""

_NAME_CHARACTERS = 100

_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
"""Latest expiry; closer to the end of the calendar, some time zones could not represent it."""


@dataclass(frozen=True, kw_only=True)
class NewKey:
    """A key to mint.

    Args:
        owner: name of its owner.
        name: a label.
        quotas: overrides, by the names in QUOTAS.
        safety: overrides the service's policy; None keeps it.
    """

    owner: str
    name: str
    scopes: Collection[Scope]
    expires_at: datetime | None = None
    quotas: Mapping[str, int] = field(default_factory=dict)
    safety: Policy | None = None


def mint(session: Session, new: NewKey) -> tuple[Key, str]:
    """Create a key, and its owner if the name is new.

    Returns:
        The key and its secret, which cannot be read again.

    Raises:
        InvalidInputError: a field is invalid.
    """
    _check_expiry(new.expires_at, now(session))
    secret = new_secret()
    key = Key(
        id=new_id("key"),
        owner=get_or_create_owner(session, _check_name("owner", new.owner)),
        name=_check_name("name", new.name),
        prefix=visible_prefix(secret),
        digest=digest(secret),
        scopes=_check_scopes(new.scopes),
        quotas=_check_quotas(new.quotas),
        safety=new.safety,
        created_at=now(session),
        expires_at=new.expires_at,
    )
    session.add(key)
    session.flush()
    return key, secret


def page(session: Session, cursor: str | None, limit: int, *, owner: str | None = None) -> Page[Key]:
    """Keys, newest first, revoked ones included; of one owner, if a name is given.

    Raises:
        InvalidInputError: the cursor is invalid.
    """
    query = select(Key)
    if owner is not None:
        query = query.join(Owner, Owner.id == Key.owner_id).where(Owner.name == owner)
    return keyset(session, query, Key.id, "key", cursor=cursor, limit=limit)


def revoke(session: Session, key_id: str) -> Key:
    """Revoke a key for good; repeated calls change nothing.

    Raises:
        NotFoundError: there is no such key.
    """
    key = session.get(Key, key_id)
    if key is None:
        raise NotFoundError("key", key_id)
    key.revoked_at = key.revoked_at or now(session)
    return key


def audit_details(key: Key) -> dict[str, object]:
    """A key in the audit log."""
    return {"owner": key.owner.name, "name": key.name, "scopes": key.scopes}


def get_or_create_owner(session: Session, name: str) -> Owner:
    """The owner of that name, created if it is missing; concurrent calls get the same one."""
    insert = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert
    made = insert(Owner).values(id=new_id("own"), name=name, created_at=now(session))
    session.execute(made.on_conflict_do_nothing(index_elements=["name"]))
    return session.scalars(select(Owner).where(Owner.name == name)).one()


def _check_name(field_name: str, given: str) -> str:
    name = given.strip()
    if not name.isprintable() or not 1 <= len(name) <= _NAME_CHARACTERS:
        raise InvalidInputError(
            field_name, f"{given!r} cannot be a name: 1 to {_NAME_CHARACTERS} printable characters."
        )
    return name


def _check_scopes(given: Collection[str]) -> list[str]:
    unknown = sorted(set(given) - set(SCOPES))
    if unknown or not given:
        raise InvalidInputError(
            "scopes", f"{', '.join(unknown) or 'None'} cannot be scopes. Choose from: {', '.join(SCOPES)}."
        )
    return [scope for scope in SCOPES if scope in given]


def _check_expiry(expires_at: datetime | None, moment: datetime) -> None:
    if expires_at is not None and not moment < expires_at < _LATEST:
        raise InvalidInputError("expires_at", f"{expires_at.isoformat()} is in the past, or after the year 9998.")


def _check_quotas(given: Mapping[str, int]) -> dict[str, int]:
    for name, bound in given.items():
        if name not in QUOTAS or bound < 0:
            raise InvalidInputError(
                f"quotas.{name}", f"{bound} is invalid. Set {', '.join(QUOTAS)} to at least 0; 0 is unlimited."
            )
    return dict(given)
