"""Half requests, slow clients and contradictory lengths, over plain sockets."""

import socket
import time

import httpx
import pytest

from api import connections
from api.stream_limits import StreamLimit
from service.errors import TooManyStreamsError


@pytest.fixture
def connect(settings, running):
    opened = []

    def open_one(sent=b""):
        connection = socket.create_connection((settings.host, settings.port), timeout=10)
        connection.sendall(sent)
        opened.append(connection)
        return connection

    yield open_one
    for connection in opened:
        connection.close()


def closed_after(connection):
    """The seconds until the server closes, and what it sent."""
    began, received = time.monotonic(), b""
    try:
        while data := connection.recv(4096):
            received += data
    except ConnectionResetError:
        pass
    return time.monotonic() - began, received


HALF_HEADER = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n"
HALF_BODY = b'POST /v1/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"prompt"'


@pytest.mark.parametrize("sent", [b"", HALF_HEADER, HALF_BODY], ids=["nothing", "half a header", "half a body"])
def test_a_connection_without_a_whole_request_is_closed(connect, monkeypatch, sent):
    monkeypatch.setattr(connections, "HEADER_S", 0.5)
    monkeypatch.setattr(connections, "BODY_S", 0.5)
    seconds, received = closed_after(connect(sent))
    assert seconds < 4
    assert received.startswith(b"HTTP/1.1 408 ") == bool(sent)


def test_bytes_that_drip_do_not_extend_the_limit(connect, monkeypatch):
    monkeypatch.setattr(connections, "HEADER_S", 0.5)
    connection = connect(HALF_HEADER)
    assert any(was_refused(connection, b"X-Header: 1\r\n") for _ in range(60))


def was_refused(connection, data):
    time.sleep(0.1)
    try:
        connection.sendall(data)
    except OSError:
        return True
    return False


def test_a_body_that_arrives_steadily_is_read_to_its_end(connect, monkeypatch):
    monkeypatch.setattr(connections, "BODY_S", 1.0)
    monkeypatch.setattr(connections, "BODY_BYTES_PER_S", 10)
    connection = connect(b"POST /v1/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 80\r\n\r\n")
    for _ in range(8):
        connection.sendall(b" " * 10)
        time.sleep(0.3)
    assert connection.recv(100).startswith(b"HTTP/1.1 422 ")


def test_at_the_limit_of_connections_others_are_served(connect, client, running, monkeypatch):
    monkeypatch.setattr(running.config, "limit_concurrency", 20)
    held = [connect(HALF_HEADER) for _ in range(60)]
    for _ in range(5):
        with httpx.Client(base_url=client.base_url, timeout=2) as other:
            assert other.get("/health/live").status_code == 200
    assert len(running.server_state.connections) <= 20
    assert closed_after(held[0])[0] < 1


def test_a_request_with_two_lengths_is_refused_and_its_connection_closed(connect):
    sent = (
        b"POST /v1/generations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    _, received = closed_after(connect(sent))
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1") == 1
    assert b"Transfer-Encoding" in received


def test_the_limit_of_open_files_leaves_room_for_the_connections():
    limit = connections.connection_limit()
    soft = connections.resource.getrlimit(connections.resource.RLIMIT_NOFILE)[0]
    assert limit < soft
    assert limit >= min(connections.MAX_CONNECTIONS, soft // 2)


def test_a_key_has_so_many_streams_and_a_closed_one_makes_room():
    streams = StreamLimit(2)
    with streams.open("key"):
        with streams.open("key"):
            streams.check("another")
            streams.check(None)
            with pytest.raises(TooManyStreamsError, match="already 2 event streams"):
                streams.check("key")
        streams.check("key")
