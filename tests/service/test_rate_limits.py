"""Requests are counted in the broker, and let through where it is down."""

import logging

import pytest

from service.accounts import rate_limits
from service.accounts.rate_limits import RateLimiter
from service.errors import TooManyRequestsError
from service.settings import Settings


@pytest.fixture
def counted(valkey_url):
    opened = RateLimiter(Settings(broker_url=valkey_url))
    yield opened
    opened.close()


def test_every_key_has_its_own_requests_per_window(counted):
    assert [counted.count("key_a", 3).remaining for _ in range(3)] == [2, 1, 0]
    with pytest.raises(TooManyRequestsError) as caught:
        counted.count("key_a", 3)
    assert 1 <= caught.value.retry_after_s <= rate_limits.WINDOW_S
    assert counted.count("key_b", 3).remaining == 2


def test_processes_share_the_count(counted, valkey_url):
    elsewhere = RateLimiter(Settings(broker_url=valkey_url))
    assert [process.count("key_a", 9).remaining for process in (counted, elsewhere, counted)] == [8, 7, 6]
    elsewhere.close()


def test_without_a_broker_requests_pass_and_it_is_not_asked_for_a_while(caplog, monkeypatch):
    alone = RateLimiter(Settings(broker_url="redis://127.0.0.1:1/0"))
    with caplog.at_level(logging.WARNING):
        assert [alone.count("key_a", 1) for _ in range(5)] == [None] * 5
        assert len(caplog.records) == 1
        monkeypatch.setattr(rate_limits.time, "monotonic", lambda: alone._silent_until + 0.1)
        assert alone.count("key_a", 1) is None
    assert len(caplog.records) == 2
    alone.close()
