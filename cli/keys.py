"""`dti keys`: mints, lists and revokes keys in the database itself, so that the first one needs no other.

What a key is, and what may be said of one, stands in service.accounts.keys.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Annotated, cast

import typer
from sqlalchemy import inspect

from service.accounts import keys
from service.accounts.keys import NewKey, Scope
from service.database.engine import Database
from service.database.tables import Key
from service.errors import SettingsError
from service.safety import Policy, check_policy
from service.settings import Settings
from stack.serve import embedded_environment

_PAGE = 100
_BOUND = "Bound of this key's own; 0 for none."

app = typer.Typer(help="Keys: who may call the service, and what with.", no_args_is_help=True)


@app.command()
def mint(
    *,
    owner: Annotated[str, typer.Option(help="Whom the key speaks for; made where nobody is called so.")] = "local",
    name: Annotated[str, typer.Option(help="What people call the key.")] = "command line",
    scopes: Annotated[
        str, typer.Option(help=f"What it allows, by commas: {', '.join(keys.SCOPES)} (which allows everything).")
    ] = "read,train,generate",
    expires_days: Annotated[int | None, typer.Option(min=1, help="Days until it ends; never where not said.")] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=0, help=_BOUND)] = None,
    unfinished_jobs: Annotated[int | None, typer.Option(min=0, help=_BOUND)] = None,
    device_s_per_day: Annotated[int | None, typer.Option(min=0, help=_BOUND)] = None,
    stored_bytes: Annotated[int | None, typer.Option(min=0, help=_BOUND)] = None,
    safety: Annotated[Policy | None, typer.Option(help="What is done about this key's flagged pictures.")] = None,
) -> None:
    """Mint a key. Its secret is printed, alone on standard output, this once."""
    bounds = (requests_per_minute, unfinished_jobs, device_s_per_day, stored_bytes)
    check_policy(safety, Settings.from_environment(os.environ).safety.checker)
    with _database() as database, database.writing() as session:
        new = NewKey(
            owner=owner,
            name=name,
            scopes=[cast("Scope", scope.strip()) for scope in scopes.split(",") if scope.strip()],
            expires_at=database.clock() + timedelta(days=expires_days) if expires_days else None,
            quotas={quota: bound for quota, bound in zip(keys.QUOTAS, bounds, strict=True) if bound is not None},
            safety=safety,
        )
        key, secret = keys.mint(session, new)
    typer.echo(f"{key.id} of {key.owner.name}: {', '.join(key.scopes)}. This is shown once:", err=True)
    typer.echo(secret)


@app.command(name="list")
def list_keys(owner: Annotated[str | None, typer.Option(help="Of this owner alone.")] = None) -> None:
    """List keys, newest first."""
    with _database() as database, database.reading() as session:
        cursor = None
        while True:
            page = keys.page(session, cursor, _PAGE, owner=owner)
            for key in page.items:
                typer.echo(_line(key))
            cursor = page.next
            if cursor is None:
                return


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(help="The key's id, key_….")]) -> None:
    """Take a key back for good."""
    with _database() as database, database.writing() as session:
        key = keys.revoke(session, key_id)
    typer.echo(f"{key.id} of {key.owner.name} opens nothing any more.")


@contextmanager
def _database() -> Iterator[Database]:
    settings = Settings.from_environment(embedded_environment(os.environ))
    database = Database(settings.database_address)
    try:
        if not inspect(database.engine).has_table(Key.__tablename__):
            raise SettingsError("The database has no tables for keys yet. Run `dti migrate` or `dti serve` first.")
        yield database
    finally:
        database.close()


def _line(key: Key) -> str:
    ends = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else _expiry(key)
    used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
    return "  ".join([key.id, f"{key.prefix}…", key.owner.name, key.name, ",".join(key.scopes), used, ends])


def _expiry(key: Key) -> str:
    return f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at else "never expires"
