"""`dti remote` against the whole stack: the main job by commands; errors as one line and an exit code."""

import os
import subprocess

import pytest

from stack.processes import LOOPBACK, free_port
from tests.support.stack import CLI, drawings, fail_afterwards


@pytest.fixture
def remote(stack):
    def run(*words, url=stack.url):
        environment = {**os.environ, "DTI_URL": url, "COLUMNS": "200"}
        done = subprocess.run(
            [*CLI, "remote", *words], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def done(remote):
    """Runs a command that succeeds; returns what it prints."""

    def run(*words):
        code, output, error = remote(*words)
        assert code == 0, error
        return output

    return run


def test_the_main_job_by_commands(remote, done, tmp_path):
    folder = tmp_path / "far-away"
    folder.mkdir()
    for number, data in enumerate(drawings("navy", count=3)):
        (folder / f"{number}.png").write_bytes(data)
    (folder / "notes.md").write_text("bought in May")
    code, job, told = remote("train", str(folder), "--class-word", "dog", "--set", "steps=4")
    assert (code, "Warning: 1 file is not used" in told, "notes.md" in told) == (0, True, True), told
    job = job.strip()
    assert "far-away" in done("concepts")
    assert '"status": "succeeded"' in done("show", job)
    options = ("-n", "2", "--set", "steps=2", "-o", str(tmp_path / "out"))
    code, pictures, told = remote("generate", "a (<far-away>:1.3)", *options)
    assert (code, told.count("Warning: "), "(<far-away>:1.3)" in told) == (0, 1, True), told
    assert [line.rpartition("/")[2] for line in pictures.split()] == ["00.png", "01.png"]
    file = done("export", "far-away", str(tmp_path / "file.pt"), "--format", "a1111").strip()
    assert "norms" in done("import", file, "--name", "came-back", "--class-word", "dog", "--model", "tiny")
    assert done("blend", "both", "far-away=2", "came-back").strip() == "<both>"
    assert done("neighbours", "both", "--k", "2").count(",") >= 1
    paths = done(
        "interpolate", "far-away", "both", "--frames", "2", "--set", "steps=2", "-o", str(tmp_path / "between")
    )
    assert len(paths.split()) == 2
    assert "interpolate" in done("jobs", "--limit", "5")
    for name in ("both", "came-back", "far-away"):
        done("delete", name)


def test_a_failed_job_is_run_again(stack, remote, done, untroubled):
    job = stack.client.succeeded(stack.client.generate("a <ball>", steps=2))
    code, _, error = remote("retry", job["id"])
    assert (code, "job_not_failed" in error) == (1, True)
    fail_afterwards(stack, job, "The worker vanished.")
    assert done("retry", job["id"]).strip() == job["id"]
    assert stack.client.get(f"/v1/jobs/{job['id']}").json()["status"] == "succeeded"


def test_an_error_is_one_line_and_an_exit_code(remote):
    for words, expected in ((("generate", "a <nobody>"), "unknown_concept"), (("show", "job_x"), "not_found")):
        code, output, error = remote(*words)
        assert (code, output, error.count("\n")) == (1, "", 1)
        assert expected in error


def test_an_unreachable_service_is_reported(remote):
    code, _, error = remote("show", "job_x", url=f"http://{LOOPBACK}:{free_port()}")
    assert (code, error.count("\n")) == (3, 1)
