"""Extensibility: a method and a family added by one file and one line each are subject to every law."""

import subprocess
import sys
from pathlib import Path

import pytest

LAWS = ("test_laws.py", "test_families.py", "test_render.py", "methods/test_methods.py")
ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_a_toy_method_and_a_toy_family_in_one_file_and_one_line_each_pass_every_law():
    files = [str(Path(__file__).parent / name) for name in LAWS]
    options = ("-p", "tests.toys.listed", "-p", "no:cacheprovider", "-k", "toy", "-v")
    command = [sys.executable, "-m", "pytest", *options, *files]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:]
    passed = [line for line in ended.stdout.splitlines() if "PASSED" in line]
    laws = {
        cell: sum(f"[{cell}]" in line for line in passed) for cell in ("sd-1-noise-toy", "toy-dti", "toy-toy", "toy")
    }
    assert laws["sd-1-noise-toy"] == laws["toy-dti"] == laws["toy-toy"] >= 8
    assert laws["toy"] >= 20
