"""`dti remote`: commands for a running service over HTTP, through the package dti-client."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from cli import remote_accounts
from cli.remote_support import (
    all_items,
    connect,
    download,
    format_numbers,
    format_time,
    parse_settings,
    parse_weight,
    print_id,
    print_table,
    wait_with_bar,
    yes_or_no,
)
from dti.spec.settings import EmbeddingFormat, LearnableProperty

app = typer.Typer(
    help="Use a running service over HTTP. Exits with 1 on an error response, 3 if the service is unavailable, 4 if a "
    "job fails or is cancelled.",
    no_args_is_help=True,
)
app.add_typer(remote_accounts.keys, name="keys")
app.add_typer(remote_accounts.webhooks, name="webhooks")

_Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the images.")]
_Reference = Annotated[str, typer.Argument(help="A concept's id or name.")]
_Settings = Annotated[
    list[str] | None, typer.Option("--set", help="Another field of the request, as field=JSON; repeatable.")
]


@app.callback()
def configure(
    context: typer.Context,
    *,
    url: Annotated[str | None, typer.Option(envvar="DTI_URL", help="URL of the service.")] = None,
    key: Annotated[str | None, typer.Option(envvar="DTI_API_KEY", help="A key, dti_….")] = None,
) -> None:
    """Set the URL and the key of the service."""
    context.obj = (url, key)


@app.command()
def concepts(context: typer.Context) -> None:
    """List concepts, newest first."""
    with connect(context) as client:
        rows = [
            (item.name, item.class_word, item.model, item.method, yes_or_no(item.ready))
            for item in all_items(client.list_concepts)
        ]
    print_table(("name", "class word", "model", "method", "ready"), rows)


@app.command()
def train(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Pictures, captions and masks.")],
    *,
    class_word: Annotated[str, typer.Option(help="Word for the concept's class.")],
    name: Annotated[str | None, typer.Option(help="Name of the concept; default: the folder's name.")] = None,
    model: Annotated[str | None, typer.Option(help="A model of the service.")] = None,
    method: Annotated[str | None, typer.Option(help="Training method.")] = None,
    kind: Annotated[
        LearnableProperty, typer.Option("--learnable-property", help="Learn the object or the style of the pictures.")
    ] = "object",
    settings: _Settings = None,
    wait: Annotated[bool, typer.Option(help="Wait until the training has ended.")] = True,
) -> None:
    """Train a concept on a folder of pictures."""
    fields = {
        "model": model,
        "method": method,
        "learnable_property": kind,
        "training": parse_settings(settings) or None,
    }
    with connect(context) as client:
        print_id(
            client, client.train_from_folder(name or folder.resolve().name, class_word, folder, **fields), wait=wait
        )


@app.command("import")
def import_(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="An embedding file of this or another tool.")
    ],
    *,
    name: Annotated[str, typer.Option(help="Name in prompts.")],
    class_word: Annotated[str, typer.Option(help="Word for the concept's class.")],
    model: Annotated[str, typer.Option(help="The model that it was trained for.")],
    normalize: Annotated[bool, typer.Option(help="Rescale inflated rows to the vocabulary's mean norm.")] = False,
) -> None:
    """Import an embedding file as a concept."""
    with connect(context) as client:
        concept = client.import_concept(name, class_word, model, file, normalize=normalize)
    for encoder, norms in concept.norms.items():
        typer.echo(f"{concept.trigger} {encoder}: norms {format_numbers(norms.before)} → {format_numbers(norms.after)}")


@app.command()
def export(
    context: typer.Context,
    reference: _Reference,
    output: Annotated[Path, typer.Argument(help="The file to write.")],
    *,
    file_format: Annotated[
        EmbeddingFormat, typer.Option("--format", help="File format, by the tool that reads it.")
    ] = "dti",
) -> None:
    """Export a concept to an embedding file."""
    with connect(context) as client:
        output.write_bytes(client.read_embedding(reference, format=file_format))
    typer.echo(str(output))


@app.command()
def blend(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the new concept.")],
    parts: Annotated[list[str], typer.Argument(help="Concepts, as name or name=weight.")],
) -> None:
    """Blend concepts into a new one, as their spherical mean."""
    weights = {concept: parse_weight(weight) for concept, _, weight in (part.partition("=") for part in parts)}
    with connect(context) as client:
        typer.echo(client.blend_concepts(name, weights).trigger)


@app.command("neighbours")
def print_neighbours(
    context: typer.Context, reference: _Reference, *, k: Annotated[int, typer.Option(min=1, max=50)] = 10
) -> None:
    """Print the words nearest to a concept."""
    with connect(context) as client:
        neighbours = client.read_neighbours(reference, k=k)
    for encoder, vectors in neighbours.encoders.items():
        for number, words in enumerate(vectors):
            typer.echo(f"{encoder} {number}: " + ", ".join(f"{word.token} {word.cosine:.2f}" for word in words))


@app.command()
def delete(context: typer.Context, reference: _Reference) -> None:
    """Delete a concept and the images generated with it."""
    with connect(context) as client:
        client.delete_concept(reference)


# --- images and jobs


@app.command()
def generate(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="The prompt, with concepts as <name>.")],
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=16, help="Number of images.")] = 1,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed, to repeat the same images.")] = None,
    settings: _Settings = None,
    output: _Output = Path("pictures"),
) -> None:
    """Generate images of a prompt."""
    fields = {"num_images": count, **({} if seed is None else {"seed": seed}), **parse_settings(settings)}
    with connect(context) as client:
        download(client, client.create_generation(prompt, **fields), output)


@app.command()
def interpolate(
    context: typer.Context,
    start: _Reference,
    end: _Reference,
    *,
    prompt: Annotated[str | None, typer.Option(help="Prompt with one {} in place of the concepts.")] = None,
    frames: Annotated[int, typer.Option(min=2, max=64)] = 8,
    animation: Annotated[Literal["gif", "webp", "mp4"] | None, typer.Option()] = None,
    settings: _Settings = None,
    output: _Output = Path("pictures"),
) -> None:
    """Generate images between two concepts."""
    options = {"prompt": prompt, "animation": animation, "frames": frames}
    fields = {name: value for name, value in options.items() if value is not None} | parse_settings(settings)
    with connect(context) as client:
        download(client, client.create_interpolation(start, end, **fields), output)


@app.command()
def jobs(context: typer.Context, *, limit: Annotated[int, typer.Option(min=1, max=100)] = 20) -> None:
    """List jobs, newest first."""
    with connect(context) as client:
        page = client.list_jobs(limit=limit)
    rows = [
        (job.id, job.kind, job.status, f"{job.progress.step}/{job.progress.total}", format_time(job.created_at))
        for job in page.items
    ]
    print_table(("id", "kind", "status", "progress", "created"), rows)


@app.command()
def show(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument()],
    *,
    output: Annotated[Path | None, typer.Option()] = None,
) -> None:
    """Print a job as JSON; with --output, also download its images."""
    with connect(context) as client:
        job = client.read_job(job_id)
        typer.echo(json.dumps(asdict(job), indent=2, default=str))
        if output is not None:
            client.download(job, output)


@app.command()
def wait(context: typer.Context, job_id: Annotated[str, typer.Argument()]) -> None:
    """Wait until a job has ended."""
    with connect(context) as client:
        wait_with_bar(client, client.read_job(job_id))


@app.command()
def cancel(context: typer.Context, job_id: Annotated[str, typer.Argument()]) -> None:
    """Cancel a job."""
    with connect(context) as client:
        typer.echo(client.cancel_job(job_id).status)


@app.command()
def retry(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument()],
    *,
    wait: Annotated[bool, typer.Option(help="Wait until the job has ended.")] = True,
) -> None:
    """Run a failed job again: a training from its last checkpoint, a generation after its finished images."""
    with connect(context) as client:
        print_id(client, client.retry_job(job_id), wait=wait)


@app.command()
def models(context: typer.Context) -> None:
    """List the models of the service."""
    with connect(context) as client:
        page = client.list_models()
    rows = [
        (item.name, item.family, f"{item.defaults.width}x{item.defaults.height}", yes_or_no(item.loaded))
        for item in page.items
    ]
    print_table(("name", "family", "size", "loaded"), rows)


@app.command()
def usage(context: typer.Context) -> None:
    """Print usage and limits."""
    with connect(context) as client:
        typer.echo(json.dumps(asdict(client.read_usage()), indent=2, default=str))
