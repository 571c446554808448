"""`dti serve`: its programs and their environment; the whole stack runs in tests/e2e."""

import socket

import pytest

from service.child_environment import (
    api_environment,
    base_environment,
    maintenance_environment,
    worker_environment,
)
from service.errors import SettingsError
from service.settings import Settings
from stack.home import Home, HomeInUseError
from stack.processes import free_port
from stack.serve import PortTakenError, embedded_environment, origin, serve


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


@pytest.fixture
def served(home):
    """The stored configuration of a home that was served before."""
    with home.locked("test"):
        return home.ensure_config()


def test_other_commands_find_the_stores_of_a_served_home(home, served):
    settings = Settings.from_environment(embedded_environment({"DTI_HOME": str(home.folder)}))
    assert settings.broker_url == f"redis://:{served.valkey_password}@127.0.0.1:{served.valkey_port}/0"
    assert settings.s3_endpoint == f"http://127.0.0.1:{served.s3_port}"
    assert (settings.s3_access_key, settings.s3_secret_key) == (served.s3_access_key, served.s3_secret_key)
    assert settings.database_address == f"sqlite:///{home.folder / 'dti.db'}"


def test_a_configured_url_takes_precedence_with_its_own_keys(home, served):
    given = {
        "DTI_HOME": str(home.folder),
        "DTI_BROKER_URL": "redis://elsewhere/1",
        "DTI_S3_ENDPOINT": "https://s3.example.org",
        "DTI_S3_ACCESS_KEY": "theirs",
    }
    assert embedded_environment(given) == given


def test_a_home_that_was_never_served_adds_nothing(home):
    given = {"DTI_HOME": str(home.folder)}
    assert embedded_environment(given) == given


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("::1", "http://[::1]:8000"),
        ("0.0.0.0", f"http://{socket.gethostname()}:8000"),
        ("gpu.example.org", "http://gpu.example.org:8000"),
    ],
)
def test_the_printed_url_responds(host, expected):
    assert origin(Settings(host=host, port=8000)) == expected


def test_a_taken_port_is_refused_before_anything_starts(home):
    messages = []
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {port} on 127.0.0.1 is in use"):
            serve({"DTI_HOME": str(home.folder), "DTI_PORT": str(port)}, ["false"], messages.append)
    assert home.config() is None
    assert messages == []


def test_a_folder_in_use_is_refused_before_anything_starts(home):
    with home.locked("somebody"), pytest.raises(HomeInUseError, match="somebody"):
        serve({"DTI_HOME": str(home.folder), "DTI_PORT": str(free_port())}, ["false"], print)
    assert home.config() is None


def test_a_setting_that_cannot_be_read_is_named(home):
    with pytest.raises(SettingsError, match="DTI_PORT"):
        serve({"DTI_HOME": str(home.folder), "DTI_PORT": "eighty"}, ["false"], print)


def test_other_hosts_are_not_served_without_keys(tmp_path):
    home = tmp_path / "home"
    with pytest.raises(SettingsError, match="DTI_AUTH"):
        serve({"DTI_HOME": str(home), "DTI_HOST": "0.0.0.0", "DTI_AUTH": "off"}, ["dti"], print)
    assert not home.exists()


def test_every_program_gets_only_the_environment_that_it_needs():
    environ = {
        "PATH": "/bin",
        "DTI_S3_SECRET_KEY": "s",
        "DTI_ADMIN_KEY": "a",
        "DTI_ADMIN_KEY_FILE": "f",
        "HF_TOKEN": "h",
        "CUDA_VISIBLE_DEVICES": "0",
        "https_proxy": "http://proxy",
        "GITHUB_TOKEN": "g",
        "SSH_AUTH_SOCK": "x",
    }
    assert base_environment(environ).keys() == {"PATH"}
    service = {"PATH", "DTI_S3_SECRET_KEY", "https_proxy"}
    assert maintenance_environment(environ).keys() == service
    assert api_environment(environ).keys() == service | {"DTI_ADMIN_KEY", "DTI_ADMIN_KEY_FILE"}
    assert worker_environment(environ).keys() == service | {"HF_TOKEN", "CUDA_VISIBLE_DEVICES"}
