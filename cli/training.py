"""`dti train`: a concept from a folder of pictures, with a checkpoint that survives Ctrl-C and `kill`.

Heavy modules are imported inside, so that other commands never load them.
"""

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import FAMILY_HELP, MODEL_HELP, with_training_settings
from cli.terminal import console, load_model, prepare_output, print_warnings, progress, write_file
from dti.errors import CheckpointError, DTIError
from dti.spec.registry import METHODS
from service.concepts import unused
from service.settings import Settings

if TYPE_CHECKING:
    from dti.training.selection import PictureAssessment
    from dti.training.trainer import Run, Trainer

CHECKPOINT_INTERVAL_S = 30.0
INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended."""


@with_training_settings
def train(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Pictures; NAME.txt is a caption.")],
    class_word: Annotated[str, typer.Option(help="Word for the concept's class, such as dog.")],
    name: Annotated[str, typer.Option(help="Name of the concept; prompts contain it as <name>.")],
    out: Annotated[Path | None, typer.Option(help="File of the embedding; default: NAME.safetensors.")] = None,
    *,
    model: Annotated[str, typer.Option(help=MODEL_HELP)] = "tiny",
    family: Annotated[str | None, typer.Option(help=FAMILY_HELP)] = None,
    method: Annotated[str, typer.Option(help=f"Training method: {', '.join(METHODS)}.")] = "dti",
    style: Annotated[bool, typer.Option("--style", help="Learn the style of the pictures, not an object.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint beside the embedding, bit for bit.")
    ] = False,
    **settings: Any,  # noqa: ANN401 - a setting's type is its own
) -> None:
    """Train a concept on a folder of pictures.

    Ctrl-C saves the concept as learned so far and a checkpoint; the same command with --resume goes on from there.
    """
    from cli import offline

    path = out or Path(f"{name}.safetensors")
    prepare_output(path)
    saved = Checkpoint.read(path) if resume else None
    given = {**saved.settings, **settings} if saved else settings
    environment = Settings.from_environment(os.environ)
    offline.check_training(model, environment, name=name, method=method, given=given)
    files = offline.folder_files(folder, environment)
    print_warnings(files.warnings)
    pictures = offline.read_files(files, environment)
    trainer, run = offline.start_training(
        load_model(model, family, environment),
        pictures,
        name=name,
        class_word=class_word,
        learnable_property="style" if style else "object",
        method=method,
        given=given,
        checkpoint=saved.data if saved else None,
    )
    print_warnings(unused.in_training(run.work.settings, run.work.captions))
    _print_left_out([picture.filename for picture in pictures], run.training_set.assessments)
    error = _advance_until_done(trainer, run, path)
    write_file(path, run.embedding().to_bytes())
    if error is not None:
        raise error
    _finish(run, path)


def _finish(run: "Run", path: Path) -> None:
    """Report a finished training, or one that Ctrl-C stopped, which keeps its checkpoint."""
    if run.finished:
        Checkpoint.file(path).unlink(missing_ok=True)
        console.print(f"<{run.work.trigger}> is saved as {path}.", markup=False, soft_wrap=True)
        typer.echo(path)
        return
    Checkpoint.of(run).write(path)
    console.print(
        f"Stopped after {run.step} of {run.total} updates. <{run.work.trigger}> as learned so far is saved as {path}; "
        "the same command with --resume goes on.",
        markup=False,
        soft_wrap=True,
    )
    raise typer.Exit(INTERRUPTED)


@dataclass(frozen=True)
class Checkpoint:
    """A training's checkpoint beside its embedding, `NAME.checkpoint`: a line of JSON, then the engine's checkpoint.

    Attributes:
        settings: settings of the training, its random seed included.
        data: see `dti.training.checkpoint`.
    """

    settings: Mapping[str, object]
    data: bytes

    @staticmethod
    def file(path: Path) -> Path:
        """File beside an embedding."""
        return path.with_suffix(".checkpoint")

    @classmethod
    def of(cls, run: "Run") -> "Checkpoint":
        """The present state of a run."""
        return cls(asdict(run.work.settings), run.checkpoint())

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """The checkpoint beside an embedding.

        Raises:
            CheckpointError: there is none, or it cannot be read.
        """
        file = cls.file(path)
        try:
            line, separator, data = file.read_bytes().partition(b"\n")
            settings = json.loads(line)
        except FileNotFoundError as error:
            raise CheckpointError(f"There is no checkpoint {file}. Start the training without --resume.") from error
        except ValueError as error:
            raise CheckpointError(f"{file} is no checkpoint of `dti train`. Start without --resume.") from error
        if not (separator and isinstance(settings, dict)):
            raise CheckpointError(f"{file} is damaged. Start the training without --resume.")
        return cls(settings, data)

    def write(self, path: Path) -> None:
        """Write it beside an embedding, at once or not at all."""
        file = self.file(path)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        write_file(temporary, json.dumps(self.settings).encode() + b"\n" + self.data)
        temporary.replace(file)


def _print_left_out(names: Sequence[str], assessments: "Sequence[PictureAssessment]") -> None:
    """Print which pictures the selection leaves out, and why."""
    for name, assessment in zip(names, assessments, strict=bool(assessments)):
        if assessment.reason is not None:
            original = "" if assessment.duplicate_of is None else f" of {names[assessment.duplicate_of]}"
            reason = assessment.reason.replace("_", " ") + original
            console.print(f"{name} is left out: {reason} (--no-selection keeps it).", markup=False, soft_wrap=True)


def _advance_until_done(trainer: "Trainer", run: "Run", path: Path) -> DTIError | None:
    """Make the updates of the trainer's only run, until Ctrl-C; returns the error that ended it early, if any."""
    error, saved_at = None, time.monotonic()
    with progress(f"Training <{run.work.trigger}>", run.total, run.step) as told, _deferred_interrupt() as stopped:
        while trainer.runs and not stopped:
            (update,) = trainer.advance()
            error = update.error
            told(run.step, f"loss {update.loss:.3f}, rotated by {update.angle_rad:.2f} rad")
            if time.monotonic() - saved_at >= CHECKPOINT_INTERVAL_S and not run.finished:
                Checkpoint.of(run).write(path)
                saved_at = time.monotonic()
    return error


@contextmanager
def _deferred_interrupt() -> Iterator[list[int]]:
    """Signals of Ctrl-C and `kill` are collected here; the second one interrupts at once.

    An interrupt in the middle of an update would leave rows and counts that do not belong together.
    """
    received: list[int] = []

    def collect(number: int, _frame: FrameType | None) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    before = {number: signal.signal(number, collect) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
