"""The cookbook: every code block runs against the whole stack."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from tests.support.stack import ROOT

COOKBOOK = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
RECIPES = re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", COOKBOOK, re.DOTALL | re.MULTILINE)
ADDRESS = "http://127.0.0.1:8000"


@pytest.fixture(scope="module")
def working_folder(tmp_path_factory):
    """A working folder: the examples, and a curl that fails on error responses."""
    folder = tmp_path_factory.mktemp("cookbook")
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / ".curlrc").write_text('fail-with-body\nsilent\nshow-error\nnoproxy = "*"\n')
    return folder


@pytest.fixture
def run_block(stack, working_folder):
    def run(*program, block):
        environment = {**os.environ, "HOME": str(working_folder), "DTI_URL": stack.url}
        done = subprocess.run(
            program,
            input=block.replace(ADDRESS, stack.url),
            cwd=working_folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def blocks(recipe, language):
    return re.findall(rf"^```{language}\n(.*?)^```", recipe, re.DOTALL | re.MULTILINE)


def test_every_recipe_has_a_block_for_curl_and_one_for_python():
    assert len(RECIPES) == 5
    for title, recipe in RECIPES:
        assert (len(blocks(recipe, "sh")), len(blocks(recipe, "python"))) == (1, 1), title


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is no part of what `make test` installs")
@pytest.mark.parametrize("recipe", [recipe for _, recipe in RECIPES], ids=[title for title, _ in RECIPES])
def test_the_recipe_runs_with_curl(run_block, recipe):
    (block,) = blocks(recipe, "sh")
    responses = run_block("sh", "-e", block=block)
    assert '"status":"failed"' not in responses


@pytest.mark.parametrize("recipe", [recipe for _, recipe in RECIPES], ids=[title for title, _ in RECIPES])
def test_the_recipe_runs_with_the_python_client(run_block, recipe):
    (block,) = blocks(recipe, "python")
    run_block(sys.executable, "-", block=block)


def test_the_recipes_leave_their_images(working_folder):
    assert len(list((working_folder / "mascot").rglob("*.png"))) == 10
    assert [path.suffix for path in (working_folder / "interpolation").glob("animation.*")] == [".webp"]


def test_the_storage_rules_are_json():
    (rules,) = re.findall(
        r"^```json\n(.*?)^```", (ROOT / "docs" / "deploying.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert json.loads(rules)["CORSRules"][0]["AllowedMethods"] == ["GET", "HEAD"]
