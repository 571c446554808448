"""The offline commands that render: `dti render` and `dti interpolate`, with progress bars.

Heavy modules are imported inside, so that other commands never load them.
"""

import os
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options import FAMILY_HELP, MODEL_HELP, setting, with_rendering_settings
from cli.terminal import console, load_model, prepare_output, print_warnings, progress, write_file
from dti.errors import InvalidSettingError
from dti.spec.prompts import triggers
from dti.spec.settings import CompleteRendering, Interpolation, complete
from service.concepts import unused
from service.kinds.warnings import JobWarning
from service.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

    from cli.offline import OfflineModel
    from dti.embeddings.embedding import Embedding
    from service.kinds.jobs import InterpolateInput, PicturesInput
    from worker.outputs.plans import PicturePlan

_ModelName = Annotated[str, typer.Option(help=MODEL_HELP)]
_FamilyName = Annotated[str | None, typer.Option(help=FAMILY_HELP)]
_NegativePrompt = Annotated[str, typer.Option(help="Prompt to steer away from; may contain concepts too.")]
_ConceptFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="An embedding made by `dti train`.")]
_OutFolder = Annotated[Path, typer.Option(help="Folder for the images; created if missing.")]


@with_rendering_settings
def render(
    prompt: Annotated[str, typer.Argument(help="The prompt, with concepts as <name>.")],
    concept: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="An embedding made by `dti train`; repeatable."),
    ] = None,
    out: _OutFolder = Path("pictures"),
    *,
    model: _ModelName = "tiny",
    family: _FamilyName = None,
    negative_prompt: _NegativePrompt = "",
    **settings: Any,  # noqa: ANN401 - a setting's type is its own
) -> None:
    """Render images of a prompt."""
    from cli import offline
    from service.kinds.jobs import GenerateInput
    from worker.outputs import plans

    opened = load_model(model, family, Settings.from_environment(os.environ))
    rendering = offline.rendering(opened, settings)
    request = GenerateInput(prompt=prompt, negative_prompt=negative_prompt, model=model, rendering=rendering)
    concepts = _load_concepts(concept or [])
    named = _named(concepts, request)
    print_warnings(
        [
            *_not_named(concepts, named),
            *unused.in_prompts({"prompt": prompt, "negative prompt": negative_prompt}, syntax=rendering.prompt_syntax),
        ]
    )
    print_warnings(_unguided(opened, rendering, negative_prompt, settings))
    _render(opened, plans.generation(request, concepts), request, named, out)


@with_rendering_settings
def interpolate(
    start: _ConceptFile,
    end: _ConceptFile,
    out: _OutFolder = Path("interpolation"),
    *,
    model: _ModelName = "tiny",
    family: _FamilyName = None,
    prompt: Annotated[str, typer.Option(help="Prompt with {} in place of the concept.")] = "a photo of {}",
    negative_prompt: _NegativePrompt = "",
    frames: Annotated[int | None, setting(Interpolation, "frames")] = None,
    method: Annotated[str | None, setting(Interpolation, "method")] = None,
    animation: Annotated[str | None, setting(Interpolation, "animation")] = None,
    contact_sheet: Annotated[bool, setting(Interpolation, "contact_sheet")] = False,
    **settings: Any,  # noqa: ANN401 - a setting's type is its own
) -> None:
    """Render images between two concepts."""
    from cli import offline
    from service.kinds.jobs import InterpolateInput

    if prompt.count("{}") != 1:
        raise InvalidSettingError("prompt", "it needs exactly one {}, in place of the concept.")
    chosen = {"frames": frames, "method": method, "animation": animation}
    between = complete(Interpolation, {**_without_none(chosen), "contact_sheet": contact_sheet})
    opened = load_model(model, family, Settings.from_environment(os.environ))
    rendering = offline.rendering(opened, settings)
    request = InterpolateInput(
        start=str(start),
        end=str(end),
        prompt=prompt,
        negative_prompt=negative_prompt,
        model=model,
        interpolation=between,
        shares=tuple(number / (between.frames - 1) for number in range(between.frames)),
        rendering=rendering,
    )
    prompts = {"prompt": prompt, "negative prompt": negative_prompt}
    print_warnings(unused.in_prompts(prompts, placeholder=True, syntax=rendering.prompt_syntax))
    print_warnings(_unguided(opened, rendering, negative_prompt, settings))
    _interpolate(opened, request, out)


def _interpolate(model: "OfflineModel", request: "InterpolateInput", out: Path) -> None:
    """Render the images between two embeddings, and their animation and contact sheet, into a folder."""
    from cli import offline
    from dti.embeddings.embedding import Embedding
    from dti.pictures import contact_sheet, to_animation
    from worker.outputs import plans
    from worker.outputs.encoding import encode

    settings, shares = request.interpolation, request.shares
    ends = [Embedding.load(Path(path)) for path in (request.start, request.end)]
    concepts = {embedding.trigger: embedding for embedding in ends}
    sequence = plans.interpolation(request, ends, concepts)
    pictures = _render(model, sequence, request, concepts, out)
    first = offline.provenance(model, sequence[0], request.prompt, concepts)
    provenance = plans.sequence_provenance(first, shares)
    if settings.animation is not None:
        data = to_animation(pictures, settings.animation, provenance.infotext())
        write_file(out / f"animation.{settings.animation}", data)
    if settings.contact_sheet:
        sheet = contact_sheet(pictures, len(pictures), [f"{share:.2f}" for share in shares])
        write_file(out / "contact_sheet.png", encode(sheet, "png", provenance).data)


def _without_none(options: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}


def _unguided(
    opened: "OfflineModel", rendering: CompleteRendering, negative_prompt: str, settings: Mapping[str, object]
) -> Iterator[JobWarning]:
    """Settings of guidance where there is none."""
    return unused.in_rendering(
        opened.entry.family,
        rendering,
        negative_prompt,
        given=_without_none(settings),
        takes_guidance=opened.family.takes_guidance,
    )


def _load_concepts(paths: Sequence[Path]) -> "dict[str, Embedding]":
    """Embeddings by their names in prompts."""
    from dti.embeddings.embedding import Embedding

    concepts: dict[str, Embedding] = {}
    for path in paths:
        embedding = Embedding.load(path)
        if embedding.trigger in concepts:
            raise InvalidSettingError("concept", f"<{embedding.trigger}> is given twice, the second time by {path}.")
        concepts[embedding.trigger] = embedding
    return concepts


def _named(concepts: "Mapping[str, Embedding]", request: "PicturesInput") -> "dict[str, Embedding]":
    """The concepts that the prompts name."""
    names = {*triggers(request.prompt), *triggers(request.negative_prompt)}
    return {name: embedding for name, embedding in concepts.items() if name in names}


def _not_named(concepts: Iterable[str], named: Container[str]) -> Iterator[JobWarning]:
    for name in concepts:
        if name not in named:
            yield JobWarning(
                code="concept_unused",
                message=f"<{name}> is given and not used: no prompt names it. Write <{name}> in the prompt.",
                subjects=(name,),
            )


def _render(
    model: "OfflineModel",
    sequence: "Sequence[PicturePlan]",
    request: "PicturesInput",
    concepts: "Mapping[str, Embedding]",
    out: Path,
) -> "list[Image.Image]":
    """Render images into a folder, numbered in order; returns them."""
    from cli import offline
    from worker.outputs.encoding import encode

    prepare_output(out / f"00.{request.rendering.format}")
    pictures = []
    calls = 0
    with progress("Rendering", request.rendering.calls * len(sequence)) as told:

        def add(steps: int) -> None:
            nonlocal calls
            calls += steps
            told(calls)

        rendered = offline.render(model, sequence, add)
        for number, (plan, picture) in enumerate(zip(sequence, rendered, strict=True)):
            provenance = offline.provenance(model, plan, request.prompt, concepts)
            file = encode(picture, request.rendering.format, provenance)
            write_file(out / f"{number:02}.{file.format}", file.data)
            pictures.append(picture)
    images = "1 image" if len(pictures) == 1 else f"{len(pictures)} images"
    console.print(f"{images} in {out}, with seed {request.rendering.seed}.", markup=False)
    return pictures
