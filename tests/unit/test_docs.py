"""What the documentation must not forget."""

from pathlib import Path

from service.settings import variables

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_setting_is_in_the_docs_with_its_sentence():
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert [variable.name for variable in variables() if f"`{variable.name}`" not in page] == []
    assert [variable.name for variable in variables() if variable.sentence not in page] == []
