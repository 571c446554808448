"""The manifest of a study: everything that decides its results, written before the run and never changed.

It names the model by its fingerprint, pictures by their SHA-256, prompts with the attributes that each asks for, arms
with all settings, and judges with their versions.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from dti.errors import StudyError
from dti.spec.registry import METHODS
from dti.spec.settings import Training, complete

VERSION = 1
FILE = "manifest.json"
CLASS_WORD = "class word"
"""Arm of the class word's own pictures: the floor of likeness and the reference of obedience."""

Split = Literal["development", "report"]
Order = Literal["front", "behind", "none"]


@dataclass(frozen=True, slots=True)
class ModelRef:
    """The model of a study.

    Attributes:
        source: folder in the diffusers layout, or Hub id.
        family: a name of `dti.spec.registry.FAMILIES`.
        fingerprint: fingerprint of the checkpoint.
    """

    source: str
    family: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class PictureRef:
    """A picture file of a concept.

    Attributes:
        file: path relative to the manifest's `pictures` folder.
        sha256: of the file.
        mask: file of the object's mask, white on black, or None.
    """

    file: str
    sha256: str
    mask: str | None = None


@dataclass(frozen=True, slots=True)
class Concept:
    """A concept of a study.

    Attributes:
        name: its trigger.
        class_word: category.
        split: development concepts choose settings; report concepts are reported.
        references: training pictures.
        held_back: further pictures, for the loss on pictures outside the training.
    """

    name: str
    class_word: str
    split: Split
    references: tuple[PictureRef, ...]
    held_back: tuple[PictureRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt of a study.

    Attributes:
        text: with {} for the concept.
        asks: attributes that a picture must show, for judges that name attributes.
        order: position of the context: in front of the concept, behind it, or none.
    """

    text: str
    asks: Mapping[str, str] = field(default_factory=dict)
    order: Order = "none"


@dataclass(frozen=True, slots=True)
class Arm:
    """A method with all its settings.

    Attributes:
        name: shown in tables.
        method: a name of `dti.spec.registry.METHODS`.
        settings: all settings, seed and resolution included.
        front: name of the curve to which the arm belongs, such as "dti over kappa"; None for a point.
        tuned: name under which arms compete on the development concepts, such as "ti"; None for a fixed arm.
    """

    name: str
    method: str
    settings: Mapping[str, object]
    front: str | None = None
    tuned: str | None = None

    def training(self) -> Training:
        """The validated settings."""
        return complete(METHODS[self.method].settings, self.settings)


@dataclass(frozen=True, slots=True)
class RenderingPlan:
    """Settings of every picture."""

    width: int
    height: int
    steps: int
    guidance_scale: float
    scheduler: str


@dataclass(frozen=True, slots=True)
class InterpolationPlan:
    """Interpolations between neighbouring report concepts.

    Attributes:
        pairs: names of two concepts.
        arms: names of arms.
        shares: positions between the two.
        prompts: indices of prompts.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    arms: tuple[str, ...] = ()
    shares: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    prompts: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class JudgeRef:
    """A judge by its name or import path "module:Class", and its version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """A frozen study; see the module."""

    title: str
    model: ModelRef
    pictures: str
    concepts: tuple[Concept, ...]
    prompts: tuple[Prompt, ...]
    seeds: tuple[int, ...]
    arms: tuple[Arm, ...]
    reference_arm: str
    rendering: RenderingPlan
    interpolation: InterpolationPlan
    judges: tuple[JudgeRef, ...]
    version: int = VERSION

    def concept(self, name: str) -> Concept:
        """The concept of this name."""
        return next(concept for concept in self.concepts if concept.name == name)

    def arm(self, name: str) -> Arm:
        """The arm of this name."""
        return next(arm for arm in self.arms if arm.name == name)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest's JSON."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The manifest as JSON; equal manifests give equal text."""
        return json.dumps(asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read a manifest.

        Raises:
            StudyError: it is no manifest of this version.
        """
        try:
            facts = json.loads(text)
            if facts["version"] != VERSION:
                raise StudyError(f"The manifest has version {facts['version']}; this program reads version {VERSION}.")
            return _manifest(facts)
        except (ValueError, KeyError, TypeError) as error:
            raise StudyError(f"The manifest cannot be read: {error!r}. Make the study anew.") from error


def _manifest(facts: dict[str, object]) -> Manifest:
    """A manifest from its JSON object; nested lists become tuples."""

    def records(kind: type, name: str) -> tuple[object, ...]:
        return tuple(kind(**entry) for entry in facts[name])  # type: ignore[attr-defined] # checked by the constructors

    concepts = tuple(
        Concept(
            **{
                **entry,
                "references": tuple(PictureRef(**picture) for picture in entry["references"]),
                "held_back": tuple(PictureRef(**picture) for picture in entry["held_back"]),
            }
        )
        for entry in facts["concepts"]  # type: ignore[attr-defined]
    )
    interpolation = {name: tuple(values) for name, values in facts["interpolation"].items()}  # type: ignore[attr-defined]
    interpolation["pairs"] = tuple((a, b) for a, b in interpolation["pairs"])
    return Manifest(
        **{  # type: ignore[arg-type] # values come from JSON
            **facts,
            "model": ModelRef(**facts["model"]),  # type: ignore[arg-type]
            "rendering": RenderingPlan(**facts["rendering"]),  # type: ignore[arg-type]
            "concepts": concepts,
            "prompts": records(Prompt, "prompts"),
            "arms": records(Arm, "arms"),
            "judges": records(JudgeRef, "judges"),
            "seeds": tuple(facts["seeds"]),  # type: ignore[arg-type]
            "interpolation": InterpolationPlan(**interpolation),
        }
    )


def freeze(manifest: Manifest, folder: Path) -> None:
    """Write the manifest of a new study.

    Raises:
        StudyError: the folder holds another study.
    """
    path = folder / FILE
    if path.exists():
        if path.read_text("utf-8") != manifest.to_json():
            raise StudyError(f"{folder} holds another study. Choose an empty folder, or delete it.")
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(manifest.to_json(), "utf-8")


def thaw(folder: Path) -> Manifest:
    """Read a study's manifest and check that its pictures are unchanged.

    Raises:
        StudyError: there is none, it cannot be read, or a picture differs from its SHA-256.
    """
    path = folder / FILE
    if not path.exists():
        raise StudyError(f"{folder} holds no study: there is no {FILE}. `dti study new` makes one.")
    manifest = Manifest.from_json(path.read_text("utf-8"))
    for concept in manifest.concepts:
        for picture in (*concept.references, *concept.held_back):
            check_picture(Path(manifest.pictures), picture)
    return manifest


def check_picture(folder: Path, picture: PictureRef) -> None:
    """Compare a picture with its SHA-256.

    Raises:
        StudyError: it is missing or differs.
    """
    path = folder / picture.file
    if not path.exists():
        raise StudyError(f"The picture {path} is missing.")
    if sha256(path) != picture.sha256:
        raise StudyError(f"The picture {path} was changed after the study was frozen. Restore it, or make a new study.")


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
