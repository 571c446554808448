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
def kitchen(tmp_path_factory):
    """Where a reader stands: the samples, and a curl that fails where the service refuses."""
    folder = tmp_path_factory.mktemp("kitchen")
    (folder / "examples").symlink_to(ROOT / "examples")
    (folder / ".curlrc").write_text('fail-with-body\nsilent\nshow-error\nnoproxy = "*"\n')
    return folder


@pytest.fixture
def cook(stack, kitchen):
    def run(*program, block):
        environment = {**os.environ, "HOME": str(kitchen), "DTI_URL": stack.url}
        done = subprocess.run(
            program,
            input=block.replace(ADDRESS, stack.url),
            cwd=kitchen,
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


def test_every_recipe_is_there_in_both_manners():
    assert len(RECIPES) == 4
    for title, recipe in RECIPES:
        assert (len(blocks(recipe, "sh")), len(blocks(recipe, "python"))) == (1, 1), title


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is no part of what `make test` installs")
@pytest.mark.parametrize("recipe", [recipe for _, recipe in RECIPES], ids=[title for title, _ in RECIPES])
def test_with_curl(cook, recipe):
    (block,) = blocks(recipe, "sh")
    answers = cook("sh", "-e", block=block)
    assert '"status":"failed"' not in answers


@pytest.mark.parametrize("recipe", [recipe for _, recipe in RECIPES], ids=[title for title, _ in RECIPES])
def test_with_the_client(cook, recipe):
    (block,) = blocks(recipe, "python")
    cook(sys.executable, "-", block=block)


def test_pictures_of_the_recipes_are_there(kitchen):
    assert len(list((kitchen / "mascot").rglob("*.png"))) == 10
    assert [path.suffix for path in (kitchen / "morph").glob("animation.*")] == [".webp"]


def test_the_rules_for_the_storage_are_json():
    (rules,) = re.findall(
        r"^```json\n(.*?)^```", (ROOT / "docs" / "deploying.md").read_text(), re.DOTALL | re.MULTILINE
    )
    assert json.loads(rules)["CORSRules"][0]["AllowedMethods"] == ["GET", "HEAD"]
