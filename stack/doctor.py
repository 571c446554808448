"""`dti doctor`: what is right and wrong with a machine, in sentences. It changes nothing and starts nothing.

It looks at ports, binaries, disk and stores; the device is looked at by whoever may import torch.
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
from service.database.engine import Database
from service.errors import ServiceError
from service.settings import Settings
from service.storage import ObjectStore
from stack import stores
from stack.home import Home
from stack.processes import port_is_free
from stack.stores import BinaryMissingError

DISK_NEEDED_BYTES = 2_000_000_000


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        about: what was looked at.
        verdict: `wrong` means that the service will not run like this.
        sentence: what was seen and, where it is wrong, what to do.
    """

    about: str
    verdict: Literal["good", "note", "wrong"]
    sentence: str


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at everything that the settings need, one after the other."""
    home = Home(settings.home)
    yield _port(settings, home)
    yield _disk(home)
    yield _given("database", settings.database_url, lambda: _ask_database(settings)) or Finding(
        "database", "good", f"dti serve keeps an SQLite file in {home.folder}."
    )
    yield _given("broker", settings.broker_url, lambda: _ask_broker(settings)) or _binary(
        "broker", stores.valkey_binary
    )
    yield _given("storage", settings.s3_endpoint, lambda: _ask_storage(settings)) or _binary(
        "storage", stores.rclone_binary
    )
    yield _catalogue(settings)


def _port(settings: Settings, home: Home) -> Finding:
    where = f"Port {settings.port} on {settings.host}"
    holder = home.holder()
    if holder is not None:
        return Finding(
            "port",
            "note",
            f"{home.folder} is being served by {holder}, so that port {settings.port} may well be taken.",
        )
    if not port_is_free(settings.port, settings.host):
        return Finding("port", "wrong", f"{where} is taken by another program. Set DTI_PORT to another port.")
    return Finding("port", "good", f"{where} is free.")


def _disk(home: Home) -> Finding:
    folder = next(folder for folder in (home.folder, *home.folder.parents) if folder.exists())
    if not os.access(folder, os.W_OK):
        return Finding("disk", "wrong", f"{folder} cannot be written to. Set DTI_HOME to a folder of your own.")
    free = shutil.disk_usage(folder).free
    if free < DISK_NEEDED_BYTES:
        return Finding("disk", "wrong", f"Only {free / 1e9:.1f} GB are free at {folder}. Make room, or set DTI_HOME.")
    return Finding("disk", "good", f"{free / 1e9:.0f} GB are free at {folder}.")


def _binary(about: str, find: Callable[[], str]) -> Finding:
    try:
        return Finding(about, "good", f"dti serve starts {find()}.")
    except BinaryMissingError as error:
        return Finding(about, "wrong", str(error))


def _given(about: str, address: str | None, ask: Callable[[], object]) -> Finding | None:
    """What a given address answers; None where none is given."""
    if address is None:
        return None
    shown = _without_password(address)
    try:
        ask()
    except (ServiceError, redis.RedisError, ValueError) as error:
        return Finding(about, "wrong", f"{shown} does not work: {error}")
    return Finding(about, "good", f"{shown} answers.")


def _ask_database(settings: Settings) -> None:
    database = Database(settings.database_address)
    try:
        database.check()
    finally:
        database.close()


def _ask_broker(settings: Settings) -> None:
    once = Retry(NoBackoff(), retries=0)
    address = str(settings.broker_url)
    with redis.Redis.from_url(address, socket_connect_timeout=2, socket_timeout=2, retry=once) as client:
        client.ping()


def _ask_storage(settings: Settings) -> None:
    """A bucket that is missing is no trouble: the migration makes it."""
    objects = ObjectStore(settings)
    try:
        objects.exists("doctor")
    finally:
        objects.close()


def _catalogue(settings: Settings) -> Finding:
    try:
        names = list(Catalogue.load(settings.models))
    except ServiceError as error:
        return Finding("models", "wrong", str(error))
    return Finding("models", "good", f"The catalogue names {', '.join(names)}.")


def _without_password(address: str) -> str:
    parts = urlsplit(address)
    return address.replace(f":{parts.password}@", ":…@") if parts.password else address
