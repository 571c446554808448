"""`dti keys`: mint, list and revoke keys directly in the database, so that the first key needs no other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, cast

import typer
from sqlalchemy import inspect

from service import audit
from service.accounts import keys
from service.accounts.keys import NewKey, Scope
from service.audit import Actor
from service.database.clock import now
from service.database.engine import Database
from service.database.tables import Key
from service.errors import SettingsError
from service.safety import Policy, check_policy
from service.settings import Settings
from stack.serve import embedded_environment

_PAGE = 100
_QUOTA_HELP = "Quota of this key; 0 for no limit."

app = typer.Typer(help="Manage API keys in the database.", no_args_is_help=True)


@app.command()
def mint(
    *,
    owner: Annotated[str, typer.Option(help="Name of the key's owner; an unknown owner is created.")] = "local",
    name: Annotated[str, typer.Option(help="Name of the key.")] = "command line",
    scopes: Annotated[
        str, typer.Option(help=f"Scopes, separated by commas: {', '.join(keys.SCOPES)} (which includes all).")
    ] = "read,train,generate",
    expires_days: Annotated[int | None, typer.Option(min=1, help="Days until it expires; default: never.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=0, help=_QUOTA_HELP)] = None,
    unfinished_jobs: Annotated[int | None, typer.Option(min=0, help=_QUOTA_HELP)] = None,
    device_s_per_day: Annotated[int | None, typer.Option(min=0, help=_QUOTA_HELP)] = None,
    stored_bytes: Annotated[int | None, typer.Option(min=0, help=_QUOTA_HELP)] = None,
    safety: Annotated[Policy | None, typer.Option(help="Policy for flagged pictures; default: the service's.")] = None,
) -> None:
    """Mint a key and print its secret, once, alone on standard output."""
    quotas = (requests_per_minute, unfinished_jobs, device_s_per_day, stored_bytes)
    check_policy(safety, Settings.from_environment(os.environ).safety.checker)
    with _database() as database, database.writing() as session:
        new = NewKey(
            owner=owner,
            name=name,
            scopes=[cast("Scope", scope.strip()) for scope in scopes.split(",") if scope.strip()],
            expires_at=now(session) + timedelta(days=expires_days) if expires_days else None,
            quotas={quota: limit for quota, limit in zip(keys.QUOTAS, quotas, strict=True) if limit is not None},
            safety=safety,
        )
        key, secret = keys.mint(session, new)
        audit.record(session, Actor(), "key.minted", key.id, keys.audit_details(key))
    typer.echo(f"{key.id} of {key.owner.name}: {', '.join(key.scopes)}. Its secret is shown only once:", err=True)
    typer.echo(secret)


@app.command(name="list")
def list_keys(owner: Annotated[str | None, typer.Option(help="Only keys of this owner.")] = None) -> None:
    """List keys, newest first."""
    with _database() as database, database.reading() as session:
        cursor = None
        while True:
            page = keys.page(session, cursor, _PAGE, owner=owner)
            for key in page.items:
                typer.echo(_row(key))
            cursor = page.next
            if cursor is None:
                return


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, key_….")]) -> None:
    """Revoke a key for good."""
    with _database() as database, database.writing() as session:
        key = keys.revoke(session, key_id)
        if session.is_modified(key):
            audit.record(session, Actor(), "key.revoked", key.id, keys.audit_details(key))
    typer.echo(f"{key.id} of {key.owner.name} is revoked.")


@contextmanager
def _database() -> Iterator[Database]:
    settings = Settings.from_environment(embedded_environment(os.environ))
    database = Database(settings.database_address)
    try:
        with database.reading() as session:
            migrated = inspect(session.connection()).has_table(Key.__tablename__)
        if not migrated:
            raise SettingsError("The database has no tables for keys yet. Run `dti migrate` or `dti serve` first.")
        yield database
    finally:
        database.close()


def _row(key: Key) -> str:
    expiry = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else _expiry(key)
    used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
    return "  ".join([key.id, f"{key.prefix}…", key.owner.name, key.name, ",".join(key.scopes), used, expiry])


def _expiry(key: Key) -> str:
    return f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at else "never expires"
