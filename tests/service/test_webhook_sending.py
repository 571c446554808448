"""One attempt to deliver: where the connection goes, what is not followed, and what a receiver cannot do."""

import re
import socket
import threading
import time
from datetime import UTC, datetime

import pytest

from service.webhooks import sending
from service.webhooks.deliveries import ClaimedDelivery
from service.webhooks.signatures import new_secret
from stack.processes import LOOPBACK, free_port

HOST = "hooks.example"


class Names:
    """A name server that gives each answer once."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requested = []

    async def __call__(self, host, port):
        self.requested.append((host, port))
        return self.answers.pop(0)


def post(url, private="on", look_up=sending.look_up):
    delivery = ClaimedDelivery(
        id="dlv_1",
        webhook_id="whk_1",
        attempt=1,
        claimed_at=datetime.now(UTC),
        url=url,
        body=b"{}",
        secrets=(new_secret(),),
    )
    return sending.post(delivery, private, datetime.now(UTC), look_up)


def test_the_connection_goes_to_the_checked_ip_with_the_given_host_name(receiver):
    names = Names([LOOPBACK])
    outcome = post(receiver.url("/a?b=c", HOST), look_up=names)
    assert outcome.delivered
    ((path, headers, body),) = receiver.got
    assert (path, headers["Host"], body) == ("/a?b=c", f"{HOST}:{receiver.port}", b"{}")
    # Asked once: a name that changes its mind is not heard again.
    assert names.requested == [(HOST, receiver.port)]


def test_a_name_that_resolves_to_a_private_address_gets_no_request(receiver):
    for machines in ([LOOPBACK], ["8.8.8.8", LOOPBACK], ["::ffff:127.0.0.1"], ["169.254.169.254"], []):
        outcome = post(f"https://{HOST}:{receiver.port}/", "off", Names(machines))
        assert not outcome.delivered
        assert outcome.error.startswith("Nothing is sent there.")
    assert receiver.got == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "https://2130706433:{port}/", "https://[::1]:{port}/"])
def test_an_address_is_checked_at_every_delivery(receiver, url):
    names = Names()
    assert post(url.format(port=receiver.port), "off", names).error.startswith("Nothing is sent there.")
    assert (receiver.got, names.requested) == ([], [])


def test_tls_verifies_the_name_at_the_checked_ip():
    with socket.create_server((LOOPBACK, 0)) as listener:
        heard = []

        def hear():
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(4096))

        thread = threading.Thread(target=hear)
        thread.start()
        outcome = post(f"https://{HOST}:{listener.getsockname()[1]}/", look_up=Names([LOOPBACK]))
        thread.join()
    assert not outcome.delivered
    assert HOST.encode() in heard[0]


def test_the_next_ip_of_a_name_is_tried_if_the_first_refuses(receiver):
    outcome = post(receiver.url(host=HOST), look_up=Names(["::1", LOOPBACK]))
    assert outcome.delivered


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(receiver, status):
    receiver.answers, receiver.headers = [status], {"Location": receiver.url("/elsewhere")}
    outcome = post(receiver.url())
    assert (outcome.delivered, outcome.status) == (False, status)
    assert [path for path, *_ in receiver.got] == ["/hook"]


def test_proxies_of_the_environment_are_not_used(receiver, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://{LOOPBACK}:{free_port()}")
    assert post(receiver.url()).delivered


def test_little_of_a_response_is_read_and_stored_as_one_line(receiver):
    receiver.body = b"a\0b\r\n\x1b[31m\xff" + b"x" * 50_000_000
    outcome = post(receiver.url())
    assert outcome.delivered
    assert len(outcome.response) <= 300
    assert re.fullmatch(r"[ -~\ufffd]+", outcome.response)


def test_a_slow_receiver_occupies_a_sender_for_a_limited_time(receiver, monkeypatch):
    monkeypatch.setattr(sending, "DEADLINE_S", 0.3)
    receiver.dawdle_s = 1.0
    assert post(receiver.url()).error == "There was no response within 0.3 seconds."


def test_a_slowly_sent_response_occupies_a_sender_for_a_limited_time(monkeypatch):
    monkeypatch.setattr(sending, "DEADLINE_S", 0.5)
    with socket.create_server((LOOPBACK, 0)) as listener:
        over = threading.Event()

        def drip():
            connection, _ = listener.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
                    if over.wait(0.05):
                        return
                    connection.sendall(bytes([byte]))

        thread = threading.Thread(target=drip)
        thread.start()
        outcome = post(f"http://{LOOPBACK}:{listener.getsockname()[1]}/")
        over.set()
        thread.join()
    assert outcome.error == "There was no response within 0.5 seconds."


def test_a_silent_name_server_occupies_a_sender_for_a_limited_time(monkeypatch):
    requested, over = threading.Event(), threading.Event()

    def silent(*_, **__):
        requested.set()
        over.wait(5)
        return []

    monkeypatch.setattr(sending, "DEADLINE_S", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", silent)
    began = time.monotonic()
    outcome = post("http://hooks.example/")
    took_s = time.monotonic() - began
    over.set()
    assert requested.is_set()
    assert outcome.error == "There was no response within 0.3 seconds."
    assert took_s < 4


def test_every_failure_is_reported_in_a_sentence(receiver):
    unreachable = f"http://{LOOPBACK}:{free_port()}/"
    assert post(unreachable).error.startswith("It could not be reached:")
    assert post(f"https://{LOOPBACK}:{receiver.port}/").error.startswith("It could not be reached:")

    async def no_such_name(_host, _port):
        raise socket.gaierror(-2, "Name or service not known")

    assert "not known" in post("https://nobody.example/", "off", no_such_name).error


def test_names_are_resolved(receiver):
    assert post(receiver.url(host="localhost")).delivered
