"""The home folder: stored ports and keys, and its lock."""

import json
import socket
import stat
import subprocess
import sys
from dataclasses import asdict

import pytest

from stack.home import Home, HomeInUseError, HomeUnusableError

KILLED_HOLDER = """
import os, sys
from pathlib import Path
from stack.home import Home
with Home(Path(sys.argv[1])).locked("a holder"):
    os.kill(os.getpid(), 9)
"""


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home")


def test_ports_and_keys_are_remembered(home):
    with home.locked("test"):
        first = home.ensure_config()
    assert Home(home.folder).ensure_config() == first
    assert len({first.valkey_port, first.s3_port}) == 2


def test_a_home_that_is_no_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(HomeUnusableError, match="file cannot be the home folder"), Home(tmp_path / "file").locked("x"):
        pass


def test_a_port_that_was_taken_meanwhile_is_replaced_and_the_keys_stay(home):
    with home.locked("test"):
        first = home.ensure_config()
        with socket.create_server(("127.0.0.1", first.s3_port)):
            second = home.ensure_config()
    assert second.s3_port != first.s3_port
    assert (second.valkey_port, second.s3_secret_key) == (first.valkey_port, first.s3_secret_key)


def test_the_keys_are_readable_by_their_user_alone(home):
    with home.locked("test"):
        home.ensure_config()
    assert stat.S_IMODE((home.folder / "stack.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700


def test_a_second_holder_is_refused_with_the_process_id_of_the_first(home):
    with home.locked("the stack at http://127.0.0.1:8000"):
        assert home.holder() == "the stack at http://127.0.0.1:8000"
        with (
            pytest.raises(
                HomeInUseError, match=r"in use by the stack at http://127\.0\.0\.1:8000.*or choose another DTI_HOME"
            ),
            home.locked("me"),
        ):
            pass
    assert home.holder() is None


def test_a_killed_holder_releases_the_lock(home):
    assert subprocess.run([sys.executable, "-c", KILLED_HOLDER, home.folder], check=False).returncode == -9
    with home.locked("me"):
        assert home.holder() == "me"


def test_a_folder_that_was_never_served_has_no_configuration(home):
    assert home.config() is None
    assert home.holder() is None


def test_files_of_an_existing_home_are_made_private(home):
    for folder in (home.folder, home.logs, home.objects, home.valkey):
        folder.mkdir(mode=0o755, exist_ok=True)
        (folder / "file").write_text("x")
        (folder / "file").chmod(0o644)
    with home.locked("test"):
        home.ensure_config()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [home.folder, *home.folder.glob("*")]}
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
    assert stat.S_IMODE((home.valkey / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((home.logs / "file").stat().st_mode) == 0o600


def test_a_home_from_before_passwords_gets_one(home):
    with home.locked("test"):
        config = asdict(home.ensure_config())
        del config["valkey_password"]
        (home.folder / "stack.json").write_text(json.dumps(config))
        assert len(home.ensure_config().valkey_password) == 40
