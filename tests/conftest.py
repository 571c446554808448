"""Real stores on loopback, started once a session when a test first asks for one.

Every test has its own database and bucket and an empty Valkey.
"""

import gc
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis
import sqlalchemy

from migrations import upgrade
from service.context import Service
from service.settings import Settings
from stack import stores
from stack.processes import LOOPBACK, Child, free_port
from tests.support.postgres import running_postgres

# Read when torch is first imported: tests share two cores with the servers that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TESTS = Path(__file__).parent
CHEAPEST_FIRST = ("unit", "parity", "service", "e2e", "browser")


def pytest_collection_modifyitems(items):
    """Cheap tests run first."""
    items.sort(key=lambda item: CHEAPEST_FIRST.index(item.path.relative_to(TESTS).parts[0]))


def pytest_collection_finish():
    """Leave modules and collected tests out of garbage collection: a full one takes a second with them."""
    gc.freeze()


@dataclass(frozen=True)
class S3:
    """How to reach the S3 server, and a bucket's name that nobody else uses; the bucket does not exist yet."""

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str


@pytest.fixture(scope="session")
def logs(tmp_path_factory):
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory, logs):
    port = free_port()
    with Child(stores.valkey(tmp_path_factory.mktemp("valkey"), port), logs):
        yield f"redis://{LOOPBACK}:{port}/0"


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
        yield S3(f"http://{LOOPBACK}:{port}", access_key, secret_key, bucket="")


@pytest.fixture
def s3(s3_server):
    return S3(s3_server.endpoint, s3_server.access_key, s3_server.secret_key, bucket=f"test-{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def postgres_server():
    with running_postgres() as address:
        yield address


def create_database(server, template="template0"):
    """A new database on a PostgreSQL server, as a copy of another; returns its address."""
    name = f"t_{secrets.token_hex(8)}"
    engine = sqlalchemy.create_engine(f"{server}/postgres", isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY'))
    return f"{server}/{name}"


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    url = create_database(postgres_server)
    upgrade(url)
    return url.rpartition("/")[2]


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def postgres_url(postgres_server, postgres_template):
    """A PostgreSQL database of the test's own with today's tables, all empty."""
    return create_database(postgres_server, postgres_template)


@pytest.fixture
def sqlite_url(tmp_path, sqlite_template):
    """A SQLite file of the test's own with today's tables, all empty."""
    shutil.copy(sqlite_template, tmp_path / "dti.sqlite3")
    return f"sqlite:///{tmp_path / 'dti.sqlite3'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request):
    """Both databases in turn, with today's tables, all empty."""
    return request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request, tmp_path):
    """Both databases in turn, without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.sqlite3'}"
    return create_database(request.getfixturevalue("postgres_server"))


@pytest.fixture
def environment(tmp_path, database_url, valkey_url, s3):
    """The service's environment variables for the stores of this test."""
    return {
        "DTI_HOME": str(tmp_path / "home"),
        "DTI_DATABASE_URL": database_url,
        "DTI_BROKER_URL": valkey_url,
        "DTI_S3_ENDPOINT": s3.endpoint,
        "DTI_S3_ACCESS_KEY": s3.access_key,
        "DTI_S3_SECRET_KEY": s3.secret_key,
        "DTI_S3_BUCKET": s3.bucket,
    }


@pytest.fixture
def settings(environment):
    return Settings.from_environment(environment)


@pytest.fixture
def service(settings):
    opened = Service.open(settings)
    opened.storage.ensure_bucket()
    yield opened
    opened.close()
