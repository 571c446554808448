"""One folder that holds everything of an embedded stack: data, logs, and which ports and keys its stores use.

It knows where things lie and who is using them; it starts nothing.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from stack.processes import LOOPBACK, StartError, free_port, port_is_free


class HomeInUseError(StartError):
    """Another `dti serve` uses the folder."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(
            f"{folder} is in use by {holder or 'another dti serve'}. Stop that one, or choose another DTI_HOME."
        )


class HomeUnusableError(StartError):
    """The folder cannot be made or written."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(f"{folder} cannot be the home folder: {error.strerror}. Choose another DTI_HOME.")


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """What an embedded stack must find again when it starts anew."""

    valkey_port: int
    s3_port: int
    s3_access_key: str
    s3_secret_key: str


class Home:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.valkey = self.folder / "valkey"
        self.objects = self.folder / "objects"
        self.logs = self.folder / "logs"
        self._stack = self.folder / "stack.json"
        self._lock = self.folder / "lock"

    @contextmanager
    def locked(self, holder: str) -> Iterator[None]:
        """Keep others from serving this folder; the kernel gives it free when the process ends, however it ends.

        Args:
            holder: what others are told about who holds it.

        Raises:
            HomeInUseError: somebody else does.
            HomeUnusableError: the folder cannot be made or written.
        """
        with self._opened_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise HomeInUseError(self.folder, self._lock.read_text(encoding="utf-8")) from None
            lock.truncate(0)
            lock.write(holder)
            lock.flush()
            yield

    def _opened_lock(self) -> TextIO:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._lock.open("a+", encoding="utf-8")
        except OSError as error:
            raise HomeUnusableError(self.folder, error) from error

    def holder(self) -> str | None:
        """Who serves the folder now; None when nobody does."""
        if not self._lock.exists():
            return None
        with self._lock.open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read()
        return None

    def remembered(self) -> StackConfig | None:
        """What was chosen when the folder was first served; None where it never was."""
        if not self._stack.exists():
            return None
        return StackConfig(**json.loads(self._stack.read_text(encoding="utf-8")))

    def choose(self) -> StackConfig:
        """The ports and keys of last time; a port that somebody else took meanwhile is replaced."""
        before = self.remembered()
        chosen = StackConfig(
            valkey_port=_still_free(before.valkey_port if before else None),
            s3_port=_still_free(before.s3_port if before else None),
            s3_access_key=before.s3_access_key if before else secrets.token_hex(10),
            s3_secret_key=before.s3_secret_key if before else secrets.token_hex(20),
        )
        if chosen != before:
            self._write(chosen)
        return chosen

    def environment(self, remembered: StackConfig) -> dict[str, str]:
        """The settings that lead to this folder's stores; the database lies there by itself."""
        return {
            "DTI_HOME": str(self.folder),
            "DTI_BROKER_URL": f"redis://{LOOPBACK}:{remembered.valkey_port}/0",
            "DTI_S3_ENDPOINT": f"http://{LOOPBACK}:{remembered.s3_port}",
            "DTI_S3_ACCESS_KEY": remembered.s3_access_key,
            "DTI_S3_SECRET_KEY": remembered.s3_secret_key,
        }

    def _write(self, chosen: StackConfig) -> None:
        """Replace the file in one move; it holds a key, so that nobody else may read it."""
        fresh = self._stack.with_suffix(".new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(chosen), file)
        fresh.replace(self._stack)


def _still_free(port: int | None) -> int:
    return port if port is not None and port_is_free(port) else free_port()
