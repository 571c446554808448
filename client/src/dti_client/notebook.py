"""What notebooks show of images, jobs and concepts: HTML in which every text is escaped."""

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dti_client.models import Concept, Image, Job

_WIDTH_PX = 192


def image(shown: "Image") -> str:
    """An image with its prompt, or its size where the response had no URL."""
    caption = " · ".join(part for part in (shown.prompt, None if shown.seed is None else f"seed {shown.seed}") if part)
    if shown.url is None:
        return f"<p>{escape(shown.id)}: {shown.width} x {shown.height} px. {escape(caption)}</p>"
    width = min(shown.width, _WIDTH_PX)
    return (
        f'<figure style="display:inline-block;margin:4px"><img src="{escape(shown.url)}" width="{width}" '
        f'alt="{escape(caption)}" title="{escape(caption)}"></figure>'
    )


def job(shown: "Job") -> str:
    """A job with its state and its images."""
    prompt = escape(str(shown.input.get("prompt") or ", ".join(concept.name for concept in shown.concepts)))
    state = f"{shown.progress.step} of {shown.progress.total} steps" if shown.status == "running" else shown.status
    error = f"<p>{escape(shown.error.message)}</p>" if shown.error else ""
    return f"<p><b>{escape(shown.kind)}</b> {prompt}: {escape(state)}</p>{error}{_images(shown.pictures)}"


def concept(shown: "Concept") -> str:
    """A concept with its trigger and its cover."""
    state = "ready" if shown.ready else "not trained yet"
    cover = [shown.cover] if shown.cover else []
    about = escape(f"{shown.class_word} · {shown.model} · {state}")
    return f"<p><code>{escape(shown.trigger)}</code> {about}</p>{_images(cover)}"


def _images(images: Iterable["Image"]) -> str:
    return "".join(image(shown) for shown in images if shown.url)
