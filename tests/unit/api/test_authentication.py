from types import SimpleNamespace

import pytest
from fastapi import FastAPI

from api import authentication
from service.errors import SettingsError
from service.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_on_loopback_keys_are_required_only_if_configured(host):
    assert [Settings(host=host, auth=auth).auth_required for auth in ("auto", "off", "on")] == [False, False, True]
    assert authentication.trusted_hosts(Settings(host=host)) == {"localhost", "127.0.0.1", "::1", host}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "dti.example"])
def test_on_other_hosts_keys_are_required_and_off_is_refused(host):
    assert Settings(host=host, auth="auto").auth_required
    assert Settings(host=host, auth="on").auth_required
    with pytest.raises(SettingsError, match=f"DTI_AUTH is off and DTI_HOST is {host}"):
        _ = Settings(host=host, auth="off").auth_required


def test_other_origins_cannot_be_allowed_without_authentication():
    with pytest.raises(SettingsError, match="DTI_CORS_ORIGINS"):
        authentication.install(FastAPI(), SimpleNamespace(settings=Settings(cors_origins="https://app.example")), None)
