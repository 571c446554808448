"""`dti study`: methods compared on many concepts, from a frozen manifest to a report.

Heavy modules are imported inside, so that other commands never load them.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options import FAMILY_HELP
from cli.terminal import console, load_model
from dti.errors import StudyError
from dti.spec.registry import METHODS
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dti.families import Family
    from dti.study.items import TrainingItem
    from dti.study.manifest import Manifest

app = typer.Typer(help="Compare methods on many concepts.", no_args_is_help=True)

_Folder = Annotated[Path, typer.Argument(help="Folder of the study.")]
_Shard = Annotated[str | None, typer.Option("--shard", help="Only every n-th item: 0/4 is the first of four shards.")]
_Together = Annotated[int, typer.Option(min=1, max=64, help="Trainings, and half the pictures, per forward pass.")]


@app.command()
def new(
    folder: _Folder,
    concepts: Annotated[
        Path, typer.Option(exists=True, file_okay=False, help="One folder per concept, with pictures and concept.json.")
    ],
    prompts: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="JSON list of prompts with {}.")],
    model: Annotated[str, typer.Option(help="A model of the catalogue, a folder, or a Hub id.")] = "tiny",
    *,
    family: Annotated[str | None, typer.Option(help=FAMILY_HELP)] = None,
    size: Annotated[str, typer.Option("--plan", help="small or full.")] = "small",
    judge: Annotated[
        list[str] | None, typer.Option(help="dinov2, siglip, clip, dinov2=FOLDER or module:Class; repeatable.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Updates per training; default: the model's.")] = None,
    denoising_steps: Annotated[
        int | None, typer.Option(min=1, help="Denoising steps per picture; default: the model's.")
    ] = None,
) -> None:
    """Freeze a study: write its manifest, and print its cost."""
    from dti.study import plans
    from dti.study.manifest import RenderingPlan, freeze

    if size not in plans.SIZES:
        raise StudyError(f"There is no plan {size!r}. Choose one of: {', '.join(plans.SIZES)}.")
    opened = load_model(model, family, Settings.from_environment(os.environ))
    entry, chosen = opened.entry, plans.SIZES[size]
    given: Mapping[str, object] = {} if steps is None else {"steps": steps}
    defaults = {method: {**entry.training_by(method), **given} for method in METHODS}
    manifest = plans.make_manifest(
        title=f"Study on {model}",
        source=model,
        family=opened.family,
        pictures=concepts,
        prompts=plans.read_prompts(prompts),
        rendering=RenderingPlan(
            entry.width, entry.height, denoising_steps or entry.steps, entry.guidance_scale, entry.scheduler
        ),
        arms=plans.published_arms(defaults, min(entry.width, entry.height), chosen, opened.family),
        judges=judge or ["dinov2", "siglip"],
        size=chosen,
    )
    freeze(manifest, folder)
    _print_cost(manifest, folder, opened.family, None)


def _print_cost(manifest: "Manifest", folder: Path, family: "Family", shard: str | None) -> None:
    """Print the missing work and its time, estimated from one picture on this device."""
    from dti.study.costs import BACKWARD_FACTOR, cost, seconds_per_pass

    missing = cost(manifest, folder, shard)
    seconds = seconds_per_pass(manifest, family)
    hours = missing.hours(BACKWARD_FACTOR * seconds, seconds)
    typer.echo(
        f"{missing.trainings} trainings with {missing.updates} pictures through forward and backward, "
        f"{missing.pictures} pictures with {missing.denoiser_passes} denoiser passes: "
        f"about {hours:.2f} hours on {family.device}, at {seconds:.4f} s a pass."
    )


@app.command()
def run(
    folder: _Folder,
    stage: Annotated[str | None, typer.Option(help="train, render, score or report; default: all in turn.")] = None,
    shard: _Shard = None,
    together: _Together = 4,
) -> None:
    """Run the stages of a study; whatever is done already is kept."""
    from dti.study.manifest import thaw

    manifest = thaw(folder)
    stages: tuple[str, ...] = ("train", "render", "score", "report") if stage is None else (stage,)
    if unknown := set(stages) - {"train", "render", "score", "report"}:
        raise StudyError(f"There is no stage {unknown.pop()!r}. Choose one of: train, render, score, report.")
    if stages != ("report",):
        opened = load_model(manifest.model.source, manifest.model.family, Settings.from_environment(os.environ))
        _check_model(manifest, opened.family)
        _print_cost(manifest, folder, opened.family, shard)
        for name in stages:
            with console.status(f"Stage {name} …"):
                _compute(name, manifest, opened.family, folder, shard=shard, together=together)
    if "report" in stages and shard is None:
        from dti.study.report import report

        typer.echo(report(manifest, folder))


def _check_model(manifest: "Manifest", family: "Family") -> None:
    if family.fingerprint != manifest.model.fingerprint:
        raise StudyError(
            f"{manifest.model.source} is another checkpoint than the study's: its fingerprint is "
            f"{family.fingerprint[:16]}, the study's {manifest.model.fingerprint[:16]}."
        )


def _compute(
    stage: str, manifest: "Manifest", family: "Family", folder: Path, *, shard: str | None, together: int
) -> None:
    """Run one stage; the report is made elsewhere, without the model."""
    from dti.study.rendering import render
    from dti.study.scoring import measure_losses, score
    from dti.study.training import train

    if stage == "train":
        train(manifest, family, folder, together=together, part=shard, on_done=_print_training)
    elif stage == "render":
        render(manifest, family, folder, together=2 * together, part=shard)
    elif stage == "score":
        measure_losses(manifest, family, folder, part=shard)
        score(manifest, folder, device=str(family.device), part=shard)


def _print_training(item: "TrainingItem") -> None:
    console.print(f"Trained {item.concept.name} by {item.arm.name}.", markup=False)


@app.command()
def cost(folder: _Folder, shard: _Shard = None) -> None:
    """Print the missing work of a study and its time on this device."""
    from dti.study.manifest import thaw

    manifest = thaw(folder)
    opened = load_model(manifest.model.source, manifest.model.family, Settings.from_environment(os.environ))
    _print_cost(manifest, folder, opened.family, shard)
