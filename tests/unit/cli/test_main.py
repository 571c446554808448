"""The command line: every command explains itself, and trouble is a sentence, not a traceback."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli import main
from stack.home import Home
from stack.processes import free_port
from tests.support.stack import CLI, ROOT

COMMANDS = ("serve", "api", "worker", "keys", "remote", "migrate", "train", "render", "interpolate", "doctor")


def run(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DTI_")}
    return subprocess.run(
        [*CLI, *arguments], env=clean | environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_help_names_every_command():
    said = run("--help").stdout
    assert [command for command in COMMANDS if command not in said] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command):
    answer = run(command, "--help")
    assert answer.returncode == 0
    assert "Usage" in answer.stdout


def test_what_serve_needs_loads_no_torch_and_no_web_framework():
    heavy = "{'torch', 'transformers', 'fastapi', 'boto3'}"
    script = f"import sys, cli.main, stack.serve; print(sorted({heavy} & {{*sys.modules}}))"
    answer = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_api_the_chores_and_the_migration_run_where_nothing_of_the_worker_is_installed():
    absent = ("torch", "transformers", "diffusers", "accelerate", "safetensors", "numpy", "av")
    modules = "cli.main, api.server, worker.maintenance, migrations"
    script = f"import sys; sys.modules.update(dict.fromkeys({absent})); import {modules}"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)


def test_a_wrong_setting_is_one_sentence(tmp_path):
    answer = run("migrate", DTI_HOME=str(tmp_path), DTI_PORT="eighty")
    assert answer.returncode == 1
    assert "DTI_PORT" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_missing_address_is_named(tmp_path):
    answer = run("migrate", DTI_HOME=str(tmp_path))
    assert answer.returncode == 1
    assert "DTI_S3_ENDPOINT" in answer.stderr


def test_the_doctor_finds_nothing_wrong_with_a_home_that_was_served_and_is_not_now(tmp_path):
    Home(tmp_path).choose()
    answer = run("doctor", DTI_HOME=str(tmp_path), DTI_PORT="59999")
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(
    ("broker", "code", "verdict"), [("", 0, "good   broker"), ("redis://127.0.0.1:1/0", 1, "wrong  broker")]
)
def test_the_doctor_ends_with_one_where_something_is_wrong(tmp_path, monkeypatch, broker, code, verdict):
    monkeypatch.setenv("DTI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DTI_PORT", str(free_port()))
    monkeypatch.setenv("DTI_BROKER_URL", broker)
    answer = CliRunner().invoke(main.app, ["doctor"])
    assert answer.exit_code == code, answer.output
    assert verdict in answer.output
    assert "Workers run on" in answer.output
