"""The home folder of an embedded stack: data, logs, lock, and the ports and keys of its stores. It starts nothing."""

import fcntl
import json
import os
import secrets
import stat
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
    """The folder cannot be created or written."""

    def __init__(self, folder: Path, error: OSError) -> None:
        super().__init__(f"{folder} cannot be the home folder: {error.strerror}. Choose another DTI_HOME.")


@dataclass(frozen=True, kw_only=True)
class StackConfig:
    """Ports and keys of an embedded stack, kept across restarts."""

    valkey_port: int
    valkey_password: str
    s3_port: int
    s3_access_key: str
    s3_secret_key: str


class Home:
    """The home folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.valkey = self.folder / "valkey"
        self.objects = self.folder / "objects"
        self.logs = self.folder / "logs"
        self._config_file = self.folder / "stack.json"
        self._lock = self.folder / "lock"

    @contextmanager
    def locked(self, holder: str) -> Iterator[None]:
        """Lock the folder for one `dti serve`; the kernel releases the lock however the process ends.

        Args:
            holder: a description of the holder, for the error message of others.

        Raises:
            HomeInUseError: it is locked.
            HomeUnusableError: the folder cannot be created or written.
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
            lock = self._lock.open("a+", encoding="utf-8")
            self._make_private()
        except OSError as error:
            raise HomeUnusableError(self.folder, error) from error
        return lock

    def _make_private(self) -> None:
        """Withdraw the access of other users from the folder, its files and its folders' files."""
        self.folder.chmod(0o700)
        for path in [*self.folder.glob("*"), *self.logs.glob("*"), *self.valkey.glob("*")]:
            if not path.is_symlink() and stat.S_IMODE(path.stat().st_mode) & 0o077:
                path.chmod(0o700 if path.is_dir() else 0o600)

    def holder(self) -> str | None:
        """The holder of the lock; None when it is unlocked."""
        if not self._lock.exists():
            return None
        with self._lock.open(encoding="utf-8") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return lock.read()
        return None

    def config(self) -> StackConfig | None:
        """The stored config; None before the first start."""
        if not self._config_file.exists():
            return None
        # Homes of before had no password: they get one at their next start.
        return StackConfig(**{"valkey_password": "", **json.loads(self._config_file.read_text(encoding="utf-8"))})

    def ensure_config(self) -> StackConfig:
        """The stored config, or a new one; a port in use by another program is replaced."""
        previous = self.config()
        config = StackConfig(
            valkey_port=_free_or_new_port(previous.valkey_port if previous else None),
            valkey_password=(previous and previous.valkey_password) or secrets.token_hex(20),
            s3_port=_free_or_new_port(previous.s3_port if previous else None),
            s3_access_key=previous.s3_access_key if previous else secrets.token_hex(10),
            s3_secret_key=previous.s3_secret_key if previous else secrets.token_hex(20),
        )
        if config != previous:
            self._write(config)
        return config

    def environment(self, config: StackConfig) -> dict[str, str]:
        """The settings of this folder's stores; the database is there by default."""
        return {
            "DTI_HOME": str(self.folder),
            "DTI_BROKER_URL": f"redis://:{config.valkey_password}@{LOOPBACK}:{config.valkey_port}/0",
            "DTI_S3_ENDPOINT": f"http://{LOOPBACK}:{config.s3_port}",
            "DTI_S3_ACCESS_KEY": config.s3_access_key,
            "DTI_S3_SECRET_KEY": config.s3_secret_key,
        }

    def _write(self, config: StackConfig) -> None:
        """Replace the file atomically; it contains a secret, so only its owner may read it."""
        new_file = self._config_file.with_suffix(".new")
        with os.fdopen(os.open(new_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(asdict(config), file)
        new_file.replace(self._config_file)


def _free_or_new_port(port: int | None) -> int:
    return port if port is not None and port_is_free(port) else free_port()
