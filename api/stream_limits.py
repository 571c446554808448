"""The limit of event streams that are open at once with a key, in one process."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import TooManyStreamsError


class StreamLimit:
    """Counts the open streams of keys; callers without a key, on this machine, have no limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()

    def check(self, key_id: str | None) -> None:
        """Check that a key may open one more stream.

        Raises:
            TooManyStreamsError: it has the allowed number.
        """
        if key_id is not None and self._open[key_id] >= self._limit:
            raise TooManyStreamsError(self._limit)

    @contextmanager
    def open(self, key_id: str | None) -> Iterator[None]:
        """Count a stream while it is open."""
        key = key_id or ""
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]
