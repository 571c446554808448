"""The activity of the loop: when it last moved, so that a step that never returns is noticed by other threads."""

import time


class Activity:
    """The moment of the loop's last movement. Written by its thread, read by any."""

    def __init__(self) -> None:
        self._moved_at: float | None = None

    def moved(self) -> None:
        """The loop begins or ends a step, or waits for a store, which is no standstill."""
        self._moved_at = time.monotonic()

    def rests(self) -> None:
        """The loop has no work."""
        self._moved_at = None

    @property
    def stalled_s(self) -> float:
        """Seconds since the last movement; 0 while the loop has no work."""
        moved_at = self._moved_at
        return 0.0 if moved_at is None else time.monotonic() - moved_at
