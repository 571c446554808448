"""Parts of a request that have no effect, or not the one that they have in other tools, as warnings of its job."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence

from dti.spec.foreign_syntax import foreign_syntax
from dti.spec.prompts import NAME_PATTERN, triggers
from dti.spec.registry import FAMILIES
from dti.spec.settings import CompleteRendering, PromptSyntax, Training
from service.kinds.warnings import JobWarning

_WORD = re.compile(rf"(?<![\w<-]){NAME_PATTERN}(?![\w>-])")


def in_prompts(
    prompts: Mapping[str, str | None], *, placeholder: bool = False, syntax: PromptSyntax = "plain"
) -> Iterator[JobWarning]:
    """Syntax of other tools.

    Args:
        prompts: by field; None for one that is not given.
        placeholder: whether {} stands for the concept in the first one.
        syntax: the one that is understood.
    """
    for number, (field, prompt) in enumerate(prompts.items()):
        for finding in foreign_syntax(prompt or "", placeholder=placeholder and number == 0, syntax=syntax):
            yield JobWarning(
                code="foreign_syntax", message=f"{field}: {finding.message}", subjects=(field, finding.text)
            )


def plain_names(prompt: str) -> set[str]:
    """Words of a prompt that could be names of concepts without their brackets: those with a hyphen or a digit."""
    words = {word for word in _WORD.findall(prompt.lower()) if not word.isalpha() and not word.isdigit()}
    return words - set(triggers(prompt))


def in_plain_names(names: Sequence[str]) -> Iterator[JobWarning]:
    """Concepts whose names the prompt has without brackets."""
    if names:
        written = ", ".join(f"<{name}>" for name in names)
        yield JobWarning(
            code="concept_unused",
            message=f"prompt: {', '.join(names)} is read as plain words. Write {written} to use the concept.",
            subjects=tuple(names),
        )


def in_rendering(
    family: str,
    rendering: CompleteRendering,
    negative_prompt: str,
    *,
    given: Collection[str] = (),
    takes_guidance: bool = True,
) -> Iterator[JobWarning]:
    """Settings of guidance where there is none.

    Args:
        family: of the model.
        rendering: all settings.
        negative_prompt: of the request.
        given: names of the settings in the request.
        takes_guidance: whether some guidance scale has an effect with the model.
    """
    first, last = FAMILIES[family].unguided
    is_off = first <= rendering.guidance_scale <= last
    if takes_guidance and not is_off:
        return
    reason, remedy = "the model was distilled to do without guidance.", "Omit"
    if takes_guidance:
        reason = f"guidance_scale is {rendering.guidance_scale:g}, which turns guidance off."
        remedy = "Raise guidance_scale, or omit"
    elif "guidance_scale" in given and not is_off:
        yield _unused("guidance_scale", f"guidance_scale has no effect: {reason} Omit it.")
    used = {"negative_prompt": bool(negative_prompt.strip()), "guidance_rescale": rendering.guidance_rescale > 0}
    for name in (name for name, is_given in used.items() if is_given):
        yield _unused(name, f"{name} has no effect: {reason} {remedy} {name}.")


def in_interpolation(
    given: Mapping[str, object], shares: Sequence[float] | None, start: str, end: str
) -> Iterator[JobWarning]:
    """A number of frames beside shares; a method without frames between the ends; two ends that are one concept.

    Args:
        given: the interpolation's settings in the request.
        shares: those in the request.
        start: name of the first concept.
        end: name of the last concept.
    """
    frames = given.get("frames")
    if shares is not None and frames is not None and frames != len(shares):
        yield _unused(
            "frames",
            f"frames ({frames}) has no effect: shares are given, and there are {len(shares)}. Give one of the two.",
        )
    ends_only = frames == 2 if shares is None else set(shares) <= {0.0, 1.0}  # noqa: PLR2004 - first and last
    if given.get("method") is not None and ends_only:
        yield _unused("method", "method has no effect: there are no frames between the first and the last. Add some.")
    if start == end:
        yield _unused("to", f"from and to are both <{start}>: all frames are alike. Choose two concepts.")


def in_training(settings: Training, captions: Sequence[str | None]) -> Iterator[JobWarning]:
    """A prompt for previews that are not made; captions that are not used, or with syntax of other tools."""
    yield from in_prompts({"training.preview_prompt": settings.preview_prompt}, placeholder=True)
    yield from in_captions(settings, captions)
    every = settings.preview_every
    if settings.preview_prompt is not None and not every:
        yield _unused(
            "training.preview_prompt",
            "training.preview_prompt has no effect: training.preview_every is 0, so there are no previews. "
            "Set training.preview_every.",
        )
    if every > settings.steps:
        yield _unused(
            "training.preview_every",
            f"training.preview_every has no effect: a preview every {every} updates is none in {settings.steps}. "
            "Lower training.preview_every.",
        )


def in_captions(settings: Training, captions: Sequence[str | None]) -> Iterator[JobWarning]:
    """Captions that are not used, or with syntax of other tools."""
    for caption in dict.fromkeys(captions):
        yield from in_prompts({"caption": caption}, placeholder=True)
    captioned = sum(caption is not None for caption in captions)
    if captioned and not settings.captions:
        yield JobWarning(
            code="caption_unused",
            message=f"The captions of {captioned} pictures are not used: training.captions is false.",
            subjects=("training.captions",),
        )


def _unused(field: str, message: str) -> JobWarning:
    return JobWarning(code="setting_unused", message=message, subjects=(field,))
