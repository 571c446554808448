"""The migrations make exactly the tables that the code speaks of."""

import hashlib
import multiprocessing
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, inspect, select, text

import migrations
from service import jobs
from service.database import schema
from service.database.engine import Database
from service.database.tables import LOCAL_OWNER_ID, Concept, Job, Owner, Table
from service.errors import DowngradeImpossibleError, SchemaRevisionError
from service.kinds.jobs import KINDS, TrainInput, read_input
from tests.support import stored_jobs

NOON_UTC = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON = "'2026-01-01 12:00:00'"
OLD_ROWS = (
    f"""INSERT INTO jobs (id, owner_id, kind, status, model, input, slots, lane, rank, attempt, strikes,
        cancel_requested, step, total, checkpoint_step, checkpoint_attempt, last_event, created_at, queued_at)
        VALUES ('job_1', 'own_local', 'train', 'succeeded', 'tiny', '{{}}', 1, 1, 5, 1, 0, FALSE, 4, 4, 0, 0, 1,
        {NOON}, {NOON})""",
    f"""INSERT INTO concepts (id, owner_id, name, class_word, property, model, method, training, job_id, created_at,
        updated_at) VALUES ('con_1', 'own_local', 'dog', 'dog', 'object', 'tiny', 'dti', '{{}}', 'job_1', {NOON},
        {NOON})""",
    "INSERT INTO job_concepts (job_id, place, concept_id, name) VALUES ('job_1', 0, 'con_1', 'dog')",
    f"""INSERT INTO images (id, job_id, role, place, key, sha256, content_type, width, height, bytes, created_at)
        VALUES ('img_1', 'job_1', 'preview', 1, 'k', 's', 'image/png', 64, 64, 9, {NOON})""",
    f"""INSERT INTO embeddings (id, concept_id, number, job_id, key, sha256, encoders, steps, created_at)
        VALUES ('emb_1', 'con_1', 1, 'job_1', 'k', 's', '{{}}', 4, {NOON})""",
)
"""Possible rows of the first version of the tables."""


RELEASED = {
    "0001_the_first_tables.py": "dc3d84230857fdf3e46c30f14d3aefc3b4ab02d08975bf6da7b1e3cf20123177",
    "0002_errands.py": "2cbd5241e3ee119ccfe26d75cb515a76a6b874e081c58fa430d1a16b70671325",
    "0003_keys_and_usage.py": "478b496f166db65aea5cd5633d8c66b847ff4278ff60ead9a849c205fbbf17ce",
    "0004_requests_kept_and_webhooks.py": "ea27b5fd29e1d2fec27917a3c49304ceb5e79fc76e22cf72d6b3b35df0f04833",
    "0005_safety.py": "40bb10dd5f47567bc6dafe6fb46d566b712d0545671bd2266daa670263311a00",
    "0006_field_names.py": "761a57e3667c4564fdd5d852dd2bfd65cbe8a3fdf4eec2d89291ed93931a6ce1",
}


@pytest.fixture
def empty(empty_database_url):
    database = Database(empty_database_url)
    yield database
    database.close()


def test_the_migrations_create_exactly_the_declared_tables(empty, empty_database_url):
    migrations.upgrade(empty_database_url)
    with empty.writing() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_constraints_and_partial_indexes_are_the_declared_ones(empty, empty_database_url):
    migrations.upgrade(empty_database_url)
    migrated = _shape(empty)
    with empty.engine.begin() as connection:
        Table.metadata.drop_all(connection)
        Table.metadata.create_all(connection)
    assert _shape(empty) == migrated


def test_the_database_takes_the_kinds_of_the_list_and_no_other(empty, empty_database_url):
    migrations.upgrade(empty_database_url)
    checks = {check["name"]: check["sqltext"] for check in inspect(empty.engine).get_check_constraints("jobs")}
    assert set(re.findall(r"'(\w+)'", checks["ck_jobs_kind"])) == set(KINDS)


def test_upgrading_twice_changes_nothing_and_creates_the_local_owner(empty, empty_database_url):
    migrations.upgrade(empty_database_url)
    migrations.upgrade(empty_database_url)
    with empty.reading() as session:
        assert [owner.id for owner in session.scalars(select(Owner))] == [LOCAL_OWNER_ID]
        assert session.get(Owner, LOCAL_OWNER_ID).created_at.tzinfo is not None


def test_concurrent_upgrades_wait_for_each_other(empty, empty_database_url):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=migrations.upgrade, args=(str(empty_database_url),)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with empty.reading() as session:
        assert session.scalars(text("SELECT version_num FROM alembic_version")).all() == [_head()]


def test_rows_survive_every_migration(empty, empty_database_url):
    with empty.writing() as session:
        command.upgrade(migrations.config(connection=session.connection()), "0001")
        for statement in OLD_ROWS:
            session.execute(text(statement))
    migrations.upgrade(empty_database_url)
    with empty.reading() as session:
        (concept,) = session.scalars(select(Concept))
        (job,) = session.scalars(select(Job))
        assert (concept.job_id, job.kind, job.result) == (job.id, "train", None)
        assert (len(job.concepts), len(job.images), len(concept.embeddings)) == (1, 1, 1)
        assert concept.embedding.neighbours is None


@pytest.mark.parametrize("revision", ["0011", "0012", "0013"])
def test_one_step_back_restores_the_schema_before_and_keeps_the_rows(empty, empty_database_url, revision):
    before = f"{int(revision) - 1:04d}"
    with empty.writing() as session:
        command.upgrade(migrations.config(connection=session.connection()), "0001")
        for statement in OLD_ROWS:
            session.execute(text(statement))
    migrations.upgrade(empty_database_url, before)
    rows, shape = _rows(empty), _shape(empty, present=True)
    migrations.upgrade(empty_database_url, revision)
    assert migrations.downgrade(empty_database_url) == before
    assert (_rows(empty), _shape(empty, present=True)) == (rows, shape)
    migrations.upgrade(empty_database_url)
    with empty.reading() as session:
        schema.check(session)
        (concept,) = session.scalars(select(Concept))
        assert (concept.name, concept.job_id) == ("dog", "job_1")


def test_a_migration_without_a_way_back_is_not_undone(empty, empty_database_url):
    with pytest.raises(DowngradeImpossibleError, match="no tables"):
        migrations.downgrade(empty_database_url)
    with empty.writing() as session:
        command.upgrade(migrations.config(connection=session.connection()), "0006")
    with pytest.raises(DowngradeImpossibleError, match=r"0006.*backup"):
        migrations.downgrade(empty_database_url)
    with empty.writing() as session:
        assert schema.revision_of(session) == "0006"
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DowngradeImpossibleError, match="9999"):
        migrations.downgrade(empty_database_url)


def test_the_newest_migration_has_a_way_back():
    newest = ScriptDirectory.from_config(migrations.config()).get_revision("head")
    assert callable(newest.module.downgrade)


def test_an_old_schema_is_refused_with_the_remedy(empty, empty_database_url):
    with empty.reading() as session, pytest.raises(SchemaRevisionError, match=r"no tables.*dti migrate"):
        schema.check(session)
    migrations.upgrade(empty_database_url)
    with empty.reading() as session:
        schema.check(session)
    with empty.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0005'"))
    with empty.reading() as session, pytest.raises(SchemaRevisionError, match=r"revision 0005.*dti migrate"):
        schema.check(session)


def test_released_revisions_are_never_edited():
    """Databases have run them; a change belongs into a new revision."""
    folder = Path(migrations.__file__).parent / "versions"
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("0*.py")}
    assert {name: digests[name] for name in RELEASED} == RELEASED


def test_the_history_has_one_head():
    assert len(ScriptDirectory.from_config(migrations.config()).get_heads()) == 1


def test_jobs_of_the_revision_before_can_be_read_and_claimed(empty, empty_database_url):
    with empty.writing() as session:
        command.upgrade(migrations.config(connection=session.connection()), "0005")
        _insert_old_jobs(session)
    migrations.upgrade(empty_database_url)
    with empty.reading() as session:
        rows = {row.id: row for row in session.scalars(select(Job))}
        for name, stored in stored_jobs.INPUTS.items():
            row = rows[f"job_{name}"]
            assert (row.kind, row.input) == (name if name in KINDS else "rpc", stored)
            assert read_input(row.kind, row.input) == read_input(row.kind, stored)
        for name, stored in stored_jobs.RESULTS.items():
            assert rows[f"job_{name}"].result == stored
    with empty.writing() as session:
        (claim,) = jobs.claim(session, worker_id="ada", models=["tiny"], slots={"trainings": 1}, lease_s=15)
    assert (claim.job_id, claim.input) == ("job_train", TrainInput.from_json(stored_jobs.INPUTS["train"]))
    assert claim.input.training.kappa == 1e-4
    assert [pin.name for pin in claim.concepts] == ["my-dog"]


def _insert_old_jobs(session):
    """A job of every kind as revision 0005 stored it; the training still waits."""
    tables = MetaData()
    tables.reflect(session.connection(), only=["jobs", "job_concepts"])
    for name, stored in stored_jobs.INPUTS.items():
        waiting = name == "train"
        job = {
            "id": f"job_{name}",
            "owner_id": LOCAL_OWNER_ID,
            "kind": name if name in KINDS else "errand",
            "status": "queued" if waiting else "succeeded",
            "model": "tiny",
            "input": stored_jobs.of_revision_0005(stored),
            "result": stored_jobs.of_revision_0005(stored_jobs.RESULTS.get(name)),
            "lane": 1 if waiting else 0,
            "rank": 5,
            "total": 400,
            "created_at": NOON_UTC,
            "queued_at": NOON_UTC,
            "cancel_requested": False,
            "slots": 1,
            **dict.fromkeys(("attempt", "strikes", "step", "checkpoint_step", "checkpoint_attempt", "last_event"), 0),
        }
        session.execute(tables.tables["jobs"].insert().values(job))
    pin = {"job_id": "job_train", "place": 0, "concept_id": "con_1", "name": "my-dog"}
    session.execute(tables.tables["job_concepts"].insert().values(pin))


def _head():
    return ScriptDirectory.from_config(migrations.config()).get_current_head()


def _rows(database):
    """All rows of all tables, with their columns."""
    tables = MetaData()
    tables.reflect(database.engine)
    with database.reading() as session:
        return {
            name: [dict(row) for row in session.execute(table.select()).mappings()]
            for name, table in tables.tables.items()
            if name != "alembic_version"
        }


def _shape(database, *, present=False):
    """The constraints and indexes of the declared tables, or of those that are present."""
    inspector = inspect(database.engine)
    tables = inspector.get_table_names() if present else Table.metadata.tables
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
        for table in tables
    }
