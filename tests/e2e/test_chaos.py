"""The short form of the chaos run: one command, real stores, workers killed at random, books kept."""

import subprocess
import sys

import pytest

from tests.support.stack import ROOT


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_jobs_survive_kills_and_a_poison_and_the_books_agree():
    options = ["--jobs", "8", "--kills", "3", "--api-kills", "1", "--lease", "3", "--timeout", "240"]
    command = [sys.executable, "-m", "bench.chaos", *options]
    run = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=390)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "faults: 0" in run.stdout
