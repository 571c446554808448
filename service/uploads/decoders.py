"""Decoding in child processes: a picture's bytes are a stranger's, and decoders are large libraries in C.

A child has limits of memory and processor time, a lower priority, no secret in its environment and no open file or
connection of its parent. A decoder that crashes, hangs or fills its memory ends its child, and refuses its picture. The
children are forked from a server process that has loaded the decoders and nothing else.
"""

import contextlib
import multiprocessing
import os
import resource
import signal
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import forkserver

from pebble import ProcessExpired, ProcessPool

from service.child_environment import only_base_environment
from service.errors import ImageTooLargeError, ImageUnreadableError, UnavailableError
from service.settings import Limits
from service.uploads.budget import PixelBudget
from service.uploads.files import File
from service.uploads.pictures import sanitize
from service.uploads.records import SanitizedPicture

PLACES = min(4, max(2, os.cpu_count() or 1))
"""Pictures that are decoded at once."""

_TASKS_A_CHILD = 100
_NICENESS = 5
_WALL_CLOCK_FACTOR = 4
"""Wall-clock time that a child gets for a second of processor time, on a busy machine."""

_start = threading.Lock()
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


def start_server() -> None:
    """Start the process from which the children are forked; call it before other threads are started."""
    with _start, only_base_environment():
        forkserver.ensure_running()


class DecoderPool:
    """Child processes that sanitize pictures; the first picture starts them."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None

    def sanitize(self, file: File, limits: Limits, budget: PixelBudget) -> SanitizedPicture:
        """Decode, normalise and re-encode an uploaded picture, in a child.

        Raises:
            ImageUnsupportedError: its format is not supported.
            ImageUnreadableError: it is damaged, or its decoder crashed.
            ImageTooLargeError: it has too many pixels, or needs too much memory or time.
            ImageTooSmallError: its shorter side is too small.
        UnavailableError: no child can be started.
        """
        timeout_s = _WALL_CLOCK_FACTOR * limits.decode_s
        try:
            future = self._running().schedule(_sanitize, args=(file, limits, budget), timeout=timeout_s)
            picture, budget.used = future.result()
        except FutureTimeoutError as error:
            raise _too_slow(file.name, limits) from error
        except ProcessExpired as error:
            if error.exitcode == -signal.SIGXCPU:
                raise _too_slow(file.name, limits) from error
            raise ImageUnreadableError(f"{file.name} is damaged: it crashes its decoder. Export it again.") from error
        except BrokenProcessPool as error:
            self._discard()
            raise UnavailableError("Pictures cannot be decoded now. Try again in a moment.") from error
        return picture

    def close(self) -> None:
        """End the children."""
        self._discard()

    def _running(self) -> ProcessPool:
        with self._lock:
            if self._pool is None or not self._pool.active:
                start_server()
                self._pool = ProcessPool(
                    max_workers=PLACES,
                    max_tasks=_TASKS_A_CHILD,
                    initializer=_restrict,
                    initargs=(self._limits.decode_bytes,),
                    context=_context,
                )
            return self._pool

    def _discard(self) -> None:
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()


def _restrict(memory_bytes: int) -> None:
    """Limit this child. macOS knows no limit of address space."""
    os.nice(_NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _sanitize(file: File, limits: Limits, budget: PixelBudget) -> tuple[SanitizedPicture, int]:
    """In the child: the picture, and the pixels of the request so far."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 1 + limits.decode_s, hard))
    return sanitize(file, limits, budget), budget.used


def _too_slow(name: str, limits: Limits) -> ImageTooLargeError:
    return ImageTooLargeError(
        f"{name} takes more than {limits.decode_s} s to decode. Export it again, smaller or as a plain JPEG."
    )
