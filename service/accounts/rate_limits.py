"""Rate limits: requests per minute and key, counted in Valkey for all API processes. The one module that uses `limits`.

While the broker is down, requests are allowed uncounted, which is logged. Windows are fixed, a minute from their first
request, so that `Retry-After` is exact.
"""

import logging
import math
import time
from dataclasses import dataclass

import redis
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from service.errors import SettingsError, TooManyRequestsError
from service.settings import Settings

WINDOW_S = 60
RETRY_AFTER_S = 5.0
"""Seconds without a query after the broker has failed: each request would wait for it."""

_TIMEOUT_S = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rate:
    """The state of a key's window.

    Args:
        limit: requests in a window.
        remaining: requests left in it.
        reset_s: seconds until the next window.
    """

    limit: int
    remaining: int
    reset_s: int


class RateLimiter:
    """Counts requests; thread-safe."""

    def __init__(self, settings: Settings) -> None:
        if settings.broker_url is None:
            raise SettingsError("DTI_BROKER_URL is not set. Set it, or use `dti serve`.")
        self._pool = redis.ConnectionPool.from_url(
            settings.broker_url,
            socket_connect_timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            retry=Retry(NoBackoff(), retries=0),
        )
        storage = RedisStorage(settings.broker_url, connection_pool=self._pool, key_prefix="dti.rates")
        self._limiter = FixedWindowRateLimiter(storage)
        self._silent_until = 0.0

    def count(self, key_id: str, limit: int) -> Rate | None:
        """Count a request with a key; None while the broker is down.

        Raises:
            TooManyRequestsError: the key has reached its limit in this window.
        """
        if time.monotonic() < self._silent_until:
            return None
        try:
            return self._count(key_id, RateLimitItemPerMinute(limit))
        except redis.RedisError as error:
            self._silent_until = time.monotonic() + RETRY_AFTER_S
            _log.warning("The broker cannot be reached; requests are not counted: %s", type(error).__name__)
            return None

    def close(self) -> None:
        """Close the connections."""
        self._pool.disconnect()

    def _count(self, key_id: str, item: RateLimitItemPerMinute) -> Rate:
        taken = self._limiter.hit(item, key_id)
        stats = self._limiter.get_window_stats(item, key_id)
        reset_s = max(1, min(WINDOW_S, math.ceil(stats.reset_time - time.time())))
        if not taken:
            raise TooManyRequestsError(item.amount, reset_s)
        return Rate(item.amount, stats.remaining, reset_s)
