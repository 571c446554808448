"""What the command line's work on files shares: where it speaks, how it opens a model, how it writes a file.

What is heavy is imported inside, so that commands without a model never load it.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from service.settings import Settings

if TYPE_CHECKING:
    from cli.offline import Model

console = Console(stderr=True)
"""Progress and remarks go to the error output, so that nothing is mixed into what a command prints."""


def load_model(name: str, family: str, settings: Settings) -> "Model":
    """A model, while a line says that it is being loaded; see `cli.offline.open_model`."""
    with console.status(f"Loading {name} …"):
        from cli.offline import open_model

        return open_model(name, family, settings)


def make_way(path: Path) -> None:
    """Make the folders that lead to a file; a place that cannot be written is refused before any work is done."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write_file(path: Path, data: bytes) -> None:
    """Write a file, or say in a sentence that it cannot be written, and end."""
    with _writing(path):
        path.write_bytes(data)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        console.print(f"{path} cannot be written: {error.strerror}.", markup=False)
        raise typer.Exit(1) from error
