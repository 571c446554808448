"""Whose turn it is on a device that trains and renders at once, decided by measured seconds.

Somebody waits in front of every picture, nobody in front of an update: while there are pictures, training gets a fixed
share of the device's time, and all of it otherwise. It knows seconds, and nothing of what they are spent on.
"""

from service.jobs.eta import TRAINING_SHARE


class TimeSharing:
    """Remembers how many seconds of rendering are owed for the last update."""

    def __init__(self) -> None:
        self._owed_s = 0.0

    def training_is_due(self, *, rendering: bool) -> bool:
        """Whether an update may run now.

        Args:
            rendering: whether there are pictures to be made.
        """
        return not rendering or self._owed_s <= 0.0

    def rendered(self, elapsed_s: float) -> None:
        """A denoising step took this long."""
        self._owed_s = max(0.0, self._owed_s - elapsed_s)

    def trained(self, elapsed_s: float) -> None:
        """An update took this long."""
        self._owed_s = elapsed_s * (1.0 - TRAINING_SHARE) / TRAINING_SHARE
