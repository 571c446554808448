"""Wake-ups reach the broker, and a broker that is down delays no request."""

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
def silent_broker():
    """A port that takes connections and never answers."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        yield f"redis://{LOOPBACK}:{listener.getsockname()[1]}/0"


def notified_in_s(url):
    broker = Broker(Settings(broker_url=url))
    started = time.monotonic()
    broker.notify("tiny")
    elapsed_s = time.monotonic() - started
    broker.close()
    return elapsed_s


def test_a_wake_up_is_queued_for_its_model(valkey_url):
    broker = Broker(Settings(broker_url=valkey_url))
    broker.notify("tiny")
    broker.close()
    with redis.Redis.from_url(valkey_url) as valkey:
        message = json.loads(valkey.lpop(queue_name("tiny")))
    assert message["headers"]["task"] == "dti.wake"
    assert message["headers"]["argsrepr"] == "['tiny']"


def test_a_broker_that_is_down_is_logged_and_delays_nothing(caplog):
    with caplog.at_level(logging.WARNING):
        assert notified_in_s(f"redis://{LOOPBACK}:{free_port()}/0") < 1.5
    assert "tiny" in caplog.text


def test_a_broker_that_never_responds_delays_its_caller_for_seconds_at_most(silent_broker, caplog):
    assert notified_in_s(silent_broker) < 2.5
    assert "tiny" in caplog.text


def test_wake_ups_are_sent_again_once_the_broker_is_back(valkey_url):
    broker = Broker(Settings(broker_url=valkey_url))
    broker.notify("tiny")
    with redis.Redis.from_url(valkey_url) as valkey:
        valkey.client_kill_filter(skipme=True)
        broker.notify("tiny")
        broker.notify("tiny")
        assert valkey.llen(queue_name("tiny")) >= 2
    broker.close()


def test_a_broker_needs_an_address():
    with pytest.raises(SettingsError, match="DTI_BROKER_URL"):
        Broker(Settings())


def test_a_broker_that_hangs_delays_one_caller_only(silent_broker):
    broker = Broker(Settings(broker_url=silent_broker))
    broker.notify("tiny")
    started = time.monotonic()
    for _ in range(100):
        broker.notify("tiny")
    assert time.monotonic() - started < 0.1
    broker.close()


def test_wake_ups_go_on_by_themselves_after_an_outage(valkey_url, monkeypatch):
    monkeypatch.setattr("service.broker._RETRY_S", 0.05)
    broker = Broker(Settings(broker_url=valkey_url))
    broker._wait_for_recovery()
    deadline = time.monotonic() + 10
    with redis.Redis.from_url(valkey_url) as valkey:
        while not valkey.llen(queue_name("tiny")):
            assert time.monotonic() < deadline
            broker.notify("tiny")
    broker.close()


def test_wake_ups_do_not_pile_up_while_no_worker_takes_them(valkey_url):
    broker = Broker(Settings(broker_url=valkey_url))
    for _ in range(20):
        broker.notify("tiny")
    with redis.Redis.from_url(valkey_url) as valkey:
        assert valkey.llen(queue_name("tiny")) == 8
    broker.close()


def test_a_full_broker_raises_nothing(valkey_url, caplog):
    broker = Broker(Settings(broker_url=valkey_url))
    with redis.Redis.from_url(valkey_url) as valkey:
        valkey.config_set("maxmemory", "1")
        try:
            broker.notify("tiny")
        finally:
            valkey.config_set("maxmemory", "0")
    assert "look for work by themselves" in caplog.text
    broker.close()
