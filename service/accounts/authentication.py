"""Authentication: the identity of a caller by its key, and the permissions of that key."""

import hmac
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session

from service.accounts.key_format import digest, is_well_formed
from service.accounts.keys import SCOPES, Scope
from service.database.clock import now
from service.database.engine import Database
from service.database.tables import LOCAL_OWNER_ID, Key
from service.errors import (
    DatabaseUnavailableError,
    KeyExpiredError,
    KeyMalformedError,
    KeyMissingError,
    KeyRevokedError,
    KeyUnknownError,
    ScopeMissingError,
    SettingsError,
)
from service.safety import Policy
from service.settings import Settings

LAST_USED_PRECISION = timedelta(minutes=1)
"""Precision of the last use of a key."""

UNLIMITED = sys.maxsize
"""More unfinished jobs than an owner ever has."""

ADMIN_KEY_CHARACTERS = 32
"""Least length of an admin key from the environment; random ones of that length cannot be guessed."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """An authenticated caller.

    Args:
        owner_id: the owner of its key.
        scopes: the permissions of its key.
        key_id: None without a key in the table.
        quotas: quotas of the key that override the service's.
        safety: policy of the key that overrides the service's.
    """

    owner_id: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    quotas: Mapping[str, int] = field(default_factory=dict)
    safety: Policy | None = None

    def check(self, scopes: Sequence[str]) -> None:
        """Check that the caller has one of the scopes.

        Raises:
            ScopeMissingError: it has none of them.
        """
        if self.scopes.isdisjoint(scopes) and "admin" not in self.scopes:
            raise ScopeMissingError(scopes)

    def effective_settings(self, settings: Settings) -> Settings:
        """The settings that apply to the caller: the service's, with the key's own quotas and policy."""
        if self.safety is not None:
            settings = replace(settings, safety=replace(settings.safety, policy=self.safety))
        if not self.quotas:
            return settings
        own = dict(self.quotas)
        unfinished = own.pop("unfinished_jobs", settings.limits.unfinished_jobs) or UNLIMITED
        limits = replace(settings.limits, unfinished_jobs=unfinished)
        return replace(settings, limits=limits, quotas=replace(settings.quotas, **own))


LOCAL = Identity(owner_id=LOCAL_OWNER_ID, scopes=frozenset(SCOPES))
"""The identity of all callers where no key is required."""


class Authenticator:
    """Authenticates callers by their keys.

    Args:
        database: holds the keys.
        settings: may contain an admin key, which is not in the database.

    Raises:
        SettingsError: the admin key is invalid.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._admin_digest = _admin_digest(settings)

    def identify(self, secret: str | None) -> Identity:
        """The identity of a caller by its key.

        Raises:
            KeyMissingError: there is no key.
            UnauthenticatedError: the key is invalid, expired or revoked.
            DatabaseUnavailableError: the key cannot be looked up.
        """
        if not secret:
            raise KeyMissingError
        if self._admin_digest is not None and hmac.compare_digest(digest(secret), self._admin_digest):
            return LOCAL
        if not is_well_formed(secret):
            raise KeyMalformedError
        with self._database.reading() as session:
            key = _valid(session, secret)
            # Within the transaction: the clock of a closed session would take a second connection.
            stale = key.last_used_at is None or now(session) - key.last_used_at >= LAST_USED_PRECISION
        if stale:
            # A busy database is no reason to refuse a valid key; the next request records the use.
            with suppress(DatabaseUnavailableError), self._database.writing() as session:
                _note_use(session, key.id)
        return Identity(
            owner_id=key.owner_id,
            scopes=frozenset(key.scopes),
            key_id=key.id,
            quotas=key.quotas,
            safety=key.safety,
        )


def _valid(session: Session, secret: str) -> Key:
    key = session.scalars(select(Key).where(Key.digest == digest(secret))).one_or_none()
    if key is None:
        raise KeyUnknownError
    if key.revoked_at is not None:
        raise KeyRevokedError
    if key.expires_at is not None and key.expires_at <= now(session):
        raise KeyExpiredError
    return key


def _note_use(session: Session, key_id: str) -> None:
    """Record the use of a key, unless another request has done so meanwhile."""
    stale = or_(Key.last_used_at.is_(None), Key.last_used_at <= now(session) - LAST_USED_PRECISION)
    session.execute(update(Key).where(Key.id == key_id, stale).values(last_used_at=now(session)))


def _admin_digest(settings: Settings) -> str | None:
    key = settings.admin_key
    if key is None:
        return None
    if len(key) < ADMIN_KEY_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            f"DTI_ADMIN_KEY has to have at least {ADMIN_KEY_CHARACTERS} characters that are allowed in a header. "
            "`openssl rand -hex 32` makes one."
        )
    return digest(key)
