"""The command line: every command has help, and an error is a message, not a traceback."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from cli import main
from dti import __version__
from service.settings import unknown_variables
from stack import serve
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
    output = run("--help").stdout
    assert [command for command in COMMANDS if command not in output] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command):
    result = run(command, "--help")
    assert result.returncode == 0
    assert "Usage" in result.stdout


def test_the_help_prints_a_bound_as_it_is_typed():
    for command in ("train", "render"):
        output = "".join(run(command, "--help").stdout.split())
        assert "9007199254740975" in output.replace("│", "")
        assert "e+" not in output


def test_serve_imports_no_torch_and_no_web_framework():
    heavy = "{'torch', 'transformers', 'fastapi', 'boto3'}"
    script = f"import sys, cli.main, stack.serve; print(sorted({heavy} & {{*sys.modules}}))"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_api_maintenance_and_migration_run_without_the_workers_packages():
    absent = ("torch", "transformers", "diffusers", "accelerate", "safetensors", "numpy", "av")
    modules = "cli.main, api.server, worker.maintenance, migrations"
    script = f"import sys; sys.modules.update(dict.fromkeys({absent})); import {modules}"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=120)


def test_an_invalid_setting_is_an_error_message(tmp_path):
    result = run("migrate", DTI_HOME=str(tmp_path), DTI_PORT="eighty")
    assert result.returncode == 1
    assert "DTI_PORT" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_url_is_named(tmp_path):
    result = run("migrate", DTI_HOME=str(tmp_path))
    assert result.returncode == 1
    assert "DTI_S3_ENDPOINT" in result.stderr


def test_the_doctor_finds_no_error_in_a_home_that_was_served_before(tmp_path):
    Home(tmp_path).ensure_config()
    result = run("doctor", DTI_HOME=str(tmp_path), DTI_PORT="59999")
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("broker", "code", "line"), [("", 0, "ok     broker"), ("redis://127.0.0.1:1/0", 1, "error  broker")]
)
def test_the_doctor_exits_with_1_on_an_error(tmp_path, monkeypatch, broker, code, line):
    monkeypatch.setenv("DTI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DTI_PORT", str(free_port()))
    monkeypatch.setenv("DTI_BROKER_URL", broker)
    result = CliRunner().invoke(main.app, ["doctor"])
    assert result.exit_code == code, result.output
    assert line in result.output
    assert "Workers run on" in result.output


def test_the_version_is_printed():
    assert CliRunner().invoke(main.app, ["--version"]).stdout == f"{__version__}\n"


def test_a_misspelt_variable_is_told_with_the_nearest_setting():
    known = {"DTI_PORT": "1", "DTI_S3_SECRET_KEY_FILE": "x", "DTI_URL": "u", "PATH": "p"}
    assert unknown_variables({**known, "DTI_PROT": "1", "DTI_XYZZY": ""}) == {"DTI_PROT": "DTI_PORT", "DTI_XYZZY": None}
    told = CliRunner().invoke(main.app, ["keys", "--help"], env={"DTI_HOEM": "x"}).stderr
    assert "DTI_HOEM" in told
    assert "Did you mean DTI_HOME?" in told


def test_a_command_with_a_model_names_the_packages_that_it_lacks(monkeypatch, capsys):
    def lacking():
        raise ModuleNotFoundError(name="torch")

    monkeypatch.setattr(main, "app", lacking)
    with pytest.raises(SystemExit):
        main.main()
    assert "dti-service[worker]" in capsys.readouterr().err


def test_options_of_serve_override_the_environment(monkeypatch):
    seen = []
    monkeypatch.setattr(serve, "serve", lambda environ, *_, **__: seen.append(environ))
    CliRunner().invoke(main.app, ["serve", "--port", "8123", "--home", "h"], env={"DTI_PORT": "1", "DTI_HOST": "::1"})
    (environ,) = seen
    assert [environ[name] for name in ("DTI_PORT", "DTI_HOME", "DTI_HOST")] == ["8123", "h", "::1"]
