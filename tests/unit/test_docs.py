"""Completeness of the documentation."""

import re
from pathlib import Path
from typing import get_args

from dti.spec.merged import merged_settings
from dti.spec.registry import METHODS
from dti.spec.settings import EmbeddingFormat, Training
from service.settings import variables

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_setting_is_in_the_docs_with_its_sentence():
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert [variable.name for variable in variables() if f"`{variable.name}`" not in page] == []
    assert [variable.name for variable in variables() if variable.description not in page] == []


def test_every_format_of_embeddings_is_in_the_docs():
    page = (DOCS / "formats.md").read_text(encoding="utf-8")
    assert [name for name in get_args(EmbeddingFormat) if f"| `{name}` |" not in page] == []


def test_every_method_and_every_setting_of_its_own_is_in_the_docs():
    page = (DOCS / "method.md").read_text(encoding="utf-8")
    assert [name for name in METHODS if f"**`{name}`" not in page] == []
    shared = Training.__dataclass_fields__
    assert [name for name in merged_settings() if name not in shared and f"`{name}`" not in page] == []


def test_every_relative_link_leads_to_a_file():
    pages = [*DOCS.rglob("*.md"), *DOCS.parent.glob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s:]+)[^):]*\)", page.read_text("utf-8"))]
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_every_line_of_the_threat_model_names_an_existing_test():
    page = (DOCS / "security.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| threat")]
    named = [re.search(r"`(tests/[\w/]+\.py)(?:::(\w+))?` \|$", line) for line in lines]
    assert len(lines) > 20
    assert [line for line, found in zip(lines, named, strict=True) if found is None] == []
    for found in filter(None, named):
        path, test = found.groups()
        assert (DOCS.parent / path).exists(), path
        assert test is None or f"def {test}(" in (DOCS.parent / path).read_text(encoding="utf-8"), test
