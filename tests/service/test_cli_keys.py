"""`dti keys` manages keys directly in the database."""

import pytest
from typer.testing import CliRunner

from cli.keys import app
from service import audit
from service.accounts.authentication import Authenticator
from service.errors import DatabaseUnavailableError, SettingsError
from service.settings import Settings


@pytest.fixture
def keys(monkeypatch, tmp_path, database_url):
    monkeypatch.setenv("DTI_HOME", str(tmp_path))
    monkeypatch.setenv("DTI_DATABASE_URL", database_url)

    def run(*arguments):
        return CliRunner().invoke(app, list(arguments), catch_exceptions=False)

    return run


def test_a_key_is_minted_listed_and_revoked(keys, database):
    minted = keys("mint", "--owner", "ada", "--scopes", "read, admin", "--expires-days", "3", "--stored-bytes", "5")
    secret = minted.stdout.strip()
    identity = Authenticator(database, Settings()).identify(secret)
    assert (identity.scopes, identity.quotas) == ({"read", "admin"}, {"stored_bytes": 5})
    (line,) = keys("list").stdout.splitlines()
    assert secret[:12] in line
    assert secret not in line
    assert keys("list", "--owner", "bob").stdout == ""
    assert keys("revoke", identity.key_id).exit_code == 0
    assert "revoked" in keys("list", "--owner", "ada").stdout
    with database.reading() as session:
        entries = audit.page(session, audit.Filters(), None, 20).items
    assert [(entry.action, entry.subject, entry.key_id) for entry in entries] == [
        ("key.revoked", identity.key_id, None),
        ("key.minted", identity.key_id, None),
    ]


@pytest.mark.parametrize(
    ("address", "message"),
    [("postgresql+psycopg://u@127.0.0.1:1/x", "does not answer"), (None, "file cannot be opened")],
)
def test_a_database_that_cannot_be_reached_is_reported_in_one_sentence(keys, monkeypatch, tmp_path, address, message):
    monkeypatch.setenv("DTI_DATABASE_URL", address or f"sqlite:///{tmp_path}/none/dti.db")
    for command in (("list",), ("mint",), ("revoke", "key_x")):
        with pytest.raises(DatabaseUnavailableError, match=message):
            keys(*command)


def test_a_database_without_tables_is_reported_in_one_sentence(keys, monkeypatch, tmp_path):
    monkeypatch.setenv("DTI_DATABASE_URL", f"sqlite:///{tmp_path / 'new.sqlite3'}")
    with pytest.raises(SettingsError, match="dti migrate"):
        keys("mint")
