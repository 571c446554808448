"""Making of a manifest: concepts from a folder layout, prompts from a file, arms from the model's published settings.

Layout: one folder per concept with pictures (`1.png`, mask `1.mask.png`), optionally `held_back/` with further
pictures, and `concept.json` with `class_word` and, optionally, `name` and `split`. DreamBench's own layout
(`prompts_and_classes.txt` beside the folders) is read, too.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar, cast

from dti.encoders import vocabulary_norm
from dti.errors import StudyError
from dti.families import Family
from dti.spec.registry import training_settings
from dti.spec.settings import Training
from dti.study.judges import open_judge
from dti.study.manifest import (
    Arm,
    Concept,
    InterpolationPlan,
    JudgeRef,
    Manifest,
    ModelRef,
    Order,
    PictureRef,
    Prompt,
    RenderingPlan,
    Split,
    sha256,
)

T = TypeVar("T")

SEED = 0
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
MASK = re.compile(r"\.mask$")
RATES = {"ti": (2e-3, 5e-3, 0.02), "ti-rescaled": (2e-3, 5e-3, 0.02), "crossinit": (2e-3, 5e-3, 0.02)}
"""Learning rates of every baseline; the best on the development concepts is reported on the others."""

RECIPES: Mapping[str, Mapping[str, object]] = {
    "fast": {"learning_rate": 0.12},
    "2 rows": {"learning_rate": 0.12, "num_vectors": 2},
}
"""Settings of `dti` that differ from the published ones, by name; with a quarter of the updates and cosine decay."""

KAPPAS, MAGNITUDES = (0.0, 1e-3, 1e-2), (2.0, 4.0, 8.0)
"""Fronts of `dti`: strength of the prior, and magnitude as a multiple of the vocabulary's mean norm."""


@dataclass(frozen=True, slots=True)
class Size:
    """Size of a study.

    Attributes:
        concepts: at most so many.
        prompts: at most so many.
        seeds: pictures per prompt.
        fronts: whether the arms of fronts are included.
        rates: whether every baseline runs at all its rates, or at the middle one only.
    """

    concepts: int
    prompts: int
    seeds: int
    fronts: bool
    rates: bool


SIZES = {
    "small": Size(concepts=6, prompts=8, seeds=2, fronts=False, rates=False),
    "full": Size(concepts=1000, prompts=1000, seeds=4, fronts=True, rates=True),
}
"""Sizes by name."""


def read_concepts(folder: Path) -> list[Concept]:
    """The concepts of a folder; every third is a development concept unless its `concept.json` says otherwise.

    Raises:
        StudyError: there are none, or one has no pictures or no class word.
    """
    classes = _dreambench_classes(folder)
    found = []
    for number, path in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        described = path / "concept.json"
        facts = json.loads(described.read_text("utf-8")) if described.exists() else {}
        class_word = facts.get("class_word") or classes.get(path.name)
        references = _pictures(folder, path)
        if not class_word or not references:
            raise StudyError(f"{path} is no concept: it needs pictures and a concept.json with a class_word.")
        split = cast("Split", facts.get("split", "development" if number % 3 == 0 else "report"))
        name = re.sub(r"[^a-z0-9]+", "-", str(facts.get("name", path.name)).lower()).strip("-")
        found.append(Concept(name, class_word, split, references, _pictures(folder, path / "held_back")))
    if not found:
        raise StudyError(f"{folder} holds no concepts: one folder each, with pictures and concept.json.")
    return found


def _dreambench_classes(folder: Path) -> dict[str, str]:
    """Class words of DreamBench's `prompts_and_classes.txt`, lines "subject,class"; empty without such a file."""
    path = folder / "prompts_and_classes.txt"
    if not path.exists():
        return {}
    pairs = re.findall(r"^(\w+),([\w ]+)$", path.read_text("utf-8"), re.MULTILINE)
    return {subject: word.strip() for subject, word in pairs if subject != "subject_name"}


def _pictures(root: Path, folder: Path) -> tuple[PictureRef, ...]:
    if not folder.is_dir():
        return ()
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not MASK.search(path.stem))
    return tuple(PictureRef(str(path.relative_to(root)), sha256(path), _mask(root, path)) for path in files)


def _mask(root: Path, path: Path) -> str | None:
    mask = path.with_name(f"{path.stem}.mask.png")
    return str(mask.relative_to(root)) if mask.exists() else None


def read_prompts(path: Path) -> list[Prompt]:
    """Prompts of a JSON file: a list of texts, or of objects with text, asks and order.

    Raises:
        StudyError: an entry has no {} for the concept.
    """
    prompts = []
    for entry in json.loads(path.read_text("utf-8")):
        text = entry if isinstance(entry, str) else entry["text"]
        facts = {} if isinstance(entry, str) else entry
        prompt = Prompt(text, facts.get("asks", {}), facts.get("order", order_of(text)))
        if prompt.text.count("{}") != 1:
            raise StudyError(f"The prompt {prompt.text!r} needs exactly one {{}}, in place of the concept.")
        prompts.append(prompt)
    return prompts


def order_of(text: str) -> Order:
    """Position of a prompt's context: behind the concept, in front of it, or none."""
    before, _, after = text.partition("{}")
    if after.strip(" ,."):
        return "behind"
    return "front" if "," in before or len(before.split()) > 5 else "none"  # noqa: PLR2004 - longer than "a photo of a"


def published_arms(
    defaults: Mapping[str, Mapping[str, object]], resolution: int, size: Size, family: Family
) -> list[Arm]:
    """`dti` as published, the baselines, and the fronts of `dti`.

    Args:
        defaults: the model's training defaults by method.
        resolution: in pixels.
        size: of the study.
        family: the model; its vocabulary gives the unit of magnitudes.

    Returns:
        Arms that share steps and batch size with `dti`, so that draws are common.
    """
    base = training_settings("dti", {"resolution": resolution, "seed": SEED, "selection": False}, defaults["dti"])
    shared = {"steps": base.steps, "batch_size": base.batch_size, "resolution": resolution, "seed": SEED}
    rates = {method: known if size.rates else known[1:2] for method, known in RATES.items()}
    baselines = [_baseline(method, rate, shared) for method, known in rates.items() for rate in known]
    fronts = _fronts(base, family) if size.fronts else []
    return [Arm("dti", "dti", asdict(base), front="dti over updates"), *baselines, *_recipes(base), *fronts]


def _recipes(base: Training) -> list[Arm]:
    """Cheaper recipes: large angles at the start, decaying to zero; several rows.

    Source: measured on the bundled model, docs/study.md.
    """
    return [
        Arm(f"dti {name}", "dti", {**asdict(base), "schedule": "cosine", "steps": max(1, base.steps // 4), **changes})
        for name, changes in RECIPES.items()
    ]


def _baseline(method: str, rate: float, shared: Mapping[str, object]) -> Arm:
    given = {**shared, "learning_rate": rate, "selection": False}
    return Arm(f"{method} {rate:g}", method, asdict(training_settings(method, given, {})), tuned=method)


def _fronts(base: Training, family: Family) -> list[Arm]:
    shorter = (max(1, base.steps // 2), max(1, base.steps // 4))
    mean = next(vocabulary_norm(encoder.vocabulary, "mean") for encoder in family.encoders.values())
    return [
        *(_variant(base, f"dti kappa {kappa:g}", "dti over kappa", kappa=kappa) for kappa in KAPPAS),
        *(_variant(base, f"dti norm {factor:g}", "dti over norm", magnitude=factor * mean) for factor in MAGNITUDES),
        *(_variant(base, f"dti {steps}", "dti over updates", steps=steps) for steps in shorter),
    ]


def _variant(base: Training, name: str, front: str, **changes: float) -> Arm:
    return Arm(name, "dti", {**asdict(base), **changes}, front=front)


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, evenly spaced."""
    return [items[index * len(items) // count] for index in range(count)] if count < len(items) else list(items)


def make_manifest(
    *,
    title: str,
    source: str,
    family: Family,
    pictures: Path,
    prompts: Sequence[Prompt],
    rendering: RenderingPlan,
    arms: Sequence[Arm],
    judges: Sequence[str],
    size: Size,
) -> Manifest:
    """A manifest, not yet written.

    Args:
        title: of the report.
        source: of the model.
        family: the loaded model.
        pictures: folder of the concepts.
        prompts: all prompts.
        rendering: of every picture.
        arms: the first is the reference of all differences.
        judges: names or import paths.
        size: of the study.
    """
    concepts = spread(read_concepts(pictures), size.concepts)
    reported = [concept.name for concept in concepts if concept.split == "report"]
    pairs = tuple((reported[index], reported[(index + 1) % len(reported)]) for index in range(len(reported)))
    chosen = spread(prompts, size.prompts)
    mixed = tuple(dict.fromkeys([arms[0].name, *(arm.name for arm in arms if arm.tuned == "ti")]))
    return Manifest(
        title=title,
        model=ModelRef(source, family.name, family.fingerprint),
        pictures=str(pictures.resolve()),
        concepts=tuple(concepts),
        prompts=tuple(chosen),
        seeds=tuple(range(1, size.seeds + 1)),
        arms=tuple(arms),
        reference_arm=arms[0].name,
        rendering=rendering,
        interpolation=InterpolationPlan(pairs if len(reported) > 1 else (), mixed, prompts=_mixed_prompts(chosen)),
        judges=tuple(JudgeRef(name, open_judge(name).version) for name in judges),
    )


def _mixed_prompts(prompts: Sequence[Prompt]) -> tuple[int, ...]:
    """Prompts of interpolations: the first, and the first that asks for an attribute."""
    asking = [index for index, prompt in enumerate(prompts) if prompt.asks]
    return tuple(dict.fromkeys([0, *asking[:1]]))
