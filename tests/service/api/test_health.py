"""Readiness: what is needed to answer, what is needed to work, and the drain before the port closes."""

import signal
import time

import pytest
import sqlalchemy
from alembic.script import ScriptDirectory

import migrations
from service import heartbeats, workers
from service.database import schema


def write(service, rule, *arguments):
    with service.database.writing() as session:
        rule(session, *arguments)


def test_the_revision_that_is_needed_is_the_newest_migration():
    assert ScriptDirectory.from_config(migrations.config()).get_current_head() == schema.needed_revision()


def test_readiness_tells_the_schema_the_maintenance_and_the_workers_of_each_model(client, service):
    ready = client.get("/health/ready").json()
    assert (ready["schema_revision"], ready["maintenance"]) == (schema.needed_revision(), "never_seen")
    assert ready["workers"] == {"tiny": 0}
    write(service, heartbeats.beat, heartbeats.MAINTENANCE)
    presence = workers.Presence(worker_id="ada", device="cpu", models=[], served_models=["tiny"])
    write(service, workers.heartbeat, presence)
    ready = client.get("/health/ready").json()
    assert (ready["maintenance"], ready["workers"]) == ("up", {"tiny": 1})


@pytest.mark.parametrize(("revision", "status"), [("0001", 503), ("9999", 200)])
def test_an_older_schema_is_not_ready_and_a_newer_one_is(client, service, revision, status):
    write(
        service,
        lambda session: session.execute(sqlalchemy.text(f"UPDATE alembic_version SET version_num = '{revision}'")),
    )
    response = client.get("/health/ready")
    assert response.status_code == status
    if status == 503:
        assert response.json()["down"] == ["schema"]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
def test_a_database_that_cannot_be_written_is_not_ready(client, service):
    """As a standby is after a failover."""

    @sqlalchemy.event.listens_for(service.database.engine, "begin")
    def refuse_writes(connection):
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    assert client.get("/health/ready").json()["down"] == ["database"]


@pytest.mark.parametrize("more_settings", [{"DTI_DRAIN_S": "1.5"}])
def test_readiness_ends_before_the_port_closes_and_requests_are_answered_meanwhile(client, running):
    assert client.get("/health/ready").status_code == 200
    running.handle_exit(signal.SIGTERM, None)
    draining = client.get("/health/ready")
    assert (draining.status_code, draining.json()["down"]) == (503, ["draining"])
    assert client.get("/v1/models").status_code == 200
    deadline = time.monotonic() + 10
    while not running.should_exit:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_queued_job_and_a_model_tell_that_no_worker_serves_them(client, service):
    job = client.post("/v1/generations", json={"prompt": "a dog"}).json()
    assert job["progress"]["workers"] == 0
    assert client.get("/v1/models").json()["items"][0]["workers"] == 0
    presence = workers.Presence(worker_id="ada", device="cpu", models=[], served_models=["tiny"])
    write(service, workers.heartbeat, presence)
    assert client.get(f"/v1/jobs/{job['id']}").json()["progress"]["workers"] == 1
    assert client.get("/v1/models").json()["items"][0]["workers"] == 1
