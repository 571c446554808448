"""The commands of the README run as written."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stack import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder: the examples, `dti` on the PATH, and a curl that fails on error responses."""
    home = tmp_path_factory.mktemp("reader")
    (home / "examples").symlink_to(ROOT / "examples")
    (home / ".curlrc").write_text('fail-with-body\nsilent\nshow-error\nnoproxy = "*"\n')
    programs = home / "bin"
    programs.mkdir()
    (programs / "dti").write_text(f'#!/bin/sh\nexec {sys.executable} -P -m cli "$@"\n')
    (programs / "dti").chmod(0o755)
    return home


def run(block, folder):
    environment = {**os.environ, "HOME": str(folder), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-e"], input=block, cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is no part of what `make test` installs")
def test_the_main_job_in_five_calls(stack, folder):
    outputs = [run(block.replace(ADDRESS, stack.url), folder) for block in BLOCKS if "curl" in block]
    created, listed, pictures, interpolated, _ = outputs
    assert '"ready":true' in created
    assert '"status":"succeeded"' in listed
    assert pictures.count('"url":"http') == 4
    assert '"animation":{' in interpolated
    assert (folder / "my-owl.safetensors").stat().st_size > 500


def test_the_main_job_without_a_server(folder):
    for block in BLOCKS:
        if block.startswith("dti "):
            run(block, folder)
    assert (folder / "teal-ghost.safetensors").exists()
    assert len(list(folder.rglob("*.png"))) >= 5


def test_every_make_command_is_a_target():
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    mentioned = set(re.findall(r"\bmake (?!sure)([a-z]+)", README))
    assert mentioned
    assert mentioned <= set(targets)


def test_every_linked_file_exists():
    links = re.findall(r"\]\((?!http)([^)#]+)", README)
    assert links
    assert [link for link in links if not (Path(ROOT) / link).exists()] == []
