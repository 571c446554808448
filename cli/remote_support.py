"""Shared by the `dti remote` commands: the client with exit codes, progress bars, tables, parsing of options."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from dti_client import Client
    from dti_client.models import Job

_EXIT_ERROR, _EXIT_UNAVAILABLE, _EXIT_JOB_FAILED = 1, 3, 4
"""Exit codes; 2 is an invalid command line."""


@contextmanager
def connect(context: typer.Context) -> Iterator["Client"]:
    """The client; an error becomes a one-line message and an exit code."""
    try:
        from dti_client import Client, errors
    except ModuleNotFoundError as error:
        typer.echo("`dti remote` needs the package dti-client: pip install ./client", err=True)
        raise typer.Exit(_EXIT_ERROR) from error
    url, key = context.obj
    try:
        with Client(url, key) as client:
            yield client
    except errors.DTIClientError as error:
        typer.echo(str(error), err=True)
        unreachable = isinstance(error, errors.ConnectionFailedError | errors.UnavailableError)
        job_failed = isinstance(error, errors.JobUnsuccessfulError)
        raise typer.Exit(
            _EXIT_UNAVAILABLE if unreachable else _EXIT_JOB_FAILED if job_failed else _EXIT_ERROR
        ) from error


def download(client: "Client", job: "Job", output: Path) -> None:
    """Wait for a job, download its images, print their paths."""
    for path in client.download(wait_with_bar(client, job), output):
        typer.echo(str(path))


def print_warnings(job: "Job") -> None:
    """Print a job's warnings on standard error, one a line."""
    for warning in job.warnings or ():
        typer.echo(f"Warning: {warning.message}", err=True)


def print_id(client: "Client", job: "Job", *, wait: bool) -> None:
    """Print a job's id, after waiting for it if asked to."""
    if wait:
        job = wait_with_bar(client, job)
    else:
        print_warnings(job)
    typer.echo(job.id)


def wait_with_bar(client: "Client", job: "Job") -> "Job":
    """The job when it has succeeded, with a progress bar meanwhile and its warnings before."""
    print_warnings(job)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(job.kind, total=job.progress.total)

        def update_bar(job: "Job") -> None:
            bars.update(bar, completed=job.progress.step, total=job.progress.total, description=_bar_title(job))

        return client.wait(job, on_progress=update_bar)


def _bar_title(job: "Job") -> str:
    position = job.progress.queue_position
    if job.status != "queued" or position is None:
        return job.kind
    if job.progress.workers == 0:
        return f"{job.kind} (no worker serves {job.model})"
    return f"{job.kind} (position {position + 1} in the queue)"


def all_items(list_page: Any) -> Iterator[Any]:  # noqa: ANN401 - any of the client's lists
    """All items of a list, page by page."""
    page = list_page(limit=100)
    yield from page.items
    while page.next is not None:
        page = list_page(limit=100, cursor=page.next)
        yield from page.items


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table on standard output."""
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def parse_settings(settings: list[str] | None) -> dict[str, Any]:
    """The fields of `field=JSON` options."""
    return {name: _parse_json(text) for name, _, text in (setting.partition("=") for setting in settings or ())}


def _parse_json(text: str) -> Any:  # noqa: ANN401 - JSON holds anything
    """The value as JSON, or as text where it is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def parse_weight(text: str) -> float:
    """The weight in `name=weight`; 1 where it is empty.

    Raises:
        typer.BadParameter: it is not a number.
    """
    try:
        return float(text or 1)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a number. Write name=0.5.") from error


def format_numbers(values: list[float]) -> str:
    """Numbers with three decimals."""
    return " ".join(f"{value:.3f}" for value in values)


def format_time(moment: datetime | None) -> str:
    """Date and minute; empty for None."""
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def yes_or_no(value: bool) -> str:  # noqa: FBT001 - its only argument
    """`yes` or `no`."""
    return "yes" if value else "no"
