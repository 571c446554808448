"""`dti doctor`: diagnostics of ports, binaries, disk, stores and catalogue. It changes nothing and starts nothing.

The device is checked by the command line, which may import torch.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.catalogue.models import Catalogue
from service.database import schema
from service.database.clock import MAX_SKEW_S, skew_s
from service.database.engine import Database
from service.errors import ServiceError
from service.settings import Settings
from service.storage import ObjectStore
from stack import stores
from stack.home import Home
from stack.processes import port_is_free
from stack.stores import BinaryMissingError

MIN_FREE_DISK_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Args:
        about: the subject.
        status: `error`: the service cannot run like this.
        message: the finding and, for an error, the remedy.
    """

    about: str
    status: Literal["ok", "note", "error"]
    message: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Run all checks that the settings need, in order."""
    home = Home(settings.home)
    yield _port(settings, home)
    yield _disk(home)
    yield _configured("database", settings.database_url, lambda: _check_database(settings)) or Finding(
        "database", "ok", f"dti serve keeps an SQLite file in {home.folder}."
    )
    yield _configured("broker", settings.broker_url, lambda: _check_broker(settings)) or _binary(
        "broker", stores.valkey_binary
    )
    yield _configured("storage", settings.s3_endpoint, lambda: _check_storage(settings)) or _binary(
        "storage", stores.rclone_binary
    )
    yield _catalogue(settings)


def _port(settings: Settings, home: Home) -> Finding:
    address = f"Port {settings.port} on {settings.host}"
    holder = home.holder()
    if holder is not None:
        return Finding(
            "port",
            "note",
            f"{home.folder} is being served by {holder}, so port {settings.port} may be in use.",
        )
    if not port_is_free(settings.port, settings.host):
        return Finding("port", "error", f"{address} is in use by another program. Set DTI_PORT to another port.")
    return Finding("port", "ok", f"{address} is free.")


def _disk(home: Home) -> Finding:
    folder = next(folder for folder in (home.folder, *home.folder.parents) if folder.exists())
    if not os.access(folder, os.W_OK):
        return Finding("disk", "error", f"{folder} cannot be written to. Set DTI_HOME to a writable folder.")
    free = shutil.disk_usage(folder).free
    if free < MIN_FREE_DISK_BYTES:
        return Finding(
            "disk", "error", f"Only {free / 1e9:.1f} GB are free at {folder}. Delete files, or set DTI_HOME."
        )
    return Finding("disk", "ok", f"{free / 1e9:.0f} GB are free at {folder}.")


def _binary(about: str, find: Callable[[], str]) -> Finding:
    try:
        return Finding(about, "ok", f"dti serve starts {find()}.")
    except BinaryMissingError as error:
        return Finding(about, "error", str(error))


def _configured(about: str, address: str | None, check: Callable[[], object]) -> Finding | None:
    """The check of a configured address; None without one."""
    if address is None:
        return None
    public_address = _without_password(address)
    try:
        check()
    except (ServiceError, redis.RedisError, ValueError) as error:
        return Finding(about, "error", f"{public_address} does not work: {error}")
    return Finding(about, "ok", f"{public_address} answers.")


def _check_database(settings: Settings) -> None:
    database = Database(settings.database_address)
    try:
        with database.reading() as session:
            schema.check(session)
            _check_clock(skew_s(session))
    finally:
        database.close()


def _check_clock(ahead_s: float) -> None:
    if abs(ahead_s) > MAX_SKEW_S:
        direction = "ahead of" if ahead_s > 0 else "behind"
        raise ValueError(
            f"This machine's clock is {abs(ahead_s):.0f} s {direction} the database's. Synchronise them, with NTP."
        )


def _check_broker(settings: Settings) -> None:
    no_retries = Retry(NoBackoff(), retries=0)
    address = str(settings.broker_url)
    with redis.Redis.from_url(address, socket_connect_timeout=2, socket_timeout=2, retry=no_retries) as client:
        client.ping()


def _check_storage(settings: Settings) -> None:
    """A missing bucket is not an error: the migration creates it."""
    object_store = ObjectStore(settings)
    try:
        object_store.exists("doctor")
    finally:
        object_store.close()


def _catalogue(settings: Settings) -> Finding:
    try:
        names = list(Catalogue.load(settings.models))
    except ServiceError as error:
        return Finding("models", "error", str(error))
    return Finding("models", "ok", f"Models in the catalogue: {', '.join(names)}.")


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return address.replace(f":{parts.password}@", ":…@") if parts.password else address
