"""The command line: builds the parts, starts them, hands over. No rule lives here.

What is heavy is imported inside the commands that need it: `dti serve` and `dti api` never load torch.
"""

import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli import embeddings, keys, offline_commands, remote
from dti.errors import DTIError
from service.errors import ServiceError
from service.settings import Settings
from stack.processes import StartError

if TYPE_CHECKING:
    from stack.doctor import Finding

_OWN_COMMAND = (sys.executable, "-P", "-m", "cli")
"""Command prefix of child processes; -P keeps folders of the working directory off the import path."""

# Threads of a computation wait for each other by spinning unless they are told to sleep. Beside any other work for the
# cores that costs a hundredfold: 11.8 s instead of 0.09 s an update of `tiny` was measured on two busy cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

app = typer.Typer(
    help="Teach text-to-image models a concept from a few pictures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _settings() -> Settings:
    """The settings of this process; a home folder that was served before leads to its own stores."""
    from stack.serve import embedded_environment

    return Settings.from_environment(embedded_environment(os.environ))


@app.command()
def serve() -> None:
    """Start everything on this machine and keep it running until Ctrl-C."""
    from stack import serve

    serve.serve(os.environ, _OWN_COMMAND, typer.echo)


@app.command()
def api() -> None:
    """Answer HTTP requests."""
    from api import server

    server.run(_settings())


@app.command()
def worker(
    *,
    maintenance: Annotated[
        bool, typer.Option("--maintenance", help="Look after the queue instead; needs no device.")
    ] = False,
) -> None:
    """Train concepts and render pictures on this machine's device."""
    if maintenance:
        from worker.maintenance import run
    else:
        from worker.process import run
    raise typer.Exit(run(_settings()))


for command in (
    offline_commands.train,
    offline_commands.render,
    offline_commands.interpolate,
    embeddings.explain,
    embeddings.convert,
):
    app.command()(command)


app.add_typer(keys.app, name="keys")
app.add_typer(remote.app, name="remote")


@app.command()
def migrate() -> None:
    """Bring the database's tables up to date, and make the bucket where it is missing."""
    from migrations import upgrade
    from service.storage import ObjectStore

    settings = _settings()
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    upgrade(settings.database_address)
    objects = ObjectStore(settings)
    objects.ensure_bucket()
    objects.close()


@app.command()
def doctor() -> None:
    """Say what is right and wrong with this machine; ends with 1 where something is wrong."""
    from stack.doctor import examine
    from stack.home import Home

    settings = Settings.from_environment(os.environ)
    # The home's own stores have an address only while somebody serves it.
    served = Home(settings.home).holder() is not None
    findings = [*examine(_settings() if served else settings), _device()]
    for finding in findings:
        typer.echo(f"{finding.status:5}  {finding.about:8}  {finding.message}")
    if any(finding.status == "error" for finding in findings):
        raise typer.Exit(1)


def _device() -> "Finding":
    """Which device this machine would train on, and in which dtype."""
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
    """Run a command; what went wrong on purpose is said in its own sentence, without a traceback."""
    try:
        app()
    except (ServiceError, StartError, DTIError) as error:
        typer.echo(str(error), err=True)
        raise SystemExit(1) from error
