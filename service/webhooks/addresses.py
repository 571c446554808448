"""Addresses of webhooks, checked against server-side request forgery (SSRF).

A client that may name an address can have the service send a request from inside its network. Private networks are
therefore refused unless the operator allows them. An address is checked as it is written, and the IP addresses of its
host name when a message is sent: DNS may change at any time, so the sender must connect to the checked ones. Nothing
is sent here.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from service.errors import InvalidInputError
from service.settings import PrivateNetworks

Machine = ipaddress.IPv4Address | ipaddress.IPv6Address

URL_CHARACTERS = 2000

_PRINTABLE = re.compile(r"[!-~]+")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_NAME_CHARACTERS = 253
_FIRST_FREE_PORT = 1024
"""Lower ports belong to services that do not speak HTTP."""
_PORTS = {"https": 443, "http": 80}

_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        "168.63.129.16/32",  # a cloud's own metadata, though its number is a public one
        "192.0.0.0/24",  # protocols' own, and a cloud's metadata
        "192.88.99.0/24",  # relays of 6to4
        "224.0.0.0/4",  # multicast
        "2001::/23",  # protocols' own, among them Teredo, which carries an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries an IPv4 address
        "3fff::/20",  # documentation
    )
)
"""Networks that Python, in some version, calls global, and that contain no public hosts."""


class ForbiddenAddressError(Exception):
    """The address is not allowed; the message has the reason."""


@dataclass(frozen=True)
class Address:
    """A checked address, split for a request."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query."""

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def at(self, machine: Machine) -> str:
        """The same URL at one IP address."""
        host = f"[{machine}]" if machine.version == 6 else str(machine)  # noqa: PLR2004 - the version of IP
        return f"{self.scheme}://{host}:{self.port}{self.target}"


def read(url: str, private_networks: PrivateNetworks) -> Address:
    """Parse and check an address as it is written, without a DNS query.

    Raises:
        InvalidInputError: it is invalid or not allowed.
    """
    try:
        return _read(url, private_networks)
    except ForbiddenAddressError as error:
        raise InvalidInputError("webhook.url", str(error)) from error


def allowed(machines: Iterable[str], private_networks: PrivateNetworks) -> list[Machine]:
    """The IP addresses of a host, if all of them are allowed.

    Raises:
        ForbiddenAddressError: one of them is not public, or there is none.
    """
    found = list(dict.fromkeys(ipaddress.ip_address(machine) for machine in machines))
    if not found:
        raise ForbiddenAddressError("Its name stands for no machine.")
    if private_networks == "off" and not all(is_public(machine) for machine in found):
        raise ForbiddenAddressError("Its name stands for a machine in a network that is not public.")
    return found


def is_public(machine: Machine) -> bool:
    """Whether an IP address is public and embeds no other address."""
    if isinstance(machine, ipaddress.IPv6Address) and machine not in _GLOBAL_IPV6:
        return False
    return machine.is_global and not any(machine in network for network in _NOT_PUBLIC)


def _read(url: str, private_networks: PrivateNetworks) -> Address:
    if len(url) > URL_CHARACTERS or not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise ForbiddenAddressError(f"An address is 1 to {URL_CHARACTERS} printable ASCII characters without spaces.")
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError as error:
        raise ForbiddenAddressError("It cannot be read as an address.") from error
    if parts.scheme not in ({"https"} if private_networks == "off" else _PORTS):
        raise ForbiddenAddressError("Webhooks go to https:// addresses.")
    if "@" in parts.netloc or "#" in url:
        raise ForbiddenAddressError("It must hold neither a user's name nor a fragment.")
    port = _PORTS[parts.scheme] if port is None else port
    if private_networks == "off" and port != _PORTS["https"] and port < _FIRST_FREE_PORT:
        raise ForbiddenAddressError(f"Its port must be 443 or at least {_FIRST_FREE_PORT}.")
    _check_host(host, private_networks, bracketed="[" in parts.netloc)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Address(parts.scheme, host, port, target)


def _check_host(host: str, private_networks: PrivateNetworks, *, bracketed: bool) -> None:
    """Check a name, or an IP address in its canonical form: other forms serve only to bypass checks."""
    if bracketed or _NUMBER.fullmatch(host.rpartition(".")[2]):
        allowed([str(_machine(host))], private_networks)
    elif not _NAME.fullmatch(host) or len(host) > _NAME_CHARACTERS:
        raise ForbiddenAddressError("Its host is neither a name nor a number. Write other alphabets in Punycode.")
    elif private_networks == "off" and ("." not in host or host.endswith(".localhost")):
        raise ForbiddenAddressError("Its host is a name of this machine or network.")


def _machine(host: str) -> Machine:
    try:
        machine = ipaddress.ip_address(host)
    except ValueError as error:
        raise ForbiddenAddressError("Its host is a number in an unusual form.") from error
    if "%" in host:
        raise ForbiddenAddressError("Its host names an interface of this machine.")
    return machine
