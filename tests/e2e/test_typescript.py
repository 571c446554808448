"""The OpenAPI document types a TypeScript client and the scripts of the page."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.stack import ROOT, drawings

SOURCES = Path(__file__).parents[1] / "typescript"
TOOLS = SOURCES / "node_modules"
FILES = ("main.ts", "tsconfig.json", "page.d.ts", "tsconfig.page.json", "package.json")


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A folder with the program and the tools that `make test` has installed."""
    folder = tmp_path_factory.mktemp("typescript")
    for name in FILES:
        shutil.copy(SOURCES / name, folder)
    assert TOOLS.is_dir(), "Run `sh tools/node.sh`, as `make test` does."
    (folder / "node_modules").symlink_to(TOOLS)
    return folder


def node(folder, program, *arguments):
    done = subprocess.run(
        ["node", program, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_scripts_of_the_page_match_the_types_of_the_api(stack, workshop):
    (workshop / "openapi.json").write_bytes(stack.client.get("/openapi.json").content)
    shutil.copytree(ROOT / "api" / "page" / "scripts", workshop / "scripts")
    node(workshop, TOOLS / "openapi-typescript" / "bin" / "cli.js", "openapi.json", "--output", "schema.d.ts")
    node(workshop, TOOLS / "typescript" / "bin" / "tsc", "--project", "tsconfig.page.json")


def test_a_generated_client_compiles_strictly_and_does_the_main_job(stack, workshop):
    (workshop / "openapi.json").write_bytes(stack.client.get("/openapi.json").content)
    # Fields with a default are optional in requests.
    options = ("--output", "schema.ts", "--default-non-nullable=false")
    node(workshop, TOOLS / "openapi-typescript" / "bin" / "cli.js", "openapi.json", *options)
    node(workshop, TOOLS / "typescript" / "bin" / "tsc")
    pictures = [base64.b64encode(picture).decode() for picture in drawings("olive", count=2, size=48)]
    output = json.loads(node(workshop, "built/main.js", stack.url, *pictures))
    assert output == {"models": ["tiny"], "trained": "succeeded", "images": ["image/png"], "refused": "not_found"}
