"""One attempt to bring a message to its address: whom it asks is checked, what it takes and reads is bounded.

The name is looked up once, the machines that it stands for are checked, and the connection goes to one of these and to
nothing else: a name that means another machine a moment later changes nothing. Redirects are not followed, proxies and
credentials of the environment not used. It knows no database.
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
"""For all of it: looking the name up, connecting, sending, and the beginning of the response."""

_CONNECT_S = 4.0
_NAMES_AT_ONCE = 32
_EXCERPT_BYTES = 300
_AGENT = "dti-webhooks/1"

LookUp = Callable[[str, int], Awaitable[list[str]]]


async def look_up(host: str, port: int) -> list[str]:
    """The machines that a name stands for, the ones to try first at the front."""
    ask = functools.partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    found = await asyncio.get_running_loop().run_in_executor(_resolver(), ask)
    return [str(address[0]) for *_, address in found]


def post(
    delivery: ClaimedDelivery, private_networks: PrivateNetworks, now: datetime, look_up: LookUp = look_up
) -> Outcome:
    """Send a message once and say what came of it; never raises for anything that an address or a receiver does."""
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
    """A stranger's text as one line that can be stored and shown."""
    return "".join(character if character.isprintable() else " " for character in text)[:_EXCERPT_BYTES].strip()


@functools.cache
def _resolver() -> ThreadPoolExecutor:
    """Who asks for names. A loop's own threads would be waited for at its end, and a name server may take minutes."""
    return ThreadPoolExecutor(_NAMES_AT_ONCE, thread_name_prefix="names")


@functools.cache
def _trusted() -> ssl.SSLContext:
    """Whose certificates are believed: those of this machine, and the usual ones where it has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
