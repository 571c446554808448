"""Stage score: one table row per picture, and the denoising loss of every embedding on fixed draws.

Rows of arm "references" are the references themselves, each compared with the others: the ceiling of likeness.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from PIL import Image

from dti.embeddings.embedding import Embedding
from dti.errors import StudyError
from dti.families import Family
from dti.pictures import prepare
from dti.render import spliced_prompt
from dti.study.files import Row, read_table, write_table
from dti.study.items import PictureItem, pictures, shard, training_item
from dti.study.judges import Judge, Request, reopen_judge
from dti.study.manifest import CLASS_WORD, Concept, Manifest
from dti.study.training import open_picture

REFERENCES = "references"
TABLE, LOSSES = "scores.csv", "losses.csv"
TIMES = 8
"""Draws of time and noise per picture of the loss."""


def score(
    manifest: Manifest,
    folder: Path,
    *,
    device: str = "cpu",
    part: str | None = None,
    on_done: Callable[[Concept], None] = lambda _: None,
) -> None:
    """Score the pictures of all concepts whose scores are missing.

    Args:
        manifest: the study.
        folder: of the study, with the pictures.
        device: of the judges.
        part: a shard of the concepts; see `items.shard`.
        on_done: called after each concept.

    Raises:
        StudyError: a picture is missing, or a judge has another version than the manifest says.
    """
    missing = [concept for concept in shard(manifest.concepts, part) if not _file(folder, concept, TABLE).exists()]
    if not missing:
        return
    judges = [reopen_judge(ref, device) for ref in manifest.judges]
    items = pictures(manifest)
    for concept in missing:
        own = [item for item in items if item.concept is concept]
        write_table(_file(folder, concept, TABLE), _rows(manifest, folder, concept, own, judges))
        on_done(concept)


def _rows(
    manifest: Manifest, folder: Path, concept: Concept, items: Sequence[PictureItem], judges: Sequence[Judge]
) -> list[Row]:
    references = [open_picture(Path(manifest.pictures), picture) for picture in concept.references]
    opened = [_open(item.file(folder)) for item in items]
    requests = [Request(item.asked, item.prompt.asks) for item in items]
    scores: list[dict[str, float]] = [{} for _ in items]
    for judge in judges:
        judge.begin(concept, references)
        scores = [known | found for known, found in zip(scores, judge.score(opened, requests), strict=True)]
    rows: list[Row] = [{**_facts(item), **found} for item, found in zip(items, scores, strict=True)]
    return rows + _ceiling(concept, references, judges)


def _open(path: Path) -> Image.Image:
    if not path.exists():
        raise StudyError(f"The picture {path} is missing. Run the stage render first.")
    with Image.open(path) as picture:
        return picture.convert("RGB")


def _facts(item: PictureItem) -> dict[str, str | int | float | None]:
    return {
        "concept": item.concept.name,
        "split": item.concept.split,
        "arm": item.arm,
        "prompt": item.prompt_index,
        "order": item.prompt.order,
        "seed": item.seed,
        "other": item.mix.other.name if item.mix else None,
        "share": item.mix.share if item.mix else None,
        "mixing": item.mix.mixing if item.mix else None,
        "picture": item.key,
    }


def _ceiling(concept: Concept, references: Sequence[Image.Image], judges: Sequence[Judge]) -> list[Row]:
    """Every reference compared with the others, as a picture of a prompt that asks for nothing."""
    rows: list[Row] = []
    for left_out, picture in enumerate(references):
        others = [other for index, other in enumerate(references) if index != left_out]
        if not others:
            return []
        row: dict[str, str | int | float | None] = {
            "concept": concept.name,
            "split": concept.split,
            "arm": REFERENCES,
            "prompt": 0,
            "seed": left_out,
        }
        for judge in judges:
            judge.begin(concept, others)
            row |= judge.score([picture.convert("RGB")], [Request(concept.class_word, {})])[0]
        rows.append(row)
    return rows


def measure_losses(manifest: Manifest, family: Family, folder: Path, *, part: str | None = None) -> None:
    """Measure every embedding's denoising loss inside and outside the object, on the same draws for all arms.

    Pictures are the held-back ones, or the references where none are held back. Times and noises are fixed by
    picture, so differences between arms are paired; no picture is sampled.
    """
    for concept in shard(manifest.concepts, part):
        path = _file(folder, concept, LOSSES)
        if not path.exists():
            write_table(path, _losses(manifest, family, folder, concept))


@torch.inference_mode()
def _losses(manifest: Manifest, family: Family, folder: Path, concept: Concept) -> list[Row]:
    side = min(manifest.rendering.width, manifest.rendering.height)
    generator = torch.Generator().manual_seed(0)
    chosen = concept.held_back or concept.references
    crops = [prepare(open_picture(Path(manifest.pictures), picture), side, 1, generator)[0] for picture in chosen]
    latents = family.encode(torch.stack([crop.pixels for crop in crops])).mean
    masks = torch.stack([crop.subject for crop in crops]).to(latents)
    inside = torch.nn.functional.adaptive_avg_pool2d(masks, (latents.shape[-2], latents.shape[-1]))
    rows: list[Row] = []
    for arm in (CLASS_WORD, *(arm.name for arm in manifest.arms)):
        prompt, concepts = f"a photo of a {concept.class_word}", dict[str, Embedding]()
        if arm != CLASS_WORD:
            path = training_item(manifest, concept, manifest.arm(arm)).embedding(folder)
            prompt, concepts = f"a photo of <{concept.name}>", {concept.name: Embedding.load(path)}
        spliced = spliced_prompt(prompt, concepts, family)
        found: dict[str, list[float]] = {"inside": [], "outside": []}
        for index, crop in enumerate(crops):
            conditioning = family.condition([spliced] * TIMES, [crop.view] * TIMES)
            for name, weights in (("inside", inside), ("outside", 1 - inside)):
                generators = [torch.Generator().manual_seed(1000 * index + time) for time in range(TIMES)]
                repeated = latents[index : index + 1].repeat(TIMES, 1, 1, 1)
                weight = weights[index : index + 1].repeat(TIMES, 1, 1, 1).clamp_min(1e-6)
                found[name].append(float(family.loss(repeated, weight, conditioning, generators).mean()))
        for index in range(len(crops)):
            values = {f"loss_{name}": numbers[index] for name, numbers in found.items()}
            rows.append({"concept": concept.name, "split": concept.split, "arm": arm, "picture": index, **values})
    return rows


def _file(folder: Path, concept: Concept, table: str) -> Path:
    return folder / "scores" / f"{concept.name}.{table}"


def gather(manifest: Manifest, folder: Path, table: str) -> list[dict[str, str]]:
    """All rows of a table; writes them as one file of the study, too.

    Args:
        manifest: the study.
        folder: of the study.
        table: TABLE or LOSSES.

    Raises:
        StudyError: a concept has no scores yet.
    """
    rows: list[dict[str, str]] = []
    for concept in manifest.concepts:
        path = _file(folder, concept, table)
        if not path.exists():
            raise StudyError(f"<{concept.name}> has no scores yet. Run the stage score first.")
        rows += read_table(path)
    write_table(folder / table, rows)
    return rows


def values(rows: Sequence[Mapping[str, str]], metric: str) -> dict[tuple[str, str, int, int], float]:
    """A metric by arm, concept, prompt and seed; interpolations and empty cells are left out."""
    return {
        (row["arm"], row["concept"], int(row["prompt"]), int(row["seed"])): float(row[metric])
        for row in rows
        if row.get(metric) and not row.get("other")
    }
