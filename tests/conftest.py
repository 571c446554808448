"""Real stores on loopback, started once a session when a test first asks for one.

Every test has its own database and bucket and an empty Valkey.
"""

import gc
import os
import secrets
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from migrations import upgrade
from service import bucket
from service.context import Service
from service.errors import DatabaseUnavailableError
from service.settings import Settings
from stack import stores
from stack.processes import LOOPBACK, Child, free_port
from tests.support.postgres import running_postgres
from tests.support.stores import S3, create_postgres_database, store_environment

# Read when torch is first imported: tests share the cores with each other and with the servers that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell in the background starts its commands with Ctrl-C ignored, which every child would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)

TESTS = Path(__file__).parent
CHEAPEST_FIRST = ("unit", "parity", "service", "e2e", "browser")


def pytest_collection_modifyitems(items):
    """Cheap tests run first."""
    items.sort(key=lambda item: CHEAPEST_FIRST.index(item.path.relative_to(TESTS).parts[0]))


def pytest_collection_finish():
    """Leave modules and collected tests out of garbage collection: a full one takes a second with them."""
    gc.freeze()


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory, logs):
    port, password = free_port(), secrets.token_hex(8)
    with Child(stores.valkey(tmp_path_factory.mktemp("valkey"), port, password=password), logs):
        yield f"redis://:{password}@{LOOPBACK}:{port}/0"


@pytest.fixture
def valkey_url(valkey_server):
    with redis.Redis.from_url(valkey_server) as client:
        client.flushall()
    return valkey_server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory, logs):
    port = free_port()
    access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
    folder = tmp_path_factory.mktemp("s3")
    with Child(stores.s3(folder, port, access_key=access_key, secret_key=secret_key), logs):
        yield S3(f"http://{LOOPBACK}:{port}", access_key, secret_key)


@pytest.fixture
def s3(s3_server):
    return s3_server.new_bucket()


@pytest.fixture(scope="session")
def postgres_server():
    with running_postgres() as address:
        yield address


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    url = create_postgres_database(postgres_server)
    upgrade(url)
    return url.rpartition("/")[2]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def postgres_url(postgres_server, postgres_template):
    """A new PostgreSQL database with the current tables, empty."""
    return create_postgres_database(postgres_server, postgres_template)


@pytest.fixture
def sqlite_url(tmp_path, sqlite_template):
    """A new SQLite file with the current tables, empty."""
    shutil.copy(sqlite_template, tmp_path / "dti.sqlite3")
    return f"sqlite:///{tmp_path / 'dti.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """Each of the two databases, with the current tables, empty."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """Each of the two databases, without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    return create_postgres_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
def environment(tmp_path, database_url, valkey_url, s3):
    """The service's environment variables for this test's stores."""
    return store_environment(tmp_path / "home", database_url, valkey_url, s3)


@pytest.fixture
def settings(environment):
    return Settings.from_environment(environment)


@pytest.fixture
def service(settings):
    opened = Service.open(settings)
    opened.storage.ensure_bucket()
    with suppress(DatabaseUnavailableError):  # a test may have made it unreachable
        bucket.claim(opened)
    yield opened
    opened.close()
