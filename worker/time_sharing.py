"""The division of a device's time between training and rendering, by measured seconds.

A user waits for every picture, but not for every update: while there are pictures, training gets a fixed share of the
device's time; otherwise all of it. It knows seconds, not the work done in them.
"""

from service.jobs.eta import TRAINING_SHARE


class TimeSharing:
    """Counts the seconds that rendering may take before the next update is due."""

    def __init__(self) -> None:
        self._owed_s = 0.0

    def training_is_due(self, *, rendering: bool) -> bool:
        """Whether an update may run now.

        Args:
            rendering: whether pictures are in the renderer.
        """
        return not rendering or self._owed_s <= 0.0

    def rendered(self, elapsed_s: float) -> None:
        """Count the duration of a denoising step."""
        self._owed_s = max(0.0, self._owed_s - elapsed_s)

    def trained(self, elapsed_s: float) -> None:
        """Count the duration of an update."""
        # With a share s of the total, u seconds of training entitle rendering to u (1 - s) / s seconds. Assigned, not
        # added: updates that ran while there were no pictures owe nothing.
        self._owed_s = elapsed_s * (1.0 - TRAINING_SHARE) / TRAINING_SHARE
