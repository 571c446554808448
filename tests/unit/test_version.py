"""Service and client carry one version, and the changelog knows it."""

import tomllib
from pathlib import Path

from dti import __version__

ROOT = Path(__file__).parents[2]


def test_the_client_has_the_version_of_the_service():
    client = tomllib.loads((ROOT / "client" / "pyproject.toml").read_text())
    assert client["project"]["version"] == __version__


def test_the_changelog_has_an_entry_for_the_version():
    headings = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[0].startswith(f"## {__version__}")
