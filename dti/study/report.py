"""Stage report: one HTML page that opens offline, with tables, figures and picture grids, and the blind page.

Every table holds the floor (class word) and the ceiling (references).
"""

import html
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from dti.pictures import data_address
from dti.study import figures
from dti.study.analysis import Analysis, ArmResult, Axes, axes_of
from dti.study.blind import blind_page
from dti.study.files import write_atomically
from dti.study.items import PictureItem, pictures
from dti.study.judges import reopen_judge
from dti.study.manifest import Manifest
from dti.study.statistics import Interval
from dti.study.training import open_picture

SHOWN_CONCEPTS, SHOWN_PROMPTS, CELL_PX = 8, 6, 96
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .7rem;border-bottom:1px solid #ccc;text-align:left}
td.n{font-variant-numeric:tabular-nums}.grid img{width:96px;height:96px;image-rendering:auto}
.grid td,.grid th{padding:2px;border:0;font-size:12px}svg{max-width:100%;height:auto}.scroll{overflow-x:auto}"""


def report(manifest: Manifest, folder: Path) -> Path:
    """Write `report.html`, `blind.html` and the tables `scores.csv` and `losses.csv`.

    Args:
        manifest: the study.
        folder: of the study, scored.

    Returns:
        Path of the report.

    Raises:
        StudyError: a concept has no scores yet.
    """
    axes = axes_of([reopen_judge(ref) for ref in manifest.judges])
    analysis = Analysis(manifest, folder)
    sections = [
        _head(manifest),
        _main_table(analysis, axes),
        _chart("Likeness against obedience", _front(analysis, axes)),
        _tuned(analysis, axes),
        _orders(analysis, axes),
        _losses(analysis),
        _mixes(analysis, axes),
        _chart("Norm of the rows over the training", figures.norms(manifest, folder)),
        _grids(manifest, folder),
        _strips(manifest, folder),
    ]
    title = html.escape(manifest.title)
    page = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f"<h1>{title}</h1>{''.join(sections)}</html>"
    )
    write_atomically(folder / "report.html", page.encode())
    write_atomically(folder / "blind.html", blind_page(manifest, folder).encode())
    return folder / "report.html"


def _head(manifest: Manifest) -> str:
    reported = sum(concept.split == "report" for concept in manifest.concepts)
    lines = [
        ("model", f"{manifest.model.source}, fingerprint {manifest.model.fingerprint[:16]}"),
        ("manifest", manifest.digest),
        ("concepts", f"{reported} reported, {len(manifest.concepts) - reported} for the choice of learning rates"),
        ("pictures", f"{len(manifest.prompts)} prompts with {len(manifest.seeds)} seeds per concept and arm"),
        ("judges", ", ".join(f"{ref.name} {ref.version}" for ref in manifest.judges)),
        ("intervals", "95 %, paired bootstrap over concepts, prompts and seeds"),
    ]
    return _table(["", ""], [[name, html.escape(value)] for name, value in lines])


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{text}</th>" for text in heads)
    body = "".join(f"<tr><td>{row[0]}</td>{_numbers(row[1:])}</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _numbers(cells: Sequence[str]) -> str:
    return "".join(f'<td class="n">{text}</td>' for text in cells)


def _chart(title: str, svg: str) -> str:
    return f"<h2>{title}</h2>{svg}"


def spell(interval: Interval, *, signed: bool = False) -> str:
    """An interval as text: value [low, high]; differences with their sign."""
    if math.isnan(interval.value):
        return "no value"
    sign = "+" if signed else ""
    return f"{interval.value:{sign}.3f} [{interval.low:{sign}.3f}, {interval.high:{sign}.3f}]"


def _pair_row(likeness: ArmResult, obedience: ArmResult) -> list[str]:
    return [
        html.escape(likeness.arm),
        spell(likeness.mean),
        spell(likeness.difference, signed=True),
        spell(obedience.mean),
        spell(obedience.difference, signed=True),
    ]


def _main_table(analysis: Analysis, axes: Axes) -> str:
    likeness, obedience = analysis.results(axes.likeness), analysis.results(axes.obedience)
    rows = [_pair_row(*pair) for pair in zip(likeness, obedience, strict=True)]
    ceiling = analysis.ceiling(axes.likeness)
    if ceiling is not None:
        rows.append(["references", f"{ceiling:.3f}", "", "", ""])
    reference = html.escape(analysis.manifest.reference_arm)
    heads = ["arm", axes.likeness, f"minus {reference}", axes.obedience, f"minus {reference}"]
    return "<h2>Arms</h2>" + _table(heads, rows)


def _front(analysis: Analysis, axes: Axes) -> str:
    return figures.front(
        analysis.manifest,
        analysis.results(axes.likeness),
        analysis.results(axes.obedience),
        axes,
        analysis.ceiling(axes.likeness),
    )


def _tuned(analysis: Analysis, axes: Axes) -> str:
    chosen = analysis.tuned(axes)
    if not chosen:
        return ""
    rows = [[html.escape(method), html.escape(arm)] for method, arm in chosen.items()]
    text = "<p>Best learning rate on the development concepts, both axes weighted alike; reported on the others.</p>"
    return "<h2>Learning rates</h2>" + text + _table(["method", "chosen"], rows)


def _orders(analysis: Analysis, axes: Axes) -> str:
    by_order = analysis.orders(axes.obedience)
    rows = [
        [html.escape(arm), *(spell(results[index].mean) for results in by_order.values())]
        for index, arm in enumerate(analysis.arms)
    ]
    heads = ["arm", *(f"context {order}" for order in by_order)]
    return "<h2>Obedience by the position of the context</h2>" + _table(heads, rows)


def _losses(analysis: Analysis) -> str:
    inside, outside = analysis.losses_by_arm("loss_inside"), analysis.losses_by_arm("loss_outside")
    rows = [_pair_row(*pair) for pair in zip(inside, outside, strict=True)]
    text = "<p>Denoising loss on true pictures, times and noises fixed; lower is better.</p>"
    reference = html.escape(analysis.manifest.reference_arm)
    heads = ["arm", "inside the object", f"minus {reference}", "outside", f"minus {reference}"]
    return "<h2>Loss on true pictures</h2>" + text + _table(heads, rows)


def _mixes(analysis: Analysis, axes: Axes) -> str:
    found = analysis.mixes(axes)
    if not found:
        return ""
    rows = [
        [html.escape(mix.arm), mix.mixing, spell(mix.evenness), spell(mix.obedience), spell(mix.likeness)]
        for mix in found
    ]
    heads = ["arm", "mixing", "largest step over mean step", "obedience in the middle", "likeness to the start at ¼"]
    return "<h2>Interpolation</h2>" + _table(heads, rows)


def _image(path: Path) -> str:
    with Image.open(path) as picture:
        return f'<img alt="" src="{data_address(picture, CELL_PX)}">'


def _grids(manifest: Manifest, folder: Path) -> str:
    """References and every arm's pictures of the first prompts, for the first concepts."""
    items = [item for item in pictures(manifest) if item.mix is None and item.seed == manifest.seeds[0]]
    concepts = [concept for concept in manifest.concepts if concept.split == "report"][:SHOWN_CONCEPTS]
    parts = ["<h2>Pictures</h2>"]
    for concept in concepts:
        shown = [open_picture(Path(manifest.pictures), ref).convert("RGB") for ref in concept.references[:4]]
        images = "".join(f'<img alt="" src="{data_address(picture, CELL_PX)}">' for picture in shown)
        parts.append(f'<h3>{html.escape(concept.name)}</h3><div class="grid">{images}</div>')
        parts.append(_grid([item for item in items if item.concept is concept], folder))
    return "".join(parts)


def _grid(items: Sequence[PictureItem], folder: Path) -> str:
    rows: dict[str, list[PictureItem]] = {}
    for item in items:
        if item.prompt_index < SHOWN_PROMPTS:
            rows.setdefault(item.arm, []).append(item)
    heads = "".join(f"<th>{html.escape(item.prompt.text)}</th>" for item in next(iter(rows.values())))
    body = "".join(
        f"<tr><th>{html.escape(arm)}</th>{''.join(f'<td>{_image(item.file(folder))}</td>' for item in row)}</tr>"
        for arm, row in rows.items()
    )
    return f'<div class="scroll"><table class="grid"><tr><th></th>{heads}</tr>{body}</table></div>'


def _strips(manifest: Manifest, folder: Path) -> str:
    """Interpolations of the first pairs, one row for each arm and mixing."""
    plan = manifest.interpolation
    items = [item for item in pictures(manifest) if item.mix and item.seed == manifest.seeds[0]]
    parts = ["<h2>Interpolations</h2>"] if items else []
    for start, end in plan.pairs[:SHOWN_CONCEPTS]:
        rows: dict[str, list[str]] = {}
        for item in items:
            if item.concept.name == start and item.mix and item.mix.other.name == end:
                rows.setdefault(f"{item.arm}, {item.mix.mixing}", []).append(_image(item.file(folder)))
        body = "".join(f"<tr><th>{html.escape(name)}</th>{_cells(images)}</tr>" for name, images in rows.items())
        parts.append(f'<h3>{html.escape(start)} to {html.escape(end)}</h3><table class="grid">{body}</table>')
    return "".join(parts)


def _cells(images: Sequence[str]) -> str:
    return "".join(f"<td>{image}</td>" for image in images)
