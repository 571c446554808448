import pytest

from api.access import trusted_hosts
from service.errors import SettingsError
from service.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
@pytest.mark.parametrize("auth", ["auto", "off"])
def test_on_loopback_nobody_needs_a_key(host, auth):
    assert trusted_hosts(Settings(host=host, auth=auth)) == {"localhost", "127.0.0.1", "::1", host}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "dti.example"])
@pytest.mark.parametrize("auth", ["auto", "on", "off"])
def test_elsewhere_nothing_starts_unless_the_operator_says_who_is_trusted(host, auth):
    with pytest.raises(SettingsError, match="DTI_TRUSTED_HOSTS"):
        trusted_hosts(Settings(host=host, auth=auth))


def test_elsewhere_the_named_hosts_and_this_machine_are_trusted():
    hosts = trusted_hosts(Settings(host="0.0.0.0", auth="off", trusted_hosts="Api, dti.example ,"))
    assert hosts == {"localhost", "127.0.0.1", "::1", "api", "dti.example"}


def test_keys_cannot_be_asked_for_yet():
    with pytest.raises(SettingsError, match="keys"):
        trusted_hosts(Settings(auth="on"))
