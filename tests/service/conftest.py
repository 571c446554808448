"""The rules' ground: a database with an owner in it, a broker on a real broker, and hands that work the queue."""

import pytest
import sqlalchemy

import migrations
from service.broker import Broker
from service.database.engine import Database
from service.database.tables import LOCAL_OWNER_ID, Table
from tests.service.hands import NOON, Hands
from tests.service.receiver import listening
from tests.service.studio import Studio


@pytest.fixture(scope="session")
def one_postgres(postgres_server):
    url = f"{postgres_server}/postgres"
    migrations.upgrade(url)
    return url


@pytest.fixture
def postgres_url(one_postgres):
    """One PostgreSQL database for all tests here, emptied for each: many short tests cannot each have their own."""
    engine = sqlalchemy.create_engine(one_postgres)
    tables = ", ".join(table for table in Table.metadata.tables if table != "owners")
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(f"TRUNCATE {tables}"))
        connection.execute(sqlalchemy.text("DELETE FROM owners WHERE id != :local"), {"local": LOCAL_OWNER_ID})
    engine.dispose()
    return one_postgres


@pytest.fixture
def database(database_url):
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def broker(settings):
    opened = Broker(settings)
    yield opened
    opened.close()


@pytest.fixture
def hands(database, broker):
    return Hands(database, broker)


@pytest.fixture
def now():
    return NOON


@pytest.fixture
def studio(service):
    return Studio(service)


@pytest.fixture
def receiver():
    with listening() as opened:
        yield opened
