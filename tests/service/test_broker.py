"""The broker reaches the broker, and a broker that is down holds nobody."""

import json
import logging
import socket
import time

import pytest
import redis

from service.broker import Broker, queue_name
from service.errors import SettingsError
from service.settings import Settings
from stack.processes import LOOPBACK, free_port


@pytest.fixture
def deaf_broker():
    """A port that takes connections and never answers."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield f"redis://{LOOPBACK}:{listener.getsockname()[1]}/0"


def rung_in_s(url):
    broker = Broker(Settings(broker_url=url))
    started = time.monotonic()
    broker.notify("tiny")
    elapsed_s = time.monotonic() - started
    broker.close()
    return elapsed_s


def test_a_ring_lies_in_the_queue_of_its_model(valkey_url):
    broker = Broker(Settings(broker_url=valkey_url))
    broker.notify("tiny")
    broker.close()
    with redis.Redis.from_url(valkey_url) as broker:
        message = json.loads(broker.lpop(queue_name("tiny")))
    assert message["headers"]["task"] == "dti.wake"
    assert message["headers"]["argsrepr"] == "['tiny']"


def test_a_broker_that_is_down_is_said_in_the_log_and_holds_nobody(caplog):
    with caplog.at_level(logging.WARNING):
        assert rung_in_s(f"redis://{LOOPBACK}:{free_port()}/0") < 1.5
    assert "tiny" in caplog.text


def test_a_broker_that_never_answers_holds_nobody_for_long(deaf_broker, caplog):
    assert rung_in_s(deaf_broker) < 2.5
    assert "tiny" in caplog.text


def test_the_bell_rings_again_once_the_broker_is_back(valkey_url):
    broker = Broker(Settings(broker_url=valkey_url))
    broker.notify("tiny")
    with redis.Redis.from_url(valkey_url) as broker:
        broker.client_kill_filter(skipme=True)
        broker.notify("tiny")
        broker.notify("tiny")
        assert broker.llen(queue_name("tiny")) >= 2
    broker.close()


def test_a_bell_needs_an_address():
    with pytest.raises(SettingsError, match="DTI_BROKER_URL"):
        Broker(Settings())
