"""Shared by the offline commands: the console, loading a model, writing files.

Heavy modules are imported inside, so that commands without a model never load them.
"""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from service.kinds.warnings import JobWarning
from service.settings import Settings

if TYPE_CHECKING:
    from cli.offline import OfflineModel

console = Console(stderr=True)
"""Progress and messages go to standard error, apart from a command's output."""


LINES = 20
"""Lines of progress where there is no terminal."""


def load_model(name: str, family: str | None, settings: Settings) -> "OfflineModel":
    """A model, with a status line while it is loaded; see `cli.offline.open_model`."""
    with console.status(f"Loading {name} …"):
        from cli.offline import open_model

        _quieten()
        return open_model(name, family, settings)


def _quieten() -> None:
    """Keep the messages and bars of the libraries out of a command's output; their errors stay."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()


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


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Callable[..., None]]:
    """Progress on standard error: a bar on a terminal, a line for every twentieth part elsewhere, such as in a log.

    Args:
        title: of the work.
        total: number of its steps.
        done: steps made before.

    Yields:
        A function to call with the number of steps made and, optionally, a note.
    """
    if not console.is_terminal:
        yield _lines(title, total, done)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total, completed=done, note="")
        yield lambda completed, note="": bar.update(task, completed=completed, note=note)


def _lines(title: str, total: int, done: int) -> Callable[..., None]:
    every = max(1, total // LINES)
    printed = done // every

    def tell(completed: int, note: str = "") -> None:
        nonlocal printed
        if completed // every > printed or completed == total:
            printed = completed // every
            ending = f", {note}" if note else ""
            console.print(f"{title}: {completed}/{total}{ending}", markup=False, soft_wrap=True)

    return tell
