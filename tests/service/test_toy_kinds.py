"""Nine files and no other edit: a kind of job that nothing knows is under all laws and goes all the way at once."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOYS = ROOT / "tests" / "toys" / "kinds"
AT_MOST = 9


def files():
    """FILES of the plugin, without importing it: it would add its kinds to this process."""
    tree = ast.parse((TOYS / "plugin.py").read_text())
    (value,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FILES"
    )
    return ast.literal_eval(value)


def test_a_kind_of_job_needs_at_most_nine_files_and_the_toys_have_no_part_elsewhere():
    assert len(files()) <= AT_MOST
    assert {str(path.relative_to(TOYS)) for path in TOYS.rglob("*.py")} == set(files().values())
    new = {name for name in files() if not (ROOT / name).exists()}
    assert new == {
        "migrations/versions/NNNN_toys.py",
        "service/concepts/toys.py",
        "api/routes/toys.py",
        "worker/handlers/toys.py",
    }


@pytest.mark.slow
def test_a_toy_kind_in_an_existing_class_and_one_in_a_new_class_pass_every_law():
    laws = [
        "tests/unit/test_kinds.py",
        "tests/service/api/toy_kinds.py",
        "tests/service/test_migrations.py::test_constraints_and_partial_indexes_are_the_declared_ones[sqlite]",
        "tests/service/test_migrations.py::test_the_database_takes_the_kinds_of_the_list_and_no_other[sqlite]",
    ]
    plugins = ("tests.toys.kinds.listing", "tests.toys.kinds.plugin", "no:cacheprovider")
    options = (*(word for plugin in plugins for word in ("-p", plugin)), "-v")
    command = [sys.executable, "-m", "pytest", *options, *laws]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stdout[-3000:]
    passed = [line for line in ended.stdout.splitlines() if "PASSED" in line]
    for toy in ("toy", "own_toy"):
        assert sum(f"[{toy}]" in line or f"[{toy}-input]" in line for line in passed) >= 6
