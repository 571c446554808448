"""A database with an owner, a real broker, and drivers of the queue and of the service."""

import pytest
import sqlalchemy

import migrations
from service.broker import Broker
from service.database.engine import Database
from service.database.tables import LOCAL_OWNER_ID, Table
from tests.support.queue_driver import NOON, QueueDriver
from tests.support.service_driver import ServiceDriver
from tests.support.webhook_receiver import listening


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server):
    url = f"{postgres_server}/postgres"
    migrations.upgrade(url)
    return url


@pytest.fixture
def postgres_url(migrated_postgres):
    """One PostgreSQL database for all tests of the service, emptied before each: creating one costs more."""
    engine = sqlalchemy.create_engine(migrated_postgres)
    tables = ", ".join(table for table in Table.metadata.tables if table != "owners")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"TRUNCATE {tables}"))
        connection.execute(sqlalchemy.text("DELETE FROM owners WHERE id != :local"), {"local": LOCAL_OWNER_ID})
    engine.dispose()
    return migrated_postgres


@pytest.fixture
def database(database_url):
    opened = Database(database_url, clock=lambda: NOON)
    yield opened
    opened.close()


@pytest.fixture
def broker(settings):
    opened = Broker(settings)
    yield opened
    opened.close()


@pytest.fixture
def queue(database, broker):
    return QueueDriver(database, broker)


@pytest.fixture
def driver(service):
    return ServiceDriver(service)


@pytest.fixture
def receiver():
    with listening() as opened:
        yield opened
