"""Shared by the offline commands: the console, loading a model, writing files.

Heavy modules are imported inside, so that commands without a model never load them.
"""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from service.kinds.warnings import JobWarning
from service.settings import Settings

if TYPE_CHECKING:
    from cli.offline import OfflineModel

console = Console(stderr=True)
"""Progress and messages go to standard error, apart from a command's output."""


def load_model(name: str, family: str, settings: Settings) -> "OfflineModel":
    """A model, with a status line while it is loaded; see `cli.offline.open_model`."""
    with console.status(f"Loading {name} …"):
        from cli.offline import open_model

        return open_model(name, family, settings)


def print_warnings(warnings: Iterable[JobWarning]) -> None:
    """Print parts of a command that have no effect, one a line."""
    for warning in warnings:
        console.print(f"Warning: {warning.message}", markup=False, soft_wrap=True)


def prepare_output(path: Path) -> None:
    """Create the parent folders of a file; a path that cannot be written is refused before any work."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_file(path: Path, data: bytes) -> None:
    """Write a file, or print an error message and exit."""
    with _writing(path):
        path.write_bytes(data)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        console.print(f"{path} cannot be written: {error.strerror}.", markup=False)
        raise typer.Exit(1) from error
