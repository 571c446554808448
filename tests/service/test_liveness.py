"""Signs of life of processes without a port."""

import os
import subprocess
import sys
import time

import pytest

from service import liveness


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setattr(liveness.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_a_process_is_alive_from_its_first_sign_of_life_until_it_ends():
    assert not liveness.alive("worker")
    own = liveness.LivenessFile("worker")
    own.touch()
    assert liveness.alive("worker")
    assert not liveness.alive("maintenance")
    own.remove()
    assert not liveness.alive("worker")


def test_a_hung_process_is_not_alive(folder):
    liveness.LivenessFile("worker").touch()
    (path,) = folder.rglob("worker-*")
    old = time.time() - liveness.MAX_AGE_S - 1
    os.utime(path, (old, old))
    assert not liveness.alive("worker")


def test_the_file_of_a_process_that_was_killed_counts_for_nothing(folder):
    liveness.LivenessFile("worker").touch()
    (path,) = folder.rglob("worker-*")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    path.rename(path.with_name(f"worker-{ended.pid}"))
    assert not liveness.alive("worker")
