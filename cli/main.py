"""The command line: declares the commands and starts their processes.

Heavy modules are imported inside the commands that need them: `dti serve` and `dti api` never load torch.
"""

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from cli import embeddings, keys, offline_commands, remote, study, training
from dti import __version__
from dti.errors import DTIError
from service.errors import ServiceError
from service.settings import Settings, unknown_variables
from stack.processes import StartError

if TYPE_CHECKING:
    from stack.doctor import Finding

_COMMAND_PREFIX = (sys.executable, "-P", "-m", "cli")
"""Command prefix of child processes; -P keeps folders of the working directory off the import path."""

WORKER_PACKAGES = frozenset({"torch", "transformers", "diffusers", "accelerate", "safetensors", "numpy", "av", "tqdm"})
"""Packages of the extra `worker`, which commands with a model need."""

# By default OpenMP threads spin while they wait for each other. On two busy cores an update of `tiny` then took 11.8 s
# instead of 0.09 s.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    help="Train concepts of text-to-image models from a few pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _settings() -> Settings:
    """The settings of this process, including the stores of a home folder that was served before."""
    from stack.serve import embedded_environment

    return Settings.from_environment(embedded_environment(os.environ))


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def common(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Train concepts of text-to-image models from a few pictures."""
    del version
    for name, near in unknown_variables(os.environ).items():
        hint = f" Did you mean {near}?" if near else ""
        typer.echo(f"Warning: there is no setting {name}; it has no effect.{hint}", err=True)


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on; overrides DTI_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port; overrides DTI_PORT.")] = None,
    home: Annotated[Path | None, typer.Option(help="Folder of all data; overrides DTI_HOME.")] = None,
    workers: Annotated[
        int, typer.Option(min=1, help="Workers; with several cards, one for each: cuda:0, cuda:1, …")
    ] = 1,
) -> None:
    """Run the whole service on this machine until Ctrl-C."""
    from stack import serve

    given = {"DTI_HOST": host, "DTI_PORT": port, "DTI_HOME": home}
    options = {name: str(value) for name, value in given.items() if value is not None}
    serve.serve({**os.environ, **options}, _COMMAND_PREFIX, typer.echo, workers=workers)


@app.command()
def api() -> None:
    """Run the HTTP API."""
    from api import server

    server.run(_settings())


@app.command()
def worker(
    *,
    maintenance: Annotated[
        bool, typer.Option("--maintenance", help="Run only the maintenance of the queue, without a device.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="Device, such as cuda:1; overrides DTI_DEVICE.")] = None,
) -> None:
    """Run a worker: train concepts and render images on this machine's device."""
    if maintenance:
        from worker.maintenance import run
    else:
        from worker.process import run
    settings = _settings()
    raise typer.Exit(run(settings if device is None else replace(settings, device=device)))


@app.command()
def health(role: Annotated[Literal["worker", "maintenance"], typer.Argument(help="The process to look for.")]) -> None:
    """Exit with 0 if such a process of this machine has moved in the last minute, else with 1; for probes."""
    from service.liveness import MAX_AGE_S, alive

    if not alive(role):
        typer.echo(f"No {role} of this machine has moved in the last {MAX_AGE_S:g} seconds.", err=True)
        raise typer.Exit(1)


for command in (
    training.train,
    offline_commands.render,
    offline_commands.interpolate,
    embeddings.explain,
    embeddings.convert,
):
    app.command()(command)


app.add_typer(keys.app, name="keys")
app.add_typer(remote.app, name="remote")
app.add_typer(study.app, name="study")


@app.command()
def migrate(
    *,
    adopt_bucket: Annotated[
        bool, typer.Option("--adopt-bucket", help="Take over a bucket that belonged to another database.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit with 1 if this version needs a migration.")
    ] = False,
    downgrade: Annotated[
        bool, typer.Option("--downgrade", help="Undo the newest migration, with the data that only it can hold.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --downgrade.")] = False,
) -> None:
    """Migrate the database to the present schema, and create a missing bucket."""
    if check:
        _check_schema()
        return
    if downgrade:
        _downgrade(confirmed=yes)
        return
    from migrations import upgrade
    from service import bucket
    from service.context import Service

    settings = _settings()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    upgrade(settings.database_address)
    service = Service.open(settings)
    try:
        service.storage.ensure_bucket()
        bucket.claim(service, adopt=adopt_bucket)
    finally:
        service.close()


def _downgrade(*, confirmed: bool) -> None:
    """Undo the newest migration.

    Raises:
        DowngradeImpossibleError: it cannot be undone.
    """
    import migrations

    if not confirmed:
        question = "Undo the newest migration? Data that only it can hold are lost. Stop all processes first."
        typer.confirm(question, abort=True)
    revision = migrations.downgrade(_settings().database_address)
    typer.echo(f"The schema is of revision {revision}. Start the version of the service that needs it.")


def _check_schema() -> None:
    """Check the schema of the database.

    Raises:
        SchemaRevisionError: it is too old for this version.
    """
    from service.database import schema
    from service.database.engine import Database

    database = Database(_settings().database_address)
    try:
        with database.reading() as session:
            schema.check(session)
            typer.echo(
                f"The schema is of revision {schema.revision_of(session)}; {schema.needed_revision()} is needed."
            )
    finally:
        database.close()


@app.command()
def orphans(
    *, delete: Annotated[bool, typer.Option("--delete", help="Delete them, however many they are.")] = False
) -> None:
    """Count the objects of the bucket to which no row refers, and that are older than an hour."""
    from service import bucket
    from service import orphans as service_orphans
    from service.context import Service

    service, count = Service.open(_settings()), 0
    try:
        bucket.claim(service)
        for keys in service_orphans.pages(service):
            count += len(keys)
            if delete:
                service.storage.delete(keys)
    finally:
        service.close()
    typer.echo(f"{count} orphaned objects {'were deleted' if delete else 'are in the bucket'}.")


@app.command()
def doctor(
    *,
    models: Annotated[
        bool, typer.Option("--models", help="Print how every model and preset trains and renders on this device.")
    ] = False,
    memory: Annotated[
        str | None, typer.Option(help="With --models: a GPU of this size instead of this device, such as 12GB.")
    ] = None,
) -> None:
    """Check this machine and its settings; exits with 1 on an error."""
    if models:
        from cli import memory_plans

        for line in memory_plans.lines(_settings(), memory):
            typer.echo(line)
        return
    from stack.doctor import examine
    from stack.home import Home

    settings = Settings.from_environment(os.environ)
    # The stores of the home folder have an address only while it is served.
    served = Home(settings.home).holder() is not None
    findings = [*examine(_settings() if served else settings), _device()]
    for finding in findings:
        typer.echo(f"{finding.status:5}  {finding.about:8}  {finding.message}")
    if any(finding.status == "error" for finding in findings):
        raise typer.Exit(1)


def _device() -> "Finding":
    """The device and dtype of workers on this machine."""
    from stack.doctor import Finding

    if importlib.util.find_spec("torch") is None:
        return Finding("device", "note", "torch is not installed: this machine can run the API, but no worker.")
    import torch

    from dti.families.base import best_dtype, choose_device

    device = choose_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    dtype = str(best_dtype(device)).removeprefix("torch.")
    return Finding("device", "ok", f"Workers run on {name}, frozen weights in {dtype} (torch {torch.__version__}).")


def main() -> None:
    """Run a command; an expected error prints its message, without a traceback."""
    try:
        app()
    except (ServiceError, StartError, DTIError) as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from error
    except ModuleNotFoundError as error:
        if error.name not in WORKER_PACKAGES:
            raise
        typer.echo(
            f"This command needs {error.name}, which is not installed. Install the worker's packages: "
            "pip install 'dti-service[worker]'.",
            err=True,
        )
        raise SystemExit(1) from error
