"""kombu's transport for Valkey, which survives malformed messages.

kombu parses a message before it knows a consumer for it; an error there ends the worker. A message is only a wake-up:
one that cannot be read is dropped.
"""

import logging
from queue import Empty

from kombu.transport import TRANSPORT_ALIASES, _transport_cache, redis

_log = logging.getLogger(__name__)


class Channel(redis.Channel):  # type: ignore[misc]  # kombu publishes no types
    """A channel that drops what it cannot read."""

    def _brpop_read(self, **options: object) -> object:
        try:
            return super()._brpop_read(**options)
        except KeyError as error:  # a member that is missing; kombu counts it as an error of the connection
            return _dropped(error)
        except (Empty, *self.connection_errors):
            raise
        except Exception as error:  # noqa: BLE001 - what the parsing of hostile bytes raises is not a closed set
            return _dropped(error)


class Transport(redis.Transport):  # type: ignore[misc]  # kombu publishes no types
    """The transport with that channel."""

    Channel = Channel


def _dropped(error: Exception) -> bool:
    _log.warning("A malformed message was dropped: %s", type(error).__name__)
    return True


def install() -> None:
    """Use this transport for every Valkey or Redis address of this process."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
        _transport_cache.pop(scheme, None)  # an earlier connection of this process has stored the plain one
