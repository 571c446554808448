"""Settings come from the environment, each from its own variable."""

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
