"""`dti remote`: the service of another machine, or of this one, from the command line.

It speaks over HTTP through the package dti-client, as any other program would, and knows no rule of the service.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from dti.spec.settings import EmbeddingFormat, LearnableProperty

if TYPE_CHECKING:
    from dti_client import Client
    from dti_client.models import Job

_REFUSED, _UNREACHABLE, _JOB_FAILED = 1, 3, 4
"""Exit codes; 2 is a wrong command line."""

app = typer.Typer(
    help="A service somewhere else, over HTTP. Exits with 1 where it refuses, 3 where it does not answer, 4 where a "
    "job fails or is cancelled.",
    no_args_is_help=True,
)
keys = typer.Typer(help="Keys; takes one with the scope admin.", no_args_is_help=True)
webhooks = typer.Typer(help="Standing webhooks.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(webhooks, name="webhooks")

_Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for what is made.")]
_Reference = Annotated[str, typer.Argument(help="A concept's id or name.")]
_Settings = Annotated[
    list[str] | None, typer.Option("--set", help="More of the request, as field=JSON; may be said several times.")
]


@app.callback()
def where(
    context: typer.Context,
    *,
    url: Annotated[str | None, typer.Option(envvar="DTI_URL", help="The service's address.")] = None,
    key: Annotated[str | None, typer.Option(envvar="DTI_API_KEY", help="A key, dti_….")] = None,
) -> None:
    """Say where the service is."""
    context.obj = (url, key)


@contextmanager
def _service(context: typer.Context) -> Iterator["Client"]:
    """The service; what goes wrong with it is one line, and an exit code."""
    try:
        from dti_client import Client, errors
    except ModuleNotFoundError as error:
        typer.echo("`dti remote` needs the package dti-client: pip install ./client", err=True)
        raise typer.Exit(_REFUSED) from error
    url, key = context.obj
    try:
        with Client(url, key) as client:
            yield client
    except errors.DTIClientError as error:
        typer.echo(str(error), err=True)
        unreachable = isinstance(error, errors.ConnectionFailedError | errors.UnavailableError)
        badly = isinstance(error, errors.JobUnsuccessfulError)
        raise typer.Exit(_UNREACHABLE if unreachable else _JOB_FAILED if badly else _REFUSED) from error


# --- concepts


@app.command()
def concepts(context: typer.Context) -> None:
    """List concepts, newest first."""
    with _service(context) as service:
        rows = [
            (one.name, one.class_word, one.model, one.method, _yes(one.ready)) for one in _all(service.list_concepts)
        ]
    _table(("name", "class word", "model", "method", "ready"), rows)


@app.command()
def train(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Pictures, captions and masks.")],
    *,
    class_word: Annotated[str, typer.Option(help="What kind of thing the pictures show.")],
    name: Annotated[str | None, typer.Option(help="The folder's name where not said.")] = None,
    model: Annotated[str | None, typer.Option(help="One of the service's models.")] = None,
    method: Annotated[str | None, typer.Option(help="What is learned, and how.")] = None,
    kind: Annotated[
        LearnableProperty, typer.Option("--learnable-property", help="Whether the pictures show a thing or a style.")
    ] = "object",
    settings: _Settings = None,
    wait: Annotated[bool, typer.Option(help="Wait until it is learned.")] = True,
) -> None:
    """Have a folder of pictures learned."""
    said = {"model": model, "method": method, "learnable_property": kind, "training": _fields(settings) or None}
    with _service(context) as service:
        _go_on(service, service.train_from_folder(name or folder.resolve().name, class_word, folder, **said), wait=wait)


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="Of this or another tool.")],
    *,
    name: Annotated[str, typer.Option(help="What it is called in prompts.")],
    class_word: Annotated[str, typer.Option(help="What kind of thing it is.")],
    model: Annotated[str, typer.Option(help="The model that it was made for.")],
    normalize: Annotated[bool, typer.Option(help="Repair rows that have grown too long.")] = False,
) -> None:
    """Make a concept of an embedding."""
    with _service(context) as service:
        made = service.import_concept(name, class_word, model, file, normalize=normalize)
    for encoder, norms in made.norms.items():
        typer.echo(f"{made.trigger} {encoder}: norms {_numbers(norms.before)} → {_numbers(norms.after)}")


@app.command()
def export(
    context: typer.Context,
    reference: _Reference,
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    *,
    file_format: Annotated[EmbeddingFormat, typer.Option("--format", help="Whose file it is to be.")] = "dti",
) -> None:
    """Take a concept home as a file."""
    with _service(context) as service:
        output.write_bytes(service.read_embedding(reference, format=file_format))
    typer.echo(str(output))


@app.command()
def blend(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What the new concept is called.")],
    parts: Annotated[list[str], typer.Argument(help="Concepts, as name or name=weight.")],
) -> None:
    """Make a concept as the mean of others."""
    weights = {concept: _weight(weight) for concept, _, weight in (part.partition("=") for part in parts)}
    with _service(context) as service:
        typer.echo(service.blend_concepts(name, weights).trigger)


@app.command()
def neighbours(
    context: typer.Context, reference: _Reference, *, k: Annotated[int, typer.Option(min=1, max=50)] = 10
) -> None:
    """Say in words what a concept has learned."""
    with _service(context) as service:
        found = service.read_neighbours(reference, k=k)
    for encoder, vectors in found.encoders.items():
        for number, words in enumerate(vectors):
            typer.echo(f"{encoder} {number}: " + ", ".join(f"{word.token} {word.cosine:.2f}" for word in words))


@app.command()
def delete(context: typer.Context, reference: _Reference) -> None:
    """Delete a concept and what was made with it."""
    with _service(context) as service:
        service.delete_concept(reference)


# --- pictures and jobs


@app.command()
def generate(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="Concepts stand in it as <name>.")],
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=16, help="How many pictures.")] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="For the same pictures again.")] = None,
    settings: _Settings = None,
    output: _Output = Path("pictures"),
) -> None:
    """Make pictures of a prompt."""
    said = {"num_images": count, **({} if seed is None else {"seed": seed}), **_fields(settings)}
    with _service(context) as service:
        _save(service, service.create_generation(prompt, **said), output)


@app.command()
def interpolate(
    context: typer.Context,
    start: _Reference,
    end: _Reference,
    *,
    prompt: Annotated[str | None, typer.Option(help="With one {} where the concepts stand.")] = None,
    frames: Annotated[int, typer.Option(min=2, max=64)] = 8,
    animation: Annotated[Literal["gif", "webp", "mp4"] | None, typer.Option()] = None,
    settings: _Settings = None,
    output: _Output = Path("pictures"),
) -> None:
    """Make pictures on the way from one concept to another."""
    asked = {"prompt": prompt, "animation": animation, "frames": frames}
    said = {name: value for name, value in asked.items() if value is not None} | _fields(settings)
    with _service(context) as service:
        _save(service, service.create_interpolation(start, end, **said), output)


@app.command()
def jobs(context: typer.Context, *, limit: Annotated[int, typer.Option(min=1, max=100)] = 20) -> None:
    """List jobs, newest first."""
    with _service(context) as service:
        page = service.list_jobs(limit=limit)
    rows = [
        (job.id, job.kind, job.status, f"{job.progress.step}/{job.progress.total}", _time(job.created_at))
        for job in page.items
    ]
    _table(("id", "kind", "status", "progress", "made"), rows)


@app.command()
def show(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument()],
    *,
    output: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Show a job as JSON; with --output, also save what it has made."""
    with _service(context) as service:
        job = service.read_job(job_id)
        typer.echo(json.dumps(asdict(job), indent=2, default=str))
        if output is not None:
            service.download(job, output)


@app.command()
def wait(context: typer.Context, job_id: Annotated[str, typer.Argument()]) -> None:
    """Wait until a job has ended."""
    with _service(context) as service:
        _followed(service, service.read_job(job_id))


@app.command()
def cancel(context: typer.Context, job_id: Annotated[str, typer.Argument()]) -> None:
    """Ask for a job's end."""
    with _service(context) as service:
        typer.echo(service.cancel_job(job_id).status)


@app.command()
def models(context: typer.Context) -> None:
    """List the service's models."""
    with _service(context) as service:
        page = service.list_models()
    rows = [
        (one.name, one.family, f"{one.defaults.width}x{one.defaults.height}", _yes(one.loaded)) for one in page.items
    ]
    _table(("name", "family", "size", "loaded"), rows)


@app.command()
def usage(context: typer.Context) -> None:
    """Say what was used, and how much there is."""
    with _service(context) as service:
        typer.echo(json.dumps(asdict(service.read_usage()), indent=2, default=str))


# --- keys and webhooks


@keys.command("mint")
def mint_key(
    context: typer.Context,
    owner: Annotated[str, typer.Argument(help="Whom it speaks for.")],
    *,
    name: Annotated[str, typer.Option(help="What people call it.")] = "command line",
    scopes: Annotated[str, typer.Option(help="What it allows, by commas.")] = "read,train,generate",
) -> None:
    """Mint a key; its secret is printed this once."""
    with _service(context) as service:
        typer.echo(service.create_key(owner, name, [one.strip() for one in scopes.split(",")]).secret)


@keys.command("list")
def list_keys(context: typer.Context) -> None:
    """List keys."""
    with _service(context) as service:
        found = list(_all(service.list_keys))
    rows = [(one.id, one.owner, one.name, one.prefix, " ".join(one.scopes), _time(one.revoked_at)) for one in found]
    _table(("id", "owner", "name", "prefix", "scopes", "revoked"), rows)


@keys.command("revoke")
def revoke_key(context: typer.Context, key_id: Annotated[str, typer.Argument()]) -> None:
    """Take a key back."""
    with _service(context) as service:
        service.revoke_key(key_id)


@webhooks.command("add")
def add_webhook(context: typer.Context, url: Annotated[str, typer.Argument(help="An https:// address.")]) -> None:
    """Have all jobs told of; the secret is printed."""
    with _service(context) as service:
        made = service.create_webhook(url)
    typer.echo(f"{made.webhook.id} {made.secret}")


@webhooks.command("list")
def list_webhooks(context: typer.Context) -> None:
    """List standing webhooks."""
    with _service(context) as service:
        found = list(_all(service.list_webhooks))
    _table(("id", "url", "enabled"), [(one.id, one.url, _yes(one.enabled)) for one in found])


@webhooks.command("delete")
def delete_webhook(context: typer.Context, webhook_id: Annotated[str, typer.Argument()]) -> None:
    """Delete a standing webhook."""
    with _service(context) as service:
        service.delete_webhook(webhook_id)


# --- what is shown


def _save(service: "Client", job: "Job", output: Path) -> None:
    for path in service.download(_followed(service, job), output):
        typer.echo(str(path))


def _go_on(service: "Client", job: "Job", *, wait: bool) -> None:
    typer.echo((_followed(service, job) if wait else job).id)


def _followed(service: "Client", job: "Job") -> "Job":
    """The job when it has succeeded, with a bar meanwhile."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        bar = bars.add_task(job.kind, total=job.progress.total)

        def move(now: "Job") -> None:
            bars.update(bar, completed=now.progress.step, total=now.progress.total, description=_doing(now))

        return service.wait(job, on_progress=move)


def _doing(job: "Job") -> str:
    waiting = job.progress.queue_position
    return (
        f"{job.kind} (place {waiting + 1} in the queue)" if job.status == "queued" and waiting is not None else job.kind
    )


def _all(pages: Any) -> Iterator[Any]:  # noqa: ANN401 - any of the client's lists
    page = pages(limit=100)
    yield from page.items
    while page.next is not None:
        page = pages(limit=100, cursor=page.next)
        yield from page.items


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def _fields(settings: list[str] | None) -> dict[str, Any]:
    return {name: _json(text) for name, _, text in (setting.partition("=") for setting in settings or ())}


def _json(text: str) -> Any:  # noqa: ANN401 - JSON holds anything
    """A value as JSON; what is none is taken as text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _weight(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no weight. Write name=0.5.") from error


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def _yes(truth: bool) -> str:  # noqa: FBT001 - it is all there is
    return "yes" if truth else "no"
