"""The wheel in a clean environment: no sources, another folder, no compiler; it serves, trains and renders."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.stack import ROOT, Stack, drawings

TOP_LEVEL = {"api", "cli", "dti", "migrations", "service", "stack", "worker"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    # Built from a copy, because the build writes beside the sources.
    sources = shutil.copytree(
        ROOT, folder / "sources", ignore=shutil.ignore_patterns(".*", "tests", "build", "*output")
    )
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", folder, sources], check=True, timeout=300)
    (built,) = folder.glob("dti_service-*.whl")
    return built


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """A new environment with the wheel; its dependencies are those of this environment, its own code is not."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # A folder that a .pth file names has its own .pth files ignored, and so the editable installation of the sources.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "bin" / "python"


def test_the_wheel_holds_these_packages_and_no_tests(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info" not in name} == TOP_LEVEL
    for file in ("api/page/index.html", "dti/py.typed", "migrations/versions/0001"):
        assert any(name.startswith(file) for name in names), file
    assert any(name.startswith("dti/models/tiny/checkpoint/unet/") for name in names)


def test_it_is_the_wheel_that_runs(python, tmp_path):
    script = "import cli, dti; print(cli.__file__); print(dti.__version__)"
    found = subprocess.run(
        [python, "-P", "-c", script], cwd=tmp_path, env={}, capture_output=True, text=True, check=True
    )
    assert str(ROOT) not in found.stdout


def test_it_serves_a_concept_and_a_picture_from_another_folder(python, tmp_path):
    # Programs of the dependencies' wheels, such as rclone, lie beside this environment's python.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    stack = Stack(tmp_path / "home", command=(str(python), "-P", "-m", "cli"), PYTHONPATH="", PATH=path)
    stack.start()
    try:
        stack.client.succeeded(stack.client.train("clean-dog", drawings("red", 2), steps=3, batch_size=1))
        job = stack.client.succeeded(stack.client.generate("a photo of <clean-dog>", steps=2))
        (image,) = job["output"]["images"]
        assert stack.client.fetch(image)
        assert "<title" in stack.client.get("/").text
    finally:
        stack.stop()
