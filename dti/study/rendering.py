"""Stage render: the pictures of all arms and of the class word, from common first latents by seed."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from dti.embeddings.embedding import Embedding
from dti.embeddings.mixing import interpolate
from dti.errors import StudyError
from dti.families import Family
from dti.pictures import to_png
from dti.render import PictureWork, Renderer
from dti.study.files import write_atomically
from dti.study.items import PictureItem, pictures, shard, training_item
from dti.study.manifest import CLASS_WORD, Manifest

if TYPE_CHECKING:
    from dti.spec.settings import Mixing


def render(
    manifest: Manifest,
    family: Family,
    folder: Path,
    *,
    together: int,
    part: str | None = None,
    on_done: Callable[[PictureItem], None] = lambda _: None,
) -> None:
    """Render the missing pictures of a study.

    Args:
        manifest: the study.
        family: its model.
        folder: of the study, with the embeddings.
        together: pictures that share a forward pass.
        part: a shard; see `items.shard`.
        on_done: called after each picture.

    Raises:
        StudyError: an embedding is missing: the stage train comes first.
    """
    load = functools.lru_cache(maxsize=64)(functools.partial(_embedding, manifest, folder))
    waiting = [item for item in shard(pictures(manifest), part) if not item.file(folder).exists()]
    renderer = Renderer(family)
    running: dict[int, PictureItem] = {}
    while waiting or running:
        while waiting and len(running) < together:
            item = waiting.pop(0)
            running[id(renderer.admit(_work(manifest, item, load)))] = item
        for slot in renderer.advance():
            item = running.pop(id(slot))
            if slot.picture is None:
                raise slot.error or StudyError("A finished picture has neither pixels nor an error.")
            write_atomically(item.file(folder), to_png(slot.picture))
            on_done(item)


def _embedding(manifest: Manifest, folder: Path, concept: str, arm: str) -> Embedding:
    path = training_item(manifest, manifest.concept(concept), manifest.arm(arm)).embedding(folder)
    if not path.exists():
        raise StudyError(f"<{concept}> has no embedding by {arm!r} yet. Run the stage train first.")
    return Embedding.load(path)


def _work(manifest: Manifest, item: PictureItem, load: Callable[[str, str], Embedding]) -> PictureWork:
    plan, name = manifest.rendering, item.concept.name
    if item.arm == CLASS_WORD:
        prompt, concepts = item.asked, {}
    else:
        prompt, concepts = item.prompt.text.replace("{}", f"<{name}>"), {name: load(name, item.arm)}
    if item.mix is not None:
        other = load(item.mix.other.name, item.arm)
        concepts = {name: interpolate(concepts[name], other, item.mix.share, cast("Mixing", item.mix.mixing))}
    return PictureWork(
        prompt=prompt,
        concepts=concepts,
        width=plan.width,
        height=plan.height,
        steps=plan.steps,
        guidance_scale=plan.guidance_scale,
        scheduler=plan.scheduler,
        seed=item.seed,
    )
