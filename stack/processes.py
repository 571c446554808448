"""Child processes: start, wait, stop; they never outlive their parent."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from service.child_environment import base_environment

LOOPBACK = "127.0.0.1"
_PR_SET_PDEATHSIG = 1
_POLL_INTERVAL_S = 0.02
_LOG_LIMIT_BYTES = 10_000_000
_LOG_TAIL_BYTES = 2000
_RESPONSE_TIMEOUT_S = 0.5


class StartError(Exception):
    """Base of all errors that keep programs from starting on this machine."""


class ProgramFailedError(StartError):
    """A program ended, or was not ready in time; the message contains the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command to run.

    Args:
        name: for messages and log files.
        argv: the command.
        environment: added to the parent's base environment (`service.child_environment`).
        ready: polled after the start until it is true.
        start_timeout_s: until it is ready or, for a command that ends by itself, finished.
        stop_timeout_s: from SIGTERM to SIGKILL.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    start_timeout_s: float = 30.0
    stop_timeout_s: float = 10.0


class Child:
    """A running program, its output in a log file.

    The starting thread must outlive it: the kernel ends a child with the thread that started it.
    """

    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id; None before the start."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The exit code; None while it runs and before the start."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it without waiting."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.rotate_log()
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._process = spawn(self.program.argv, environment=self.program.environment, output=output)

    def wait_ready(self) -> None:
        """Wait until the program is ready.

        Raises:
            ProgramFailedError: it ended, or was not ready within `start_timeout_s`.
        """
        deadline = time.monotonic() + self.program.start_timeout_s
        while not self.program.ready():
            if not self.running:
                raise ProgramFailedError(f"{self.program.name} ended with {self.exit_code}. {self._log_tail()}")
            if time.monotonic() > deadline:
                raise ProgramFailedError(
                    f"{self.program.name} was not ready after {self.program.start_timeout_s:g} s. {self._log_tail()}"
                )
            time.sleep(_POLL_INTERVAL_S)

    def wait_finished(self) -> None:
        """Wait until the program has ended with 0.

        Raises:
            ProgramFailedError: it ended with an error, or not within `start_timeout_s`.
        """
        if self._process is None:
            return
        try:
            code = self._process.wait(self.program.start_timeout_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ProgramFailedError(f"{self.program.name} took too long. {self._log_tail()}") from None
        if code != 0:
            raise ProgramFailedError(f"{self.program.name} ended with {code}. {self._log_tail()}")

    def terminate(self) -> None:
        """Send SIGTERM, without waiting."""
        if self._process is not None and self.running:
            self._process.terminate()

    def stop(self) -> None:
        """Send SIGTERM, wait up to `stop_timeout_s`, then send SIGKILL."""
        if self._process is None:
            return
        self.terminate()
        try:
            self._process.wait(self.program.stop_timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def rotate_log(self) -> None:
        """Move the content of a large log to the old one, also while the program writes.

        The program keeps its open file, which appends: it is emptied, and not renamed. Lines that are written between
        the copy and the cut are lost.
        """
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            shutil.copyfile(self.log, self.log.with_suffix(".old.log"))
            os.truncate(self.log, 0)
            self._log_start = 0

    def _log_tail(self) -> str:
        """The end of the log since the last start."""
        output = self.log.read_bytes()[self._log_start :] if self.log.exists() else b""
        text = output[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
        return f"End of its log, {self.log}:\n{text}"


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    user: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that the kernel kills when the calling process dies, even by kill -9.

    Its files are readable by its user alone. It has a process group of its own: Ctrl-C reaches only the parent, which
    stops its children in order.

    Args:
        argv: the command.
        environment: added to the caller's base environment; nothing else of the caller's is passed on.
        output: for standard output and error; discarded when None.
        user: the numeric user id; the caller's own when None.
    """
    return subprocess.Popen(  # noqa: S603  (commands of our own making)
        list(argv),
        env={**base_environment(os.environ), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        process_group=0,
        umask=0o077,
        user=user,
        preexec_fn=partial(_die_with_parent, os.getpid()),  # noqa: PLW1509  (two system calls; callers have one thread)
    )


def _die_with_parent(parent: int) -> None:
    """Have the kernel send SIGKILL at the parent's death, including a parent that has died already."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def free_port() -> int:
    """A port on loopback without a listener at present."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def port_is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def responds(port: int, host: str = LOOPBACK, *, request: bytes = b"", expected: bytes = b"") -> bool:
    """Whether a server accepts a connection and, given a request, responds as expected."""
    try:
        with socket.create_connection((host, port), timeout=_RESPONSE_TIMEOUT_S) as connection:
            if not request:
                return True
            connection.sendall(request)
            return connection.recv(64).startswith(expected)
    except OSError:
        return False
