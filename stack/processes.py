"""Child processes: started, awaited, ended, and never outliving whoever started them.

It knows what a program is (a command, how to tell that it is ready, how long it may take to stop) and nothing of
what the programs do.
"""

import ctypes
import os
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

LOOPBACK = "127.0.0.1"
_PR_SET_PDEATHSIG = 1
_POLL_S = 0.02
_LOG_LIMIT_BYTES = 10_000_000


class StartError(Exception):
    """The root of everything that keeps programs from starting on this machine; the message says what to do."""


class ProgramFailedError(StartError):
    """A program ended, or did not become ready in time; the message carries the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """One thing to run.

    Args:
        name: what people and log files call it.
        argv: the command.
        environment: what is added to the environment of whoever starts it.
        ready: asked again and again after the start until it says yes.
        ready_s: how long it may take until then.
        stop_s: how long it may take to end by itself when asked to.
    """

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] = lambda: True
    ready_s: float = 30.0
    stop_s: float = 10.0


class Child:
    """A program that runs, its output in a log file.

    Must be used from the thread that outlives it: the kernel ends a child with the thread that started it.
    """

    def __init__(self, program: Program, logs: Path) -> None:
        self.program = program
        self.log = logs / f"{program.name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id while it has one."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it was started."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it without waiting for anything."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._make_room()
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._process = spawn(self.program.argv, environment=self.program.environment, output=output)

    def wait_ready(self) -> None:
        """Wait until the program says that it is ready.

        Raises:
            ProgramFailedError: it ended, or took longer than its `ready_s`.
        """
        deadline = time.monotonic() + self.program.ready_s
        while not self.program.ready():
            if not self.running:
                raise ProgramFailedError(f"{self.program.name} ended with {self.exit_code}. {self._last_words()}")
            if time.monotonic() > deadline:
                raise ProgramFailedError(
                    f"{self.program.name} was not ready after {self.program.ready_s:g} s. {self._last_words()}"
                )
            time.sleep(_POLL_S)

    def wait_done(self) -> None:
        """Wait until the program has ended well.

        Raises:
            ProgramFailedError: it ended with an error, or took longer than its `ready_s`.
        """
        if self._process is None:
            return
        try:
            code = self._process.wait(self.program.ready_s)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ProgramFailedError(f"{self.program.name} took too long. {self._last_words()}") from None
        if code != 0:
            raise ProgramFailedError(f"{self.program.name} ended with {code}. {self._last_words()}")

    def terminate(self) -> None:
        """Ask it to end, without waiting."""
        if self._process is not None and self.running:
            self._process.terminate()

    def stop(self) -> None:
        """Ask it to end, wait as long as it may take, then end it."""
        if self._process is None:
            return
        self.terminate()
        try:
            self._process.wait(self.program.stop_s)
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

    def _make_room(self) -> None:
        """Put a log that has grown large aside, in the place of the one before."""
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))

    def _last_words(self, limit_bytes: int = 2000) -> str:
        """What it said since it was started; the same file holds what earlier starts said."""
        said = self.log.read_bytes()[self._log_start :] if self.log.exists() else b""
        text = said[-limit_bytes:].decode(errors="replace").strip()
        return f"Its log, {self.log}, ends:\n{text}"


def spawn(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    output: IO[bytes] | None = None,
    user: int | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that the kernel kills when the calling thread's process dies, even by kill -9.

    It has a process group of its own: Ctrl-C reaches the parent alone, which ends its children in its own order.

    Args:
        argv: the command.
        environment: added to the caller's own.
        output: where standard output and error go; nowhere when None.
        user: the numeric user to run as; the caller's own when None.
    """
    return subprocess.Popen(  # noqa: S603  (commands of our own making)
        list(argv),
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
        process_group=0,
        user=user,
        preexec_fn=partial(_die_with, os.getpid()),  # noqa: PLW1509  (two system calls; callers have one thread)
    )


def _die_with(parent: int) -> None:
    """Ask the kernel for SIGKILL at the parent's death; a parent that is already gone is noticed too."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def free_port() -> int:
    """A port on loopback that nobody listens on at this moment."""
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


def answers(port: int, host: str = LOOPBACK, *, say: bytes = b"", hear: bytes = b"", timeout_s: float = 0.5) -> bool:
    """Whether a server accepts a connection and, where something is said, answers as expected."""
    try:
        with socket.create_connection((host, port), timeout=timeout_s) as connection:
            if not say:
                return True
            connection.sendall(say)
            return connection.recv(64).startswith(hear)
    except OSError:
        return False
