"""Settings come from the environment, each from its own variable."""

from dataclasses import fields
from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import Limits, Settings, variables


def test_an_empty_environment_gives_the_defaults():
    assert Settings.from_environment({}) == Settings()
    assert Settings.from_environment({"DTI_PORT": "", "DTI_MODELS": ""}) == Settings()


CHOSEN = {
    "DTI_AUTH": "on",
    "DTI_WEBHOOK_PRIVATE_NETWORKS": "on",
    "DTI_SAFETY_POLICY": "blur",
    "DTI_SAFETY_CHECKER": "opennsfw",
    "DTI_SAFETY_THRESHOLD": "0.5",
    "DTI_TF32": "on",
    "DTI_DETERMINISTIC": "on",
}


def test_every_variable_is_read_and_described():
    raw = {variable.name: "7" for variable in variables()} | CHOSEN
    read, default = Settings.from_environment(raw), Settings()
    groups = [(getattr(read, name), getattr(default, name)) for name in ("limits", "quotas", "retention", "safety")]
    for given, usual in ((read, default), *groups):
        for name in vars(usual):
            assert getattr(given, name) != getattr(usual, name), name
    assert all(variable.description.endswith(".") for variable in variables())
    assert len({variable.name for variable in variables()}) == len(variables())


def test_values_have_their_types():
    read = Settings.from_environment({"DTI_HOME": "/data", "DTI_PORT": "80", "DTI_LEASE_S": "2.5", "DTI_MODELS": "m"})
    assert (read.home, read.port, read.lease_s, read.models) == (Path("/data"), 80, 2.5, Path("m"))
    assert isinstance(read.limits, Limits)


@pytest.mark.parametrize(
    ("variable", "raw"),
    [
        ("DTI_PORT", "eighty"),
        ("DTI_PORT", "-1"),
        ("DTI_PORT", "1.5"),
        ("DTI_PORT", "65536"),
        ("DTI_LEASE_S", "nan"),
        ("DTI_LEASE_S", "inf"),
        ("DTI_LIMIT_PICTURES", "0"),
        ("DTI_AUTH", "perhaps"),
        ("DTI_SAFETY_POLICY", "blur"),
        ("DTI_SAFETY_THRESHOLD", "1.5"),
    ],
)
def test_an_invalid_value_is_refused_with_its_name(variable, raw):
    with pytest.raises(SettingsError, match=f"{variable}.*{raw}"):
        Settings.from_environment({variable: raw})


def test_without_a_url_the_database_is_in_the_home_folder():
    assert Settings(home=Path("/data")).database_address == "sqlite:////data/dti.db"
    assert Settings(database_url="postgresql://host/dti").database_address == "postgresql://host/dti"


def test_a_quota_of_zero_is_unlimited():
    read = Settings.from_environment({"DTI_QUOTA_REQUESTS_PER_MINUTE": "0"})
    assert read.quotas.requests_per_minute == 0
    with pytest.raises(SettingsError, match="DTI_QUOTA_STORED_BYTES"):
        Settings.from_environment({"DTI_QUOTA_STORED_BYTES": "-1"})


def test_secrets_are_not_printed():
    assert "hush" not in repr(Settings(s3_secret_key="hush", admin_key="hush"))
    assert "hush" not in repr(Settings(database_url="postgresql://dti:hush@db/dti", broker_url="redis://:hush@broker"))


@pytest.mark.parametrize("name", sorted(variable.name for variable in variables() if variable.secret))
def test_every_secret_can_be_in_a_file(name, tmp_path):
    file = tmp_path / "secret"
    with pytest.raises(SettingsError, match="cannot be read"):
        Settings.from_environment({f"{name}_FILE": str(file)})
    file.write_text("http://hush-hush\n")
    assert Settings.from_environment({f"{name}_FILE": str(file)}) == Settings.from_environment(
        {name: "http://hush-hush"}
    )
    with pytest.raises(SettingsError, match="both set"):
        Settings.from_environment({name: "x", f"{name}_FILE": str(file)})


def test_every_member_that_is_not_printed_is_a_secret():
    hidden = {f"DTI_{member.name}".upper() for member in fields(Settings) if not member.repr}
    assert hidden | {"DTI_S3_ACCESS_KEY"} == {variable.name for variable in variables() if variable.secret}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.2", "gpu.example.org"])
@pytest.mark.parametrize(
    "secret",
    [
        {"DTI_S3_SECRET_KEY": "dti-secret"},
        {"DTI_S3_SECRET_KEY": "minioadmin"},
        {"DTI_DATABASE_URL": "postgresql://dti:dti@db/dti"},
        {"DTI_BROKER_URL": "redis://:changeme@broker/0"},
    ],
)
def test_a_known_default_of_a_secret_is_refused_where_other_machines_reach_the_port(host, secret):
    with pytest.raises(SettingsError, match="a known default, and DTI_HOST is"):
        Settings.from_environment({"DTI_HOST": host, **secret})
    assert Settings.from_environment({"DTI_HOST": "127.0.0.1", **secret})
