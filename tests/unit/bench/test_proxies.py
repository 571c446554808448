"""The proxy of the chaos run: the store behind it vanishes and comes back."""

import socket
import threading

import pytest

from bench.chaos.proxies import Proxy
from stack.processes import LOOPBACK


@pytest.fixture
def echo():
    """A port that sends back a message."""
    with socket.create_server((LOOPBACK, 0)) as listener:

        def serve():
            try:
                while True:
                    connection, _ = listener.accept()
                    connection.sendall(connection.recv(16))
                    connection.close()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def asked(port):
    with socket.create_connection((LOOPBACK, port), timeout=5) as connection:
        connection.sendall(b"hello")
        return connection.recv(16)


def test_a_store_behind_a_proxy_vanishes_and_comes_back(echo):
    proxy = Proxy(echo)
    assert asked(proxy.port) == b"hello"
    proxy.down()
    with pytest.raises(OSError, match="refused"):
        asked(proxy.port)
    proxy.up()
    assert asked(proxy.port) == b"hello"
    proxy.down()
