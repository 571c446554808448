"""Where webhooks may go. Every way in which an address can mean a machine that is not public is tried."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidInputError
from service.webhooks import addresses
from service.webhooks.addresses import ForbiddenAddressError

PRIVATE_MACHINES = (
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.1.2.3",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
)
PUBLIC_MACHINES = ("8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:800::200e")


def spelled(machine):
    return f"[{machine}]" if ":" in machine else machine


@pytest.mark.parametrize("machine", PRIVATE_MACHINES)
def test_a_private_address_is_refused_as_an_ip_and_behind_a_name(machine):
    with pytest.raises(InvalidInputError):
        addresses.read(f"https://{spelled(machine)}/hook", "off")
    with pytest.raises(ForbiddenAddressError, match="not public"):
        addresses.allowed(["8.8.8.8", machine], "off")


@pytest.mark.parametrize("machine", PUBLIC_MACHINES)
def test_a_public_address_is_allowed(machine):
    address = addresses.read(f"https://{spelled(machine)}/hook", "off")
    assert addresses.allowed([address.host], "off") == [ipaddress.ip_address(machine)]


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0177.0.0.1",
        "0x7f.0.0.1",
        "0x7f000001",
        "127.1",
        "127.0.0.1.",
        "127.0.0.01",
        "1.2.3.4.5",
        "8.8.8",
        "134744072",
        "example.0x7f",
        "[::1%25eth0]",
        "[fe80::1%1]",
        "[::ffff:7f00:1]",
        "[v1.x]",
        "[::1",
        "localhost",
        "LOCALHOST",
        "foo.localhost.",
        "printer",
        "",
        ".",
        "example..com",
        "-a.example.com",
        "exa%6dple.com",
        "a" * 64 + ".com",
        "a." * 130 + "com",
        "1.1.1.1 ",
        "1.1.1.1\t",
        "example.com\\@127.0.0.1",
        "user@example.com",
        "user:secret@example.com",
        "example.com@127.0.0.1",
        "example.com:80",
        "example.com:22",
        "example.com:0",
        "example.com:65536",
        "example.com:x",
        "bücher.example",
        "①②⑦.⓪.⓪.①",
        "example.com#@127.0.0.1",
    ],
)
def test_unusual_ip_notations_and_invalid_hosts_are_refused(host):
    with pytest.raises(InvalidInputError) as refused:
        addresses.read(f"https://{host}/hook", "off")
    assert refused.value.field == "webhook.url"
    assert host not in str(refused.value) or host in {"", "."}


@pytest.mark.parametrize(
    "url", ["http://example.com/", "ftp://example.com/", "file:///etc/passwd", "//example.com", "x"]
)
def test_only_https_is_allowed(url):
    with pytest.raises(InvalidInputError):
        addresses.read(url, "off")


@pytest.mark.parametrize(
    ("url", "authority", "target"),
    [
        ("https://Hooks.Example.com", "hooks.example.com", "/"),
        ("https://example.com:443/a?b=c", "example.com", "/a?b=c"),
        ("https://example.com:8443/a", "example.com:8443", "/a"),
        ("https://example.com./a", "example.com", "/a"),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", "/"),
        ("https://my_hook.example.com/%20", "my_hook.example.com", "/%20"),
        ("https://[2606:4700::1111]/", "[2606:4700::1111]", "/"),
    ],
)
def test_a_url_is_parsed(url, authority, target):
    address = addresses.read(url, "off")
    assert (address.authority, address.target) == (authority, target)


def test_connections_go_to_the_checked_ip():
    address = addresses.read("https://example.com:8443/a?b=c", "off")
    assert address.at(ipaddress.ip_address("8.8.8.8")) == "https://8.8.8.8:8443/a?b=c"
    assert address.at(ipaddress.ip_address("2606:4700::1111")) == "https://[2606:4700::1111]:8443/a?b=c"


def test_an_unresolvable_name_is_refused():
    with pytest.raises(ForbiddenAddressError):
        addresses.allowed([], "on")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:5000/x", "http://localhost/", "https://printer:80/", "http://[::1]:1/"]
)
def test_an_operator_can_allow_private_networks(url):
    address = addresses.read(url, "on")
    assert addresses.allowed(["127.0.0.1", "::1"], "on")
    assert address.target in {"/x", "/"}


@pytest.mark.parametrize("url", ["http://0x7f.1/", "http://2130706433/", "http://a@localhost/", "ftp://localhost/"])
def test_unusual_ip_notations_are_refused_on_private_networks_too(url):
    with pytest.raises(InvalidInputError):
        addresses.read(url, "on")


# --- laws

FORMS = {
    "usual": lambda a, b, c, d: f"{a}.{b}.{c}.{d}",
    "decimal": lambda a, b, c, d: str(int.from_bytes((a, b, c, d))),
    "octal": lambda a, b, c, d: f"0{a:o}.0{b:o}.0{c:o}.0{d:o}",
    "hex": lambda a, b, c, d: hex(int.from_bytes((a, b, c, d))),
    "hex parts": lambda a, b, c, d: f"{a:#x}.{b:#x}.{c:#x}.{d:#x}",
    "three parts": lambda a, b, c, d: f"{a}.{b}.{c * 256 + d}",
    "two parts": lambda a, b, c, d: f"{a}.{int.from_bytes((b, c, d))}",
    "padded": lambda a, b, c, d: f"{a:03}.{b:03}.{c:03}.{d:03}",
}
WITHIN_IPV6 = {
    "mapped": lambda four: f"::ffff:{four}",
    "compatible": lambda four: f"::{four}",
    "translated": lambda four: f"64:ff9b::{four}",
    "6to4": lambda four: f"2002:{int(four) >> 16:x}:{int(four) & 0xFFFF:x}::1",
    "Teredo": lambda four: f"2001:0:{int(four) >> 16:x}:{int(four) & 0xFFFF:x}::1",
}
BYTE = st.integers(0, 255)


@given(st.tuples(BYTE, BYTE, BYTE, BYTE), st.sampled_from(sorted(FORMS)))
def test_an_ip_is_refused_or_is_the_public_address_it_reads_as(four, form):
    host = FORMS[form](*four)
    try:
        address = addresses.read(f"https://{host}/", "off")
    except InvalidInputError:
        return
    assert address.host == FORMS["usual"](*four)
    assert addresses.is_public(ipaddress.ip_address(address.host))


@given(st.ip_addresses(v=4), st.sampled_from(sorted(WITHIN_IPV6)))
def test_no_embedded_ip_is_public(four, form):
    assert not addresses.is_public(ipaddress.ip_address(WITHIN_IPV6[form](four)))
