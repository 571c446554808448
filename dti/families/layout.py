"""Layout checks: configuration values that identify a family's checkpoints, compared before weights are read."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dti.errors import ModelUnavailableError


class LayoutCheck(NamedTuple):
    """A configuration value and its expected value; None expects its absence."""

    subject: str
    found: object
    expected: object

    def failure(self) -> str | None:
        """The mismatch as a clause; None where the values agree."""
        if self.found == self.expected:
            return None
        if self.expected is None:
            return f"it has {self.subject}, {self.found!r}"
        return f"{self.subject} is {self.found!r}, not {self.expected!r}"


def check_layout(source: str | Path, layout: str, checks: Iterable[LayoutCheck]) -> None:
    """Refuse a checkpoint of another layout.

    Raises:
        ModelUnavailableError: lists every mismatch.
    """
    failures = [failure for check in checks if (failure := check.failure()) is not None]
    if failures:
        raise ModelUnavailableError(f"{source} is no {layout} checkpoint: {'; '.join(failures)}.")
