"""Liveness of processes without a port: a file of each, touched while it moves, for the probes of a container.

The probe asks neither the database nor the broker: their outage must not end a worker in the middle of a training.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Literal

Role = Literal["worker", "maintenance"]

MAX_AGE_S = 60.0
"""Seconds without a sign of life after which a process counts as hung."""


class LivenessFile:
    """The sign of life of this process; an unwritable folder leaves it without one."""

    def __init__(self, role: Role) -> None:
        self._path = _folder() / f"{role}-{os.getpid()}"

    def touch(self) -> None:
        """Tell that the process moves."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path.touch()

    def remove(self) -> None:
        """Tell that the process has ended."""
        self._path.unlink(missing_ok=True)


def alive(role: Role) -> bool:
    """Whether a process of this role, of this user on this machine, has moved lately."""
    return any(_is_fresh(path) for path in _folder().glob(f"{role}-*"))


def _is_fresh(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime <= MAX_AGE_S and _exists(int(path.name.rpartition("-")[2]))
    except FileNotFoundError:
        return False


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _folder() -> Path:
    return Path(tempfile.gettempdir(), f"dti-{os.getuid()}")
