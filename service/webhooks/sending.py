"""One attempt to send a message: the address is checked, time and response are bounded.

The host name is resolved once, its IP addresses are checked, and the connection goes to one of these, so that a later
change of DNS has no effect. Redirects are not followed; proxies and credentials of the environment are not used. It
knows no database.
"""

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import certifi
import httpx

from service.errors import InvalidInputError
from service.settings import PrivateNetworks
from service.webhooks import addresses, signatures
from service.webhooks.addresses import Address, ForbiddenAddressError, Machine
from service.webhooks.deliveries import ClaimedDelivery, Outcome

DEADLINE_S = 10.0
"""Deadline of an attempt: DNS, connection, request, and the beginning of the response."""

_CONNECT_S = 4.0
_NAMES_AT_ONCE = 32
_EXCERPT_BYTES = 300
_AGENT = "dti-webhooks/1"

LookUp = Callable[[str, int], Awaitable[list[str]]]


async def look_up(host: str, port: int) -> list[str]:
    """The IP addresses of a host name, in order of preference."""
    ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    found = await asyncio.get_running_loop().run_in_executor(_resolver(), ask)
    return [str(address[0]) for *_, address in found]


def post(
    delivery: ClaimedDelivery, private_networks: PrivateNetworks, now: datetime, look_up: LookUp = look_up
) -> Outcome:
    """Send a message once; failures of the address or the receiver are outcomes and never raised."""
    try:
        return asyncio.run(_within_deadline(delivery, private_networks, now, look_up))
    except TimeoutError:
        return Outcome(error=f"There was no response within {DEADLINE_S:g} seconds.")
    except (ForbiddenAddressError, InvalidInputError) as error:
        return Outcome(error=f"Nothing is sent there. {error}")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        return Outcome(error=f"It could not be reached: {_printable(str(error)) or type(error).__name__}")


async def _within_deadline(
    delivery: ClaimedDelivery, private_networks: PrivateNetworks, now: datetime, look_up: LookUp
) -> Outcome:
    async with asyncio.timeout(DEADLINE_S):
        address = addresses.read(delivery.url, private_networks)
        machines = addresses.allowed(await look_up(address.host, address.port), private_networks)
        headers = {
            **signatures.headers(delivery.id, delivery.body, delivery.secrets, now),
            "Host": address.authority,
            "Content-Type": "application/json",
            "User-Agent": _AGENT,
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        return await _to_the_first_that_listens(address, machines, headers, delivery.body)


async def _to_the_first_that_listens(
    address: Address, machines: list[Machine], headers: Mapping[str, str], body: bytes
) -> Outcome:
    timeout = httpx.Timeout(DEADLINE_S, connect=_CONNECT_S)
    async with httpx.AsyncClient(verify=_trusted(), trust_env=False, follow_redirects=False, timeout=timeout) as client:
        *others, last = machines
        for machine in others:
            try:
                return await _send(client, address, machine, headers, body)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await _send(client, address, last, headers, body)


async def _send(
    client: httpx.AsyncClient, address: Address, machine: Machine, headers: Mapping[str, str], body: bytes
) -> Outcome:
    # The certificate has to be that of the name, though the connection goes to the number.
    named = {"sni_hostname": address.host}
    async with client.stream("POST", address.at(machine), content=body, headers=headers, extensions=named) as response:
        return Outcome(status=response.status_code, response=await _beginning(response))


async def _beginning(response: httpx.Response) -> str:
    read = b""
    async for block in response.aiter_raw(_EXCERPT_BYTES):
        read += block
        if len(read) >= _EXCERPT_BYTES:
            break
    return _printable(read[:_EXCERPT_BYTES].decode("utf-8", "replace"))


def _printable(text: str) -> str:
    """Foreign text as one printable line."""
    return "".join(character if character.isprintable() else " " for character in text)[:_EXCERPT_BYTES].strip()


@functools.cache
def _resolver() -> ThreadPoolExecutor:
    """The threads for DNS: an event loop waits for its own threads at its end, and DNS may take minutes."""
    return ThreadPoolExecutor(_NAMES_AT_ONCE, thread_name_prefix="names")


@functools.cache
def _trusted() -> ssl.SSLContext:
    """The trusted certificates: this machine's and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
