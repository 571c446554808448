"""The migrations make exactly the tables that the code speaks of."""

import multiprocessing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text

import migrations
from service.db import Database
from service.tables import LOCAL_OWNER_ID, Owner, Table


@pytest.fixture
def empty(empty_database_url):
    database = Database(empty_database_url)
    yield database
    database.close()


def test_the_migrations_make_exactly_the_tables_of_the_models(empty, empty_database_url):
    migrations.upgrade(empty_database_url)
    with empty.writing() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_constraints_and_partial_indexes_are_those_of_the_models(empty, empty_database_url):
    migrations.upgrade(empty_database_url)
    migrated = _shape(empty)
    with empty.engine.begin() as connection:
        Table.metadata.drop_all(connection)
        Table.metadata.create_all(connection)
    assert _shape(empty) == migrated


def test_upgrading_twice_changes_nothing_and_everybody_has_an_owner(empty, empty_database_url):
    migrations.upgrade(empty_database_url)
    migrations.upgrade(empty_database_url)
    with empty.reading() as session:
        assert [owner.id for owner in session.scalars(select(Owner))] == [LOCAL_OWNER_ID]
        assert session.get(Owner, LOCAL_OWNER_ID).created_at.tzinfo is not None


def test_processes_that_upgrade_at_once_wait_for_each_other(empty, empty_database_url):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=migrations.upgrade, args=(str(empty_database_url),)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with empty.reading() as session:
        assert session.scalars(text("SELECT version_num FROM alembic_version")).all() == [_head()]


def test_the_history_has_one_end():
    assert len(ScriptDirectory.from_config(migrations.config()).get_heads()) == 1


def _head():
    return ScriptDirectory.from_config(migrations.config()).get_current_head()


def _shape(database):
    inspector = inspect(database.engine)
    return {
        table: (
            sorted((check["name"], check["sqltext"]) for check in inspector.get_check_constraints(table)),
            sorted(
                (index["name"], tuple(index["column_names"]), {k: str(v) for k, v in index["dialect_options"].items()})
                for index in inspector.get_indexes(table)
            ),
            sorted(
                (key["name"], key["referred_table"], str(key["options"])) for key in inspector.get_foreign_keys(table)
            ),
            sorted((key["name"], tuple(key["column_names"])) for key in inspector.get_unique_constraints(table)),
        )
        for table in Table.metadata.tables
    }
