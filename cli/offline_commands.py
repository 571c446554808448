"""The command line's work on files: `dti train`, `dti render` and `dti interpolate`, with progress bars and sentences.

What is heavy is imported inside, so that the other commands never load it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.options import setting, with_training_settings
from cli.terminal import console, load_model, make_way, write_file
from dti.errors import DTIError, InvalidSettingError
from dti.spec.registry import METHODS
from dti.spec.settings import Interpolation, Rendering, complete
from service.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

    from cli.offline import Model
    from dti.embeddings.embedding import Embedding
    from dti.training.selection import PictureAssessment
    from dti.training.trainer import Run, Trainer
    from worker.outputs.plans import PicturePlan

_ModelName = Annotated[
    str, typer.Option(help="A model of the catalogue, a folder in the diffusers layout, or a Hub id.")
]
_FamilyName = Annotated[str, typer.Option(help="What a checkpoint is that the catalogue does not know.")]
_Seed = Annotated[int | None, setting(Rendering, "seed")]
_Width = Annotated[int | None, setting(Rendering, "width")]
_Height = Annotated[int | None, setting(Rendering, "height")]
_RenderingSteps = Annotated[int | None, setting(Rendering, "steps")]
_Guidance = Annotated[float | None, setting(Rendering, "guidance_scale")]
_Scheduler = Annotated[str | None, setting(Rendering, "scheduler")]
_NegativePrompt = Annotated[str, typer.Option(help="What pictures are led away from; may name concepts too.")]
_CONCEPT = "An embedding made by `dti train`."
_ConceptFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=_CONCEPT)]
_OutFolder = Annotated[Path, typer.Option(help="Folder for the pictures; made where it is missing.")]


@with_training_settings
def train(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Pictures; NAME.txt is a caption.")],
    class_word: Annotated[str, typer.Option(help="What kind of thing it is, such as dog.")],
    name: Annotated[str, typer.Option(help="What prompts call the concept, as <name>.")],
    out: Annotated[Path | None, typer.Option(help="The embedding's file; NAME.safetensors where not said.")] = None,
    *,
    model: _ModelName = "tiny",
    family: _FamilyName = "sd",
    method: Annotated[str, typer.Option(help=f"How the concept is learned: {', '.join(METHODS)}.")] = "dti",
    style: Annotated[bool, typer.Option("--style", help="Learn the pictures' style, not an object in them.")] = False,
    **given: Any,  # noqa: ANN401 - a setting's type is its own
) -> None:
    """Learn a concept from a folder of pictures."""
    from cli import offline as work

    path = out or Path(f"{name}.safetensors")
    settings = Settings.from_environment(os.environ)
    pictures = work.read_folder(folder, settings)
    trainer, run = work.start_training(
        load_model(model, family, settings),
        pictures,
        name=name,
        class_word=class_word,
        learnable_property="style" if style else "object",
        method=method,
        given=given,
    )
    _tell([picture.filename for picture in pictures], run.training_set.assessments)
    make_way(path)
    error = _learn(trainer, run)
    write_file(path, run.embedding().to_bytes())
    if error is not None:
        raise error
    console.print(f"<{name}> lies in {path}.", markup=False)


def render(
    prompt: Annotated[str, typer.Argument(help="What the pictures show, with concepts as <name>.")],
    concept: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="An embedding made by `dti train`; repeatable."),
    ] = None,
    out: _OutFolder = Path("pictures"),
    *,
    model: _ModelName = "tiny",
    family: _FamilyName = "sd",
    negative_prompt: _NegativePrompt = "",
    num_images: Annotated[int | None, setting(Rendering, "num_images")] = None,
    width: _Width = None,
    height: _Height = None,
    steps: _RenderingSteps = None,
    guidance_scale: _Guidance = None,
    scheduler: _Scheduler = None,
    seed: _Seed = None,
    picture_format: Annotated[
        str | None, typer.Option("--format", help="png, webp or jpeg.", show_default=False)
    ] = None,
) -> None:
    """Make pictures of a prompt."""
    from cli import offline as work
    from worker.outputs import plans as picture_plans

    given = {
        "num_images": num_images,
        "width": width,
        "height": height,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "scheduler": scheduler,
        "seed": seed,
        "format": picture_format,
    }
    opened = load_model(model, family, Settings.from_environment(os.environ))
    asked = {"prompt": prompt, "negative_prompt": negative_prompt, **work.rendering(opened, _said(given))}
    concepts = _concepts(concept or [])
    _draw(opened, picture_plans.generation(asked, concepts), asked, concepts, out)


def interpolate(
    start: _ConceptFile,
    end: _ConceptFile,
    out: _OutFolder = Path("interpolation"),
    *,
    model: _ModelName = "tiny",
    family: _FamilyName = "sd",
    prompt: Annotated[str, typer.Option(help="With {} where the concept stands.")] = "a photo of {}",
    negative_prompt: _NegativePrompt = "",
    frames: Annotated[int | None, setting(Interpolation, "frames")] = None,
    method: Annotated[str | None, setting(Interpolation, "method")] = None,
    animation: Annotated[str | None, setting(Interpolation, "animation")] = None,
    contact_sheet: Annotated[bool, setting(Interpolation, "contact_sheet")] = False,
    width: _Width = None,
    height: _Height = None,
    steps: _RenderingSteps = None,
    guidance_scale: _Guidance = None,
    scheduler: _Scheduler = None,
    seed: _Seed = None,
) -> None:
    """Make pictures on the way from one concept to another."""
    from cli import offline as work
    from dti.embeddings.embedding import Embedding
    from dti.pictures import contact_sheet as sheet_of
    from dti.pictures import to_animation
    from worker.outputs import plans as picture_plans
    from worker.outputs.encoding import encode

    if prompt.count("{}") != 1:
        raise InvalidSettingError("prompt", "it needs exactly one {}, where the concept stands.")
    given = {
        "width": width,
        "height": height,
        "steps": steps,
        "guidance_scale": guidance_scale,
        "scheduler": scheduler,
        "seed": seed,
    }
    between = complete(Interpolation, _said({"frames": frames, "method": method, "animation": animation}))
    shares = [number / (between.frames - 1) for number in range(between.frames)]
    opened = load_model(model, family, Settings.from_environment(os.environ))
    asked = {
        "prompt": prompt,
        "negative_prompt": negative_prompt,
        "method": between.method,
        "shares": shares,
        **work.rendering(opened, _said(given)),
    }
    ends = [Embedding.load(path) for path in (start, end)]
    concepts = {embedding.trigger: embedding for embedding in ends}
    walk = picture_plans.interpolation(asked, ends, concepts)
    pictures = _draw(opened, walk, asked, concepts, out)
    provenance = picture_plans.sequence_provenance(work.provenance(opened, walk[0], prompt, concepts), shares)
    if between.animation is not None:
        data = to_animation(pictures, between.animation, provenance.infotext())
        write_file(out / f"animation.{between.animation}", data)
    if contact_sheet:
        sheet = sheet_of(pictures, len(pictures), [f"{share:.2f}" for share in shares])
        write_file(out / "contact_sheet.png", encode(sheet, "png", provenance).data)


def _tell(names: Sequence[str], verdicts: "Sequence[PictureAssessment]") -> None:
    """Say which pictures are left out, and how not to."""
    for name, verdict in zip(names, verdicts, strict=bool(verdicts)):
        if verdict.reason is not None:
            like = "" if verdict.duplicate_of is None else f" of {names[verdict.duplicate_of]}"
            said = verdict.reason.replace("_", " ")
            console.print(f"{name} is left out: {said}{like} (--no-selection keeps it).", markup=False, soft_wrap=True)


def _learn(trainer: "Trainer", run: "Run") -> DTIError | None:
    """Make all updates of the only run; returns why it ended early, where it did."""
    error = None
    with _bar(f"Learning <{run.work.trigger}>", run.total) as bar:
        while trainer.runs:
            (update,) = trainer.advance()
            error = update.error
            note = f"loss {update.loss:.3f}, turned by {run.angle_rad:.2f} rad"
            bar.update(bar.task_ids[0], completed=run.step, note=note)
    return error


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}


def _concepts(paths: Sequence[Path]) -> "dict[str, Embedding]":
    """Embeddings by the names that prompts call them."""
    from dti.embeddings.embedding import Embedding

    concepts: dict[str, Embedding] = {}
    for path in paths:
        embedding = Embedding.load(path)
        if embedding.trigger in concepts:
            raise InvalidSettingError("concept", f"<{embedding.trigger}> is given twice, the second time by {path}.")
        concepts[embedding.trigger] = embedding
    return concepts


def _draw(
    model: "Model",
    plans: "Sequence[PicturePlan]",
    asked: Mapping[str, Any],
    concepts: "Mapping[str, Embedding]",
    out: Path,
) -> "list[Image.Image]":
    """Render frames into a folder, numbered in their order; returns the pictures."""
    from cli import offline as work
    from worker.outputs.encoding import encode

    make_way(out / f"00.{asked['format']}")
    pictures = []
    with _bar("Rendering", sum(frame.work.steps for frame in plans)) as bar:
        made = work.render(model, plans, lambda steps: bar.advance(bar.task_ids[0], steps))
        for number, (frame, picture) in enumerate(zip(plans, made, strict=True)):
            file = encode(picture, asked["format"], work.provenance(model, frame, asked["prompt"], concepts))
            write_file(out / f"{number:02}.{file.format}", file.data)
            pictures.append(picture)
    console.print(f"Pictures in {out}: {len(pictures)}, with seed {asked['seed']}.", markup=False)
    return pictures


@contextmanager
def _bar(what: str, total: int) -> Iterator[Progress]:
    """A progress bar with one task, on the error output, so that nothing is mixed into what a command prints."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as bar:
        bar.add_task(what, total=total, note="")
        yield bar
