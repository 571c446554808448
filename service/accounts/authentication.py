"""The door: who calls, by the key that they show, and what that key allows. Mints nothing."""

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
"""How exactly it is kept when a key was used last."""

UNLIMITED = sys.maxsize
"""More unfinished jobs than anybody has."""

ADMIN_KEY_CHARACTERS = 32
"""That an admin key from outside has at least; random ones of that length cannot be guessed."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Somebody who may come in.

    Args:
        owner_id: whom they speak for.
        scopes: what they may do.
        key_id: the key that they showed; None where it is not one of the table.
        quotas: bounds that hold for this key instead of the service's own.
        safety: the policy that does.
    """

    owner_id: str
    scopes: frozenset[Scope]
    key_id: str | None = None
    quotas: Mapping[str, int] = field(default_factory=dict)
    safety: Policy | None = None

    def check(self, scopes: Sequence[str]) -> None:
        """See that they may do what any one of some scopes allows.

        Raises:
            ScopeMissingError: they may not.
        """
        if self.scopes.isdisjoint(scopes) and "admin" not in self.scopes:
            raise ScopeMissingError(scopes)

    def effective_settings(self, settings: Settings) -> Settings:
        """The settings that hold for them."""
        if self.safety is not None:
            settings = replace(settings, safety=replace(settings.safety, policy=self.safety))
        if not self.quotas:
            return settings
        own = dict(self.quotas)
        unfinished = own.pop("unfinished_jobs", settings.limits.unfinished_jobs) or UNLIMITED
        limits = replace(settings.limits, unfinished_jobs=unfinished)
        return replace(settings, limits=limits, quotas=replace(settings.quotas, **own))


LOCAL = Identity(owner_id=LOCAL_OWNER_ID, scopes=frozenset(SCOPES))
"""Everybody, where nobody needs a key."""


class Authenticator:
    """Looks at keys.

    Args:
        database: where they are.
        settings: may name an admin key that is not there.

    Raises:
        SettingsError: the admin key cannot be used.
    """

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._admin_digest = _admin_digest(settings)

    def identify(self, secret: str | None) -> Identity:
        """Who shows this key.

        Raises:
            KeyMissingError: nobody shows one.
            UnauthenticatedError: it opens nothing.
            DatabaseUnavailableError: nobody can tell.
        """
        if not secret:
            raise KeyMissingError
        if self._admin_digest is not None and hmac.compare_digest(digest(secret), self._admin_digest):
            return LOCAL
        if not is_well_formed(secret):
            raise KeyMalformedError
        with self._database.reading() as session:
            key = _valid(session, secret)
        if key.last_used_at is None or now(session) - key.last_used_at >= LAST_USED_PRECISION:
            # Where somebody else writes for too long it is noted next time: nobody is refused for it.
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
    """Only where nobody else has done so meanwhile."""
    stale = or_(Key.last_used_at.is_(None), Key.last_used_at <= now(session) - LAST_USED_PRECISION)
    session.execute(update(Key).where(Key.id == key_id, stale).values(last_used_at=now(session)))


def _admin_digest(settings: Settings) -> str | None:
    key = _admin_key(settings)
    if key is None:
        return None
    if len(key) < ADMIN_KEY_CHARACTERS or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError(
            f"DTI_ADMIN_KEY has to have at least {ADMIN_KEY_CHARACTERS} characters that can stand in a header. "
            "`openssl rand -hex 32` makes one."
        )
    return digest(key)


def _admin_key(settings: Settings) -> str | None:
    if settings.admin_key_file is None:
        return settings.admin_key
    if settings.admin_key is not None:
        raise SettingsError("DTI_ADMIN_KEY and DTI_ADMIN_KEY_FILE are both set. Set one of them.")
    try:
        return settings.admin_key_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"DTI_ADMIN_KEY_FILE, {settings.admin_key_file}, cannot be read.") from error
