"""The units of work of a study: trainings and pictures, with the files that hold their results.

A file's name is a digest of everything that decides its content. So an interrupted study goes on where it stopped, and
arms that share settings share their files. A shard takes every n-th item.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from dti.errors import StudyError
from dti.study.manifest import CLASS_WORD, Arm, Concept, Manifest, Prompt

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrainingItem:
    """A training: one concept with one arm."""

    concept: Concept
    arm: Arm
    key: str

    def embedding(self, folder: Path) -> Path:
        """File of the embedding."""
        return folder / "embeddings" / f"{self.key}.safetensors"

    def curve(self, folder: Path) -> Path:
        """File of the norms, losses and rotation over the updates; written after the embedding."""
        return folder / "curves" / f"{self.key}.json"


@dataclass(frozen=True, slots=True)
class Mix:
    """A position between two concepts: the other concept, the share of it, and the mixing."""

    other: Concept
    share: float
    mixing: str


@dataclass(frozen=True, slots=True)
class PictureItem:
    """A picture: one concept, arm, prompt and seed.

    Attributes:
        arm: name of an arm, or CLASS_WORD.
        mix: for pictures between two concepts.
        key: digest.
    """

    concept: Concept
    arm: str
    prompt: Prompt
    prompt_index: int
    seed: int
    mix: Mix | None
    key: str

    def file(self, folder: Path) -> Path:
        """File of the picture."""
        return folder / "pictures" / f"{self.key}.png"

    @property
    def asked(self) -> str:
        """The prompt with the class word in place of the concept, as a judge of text reads it."""
        return self.prompt.text.replace("{}", self.concept.class_word)


def digest(facts: object) -> str:
    """First 32 hexadecimal digits of the SHA-256 of a value's JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def training_item(manifest: Manifest, concept: Concept, arm: Arm) -> TrainingItem:
    """The training of a concept with an arm."""
    facts = {
        "model": manifest.model.fingerprint,
        "pictures": [(picture.sha256, picture.mask) for picture in concept.references],
        "concept": [concept.name, concept.class_word],
        "arm": [arm.method, dict(arm.settings)],
    }
    return TrainingItem(concept, arm, digest(facts))


def trainings(manifest: Manifest) -> list[TrainingItem]:
    """All trainings, grouped by arm. Arms with the same settings share an item."""
    items = {
        item.key: item
        for arm in manifest.arms
        for concept in manifest.concepts
        for item in [training_item(manifest, concept, arm)]
    }
    return list(items.values())


def pictures(manifest: Manifest) -> list[PictureItem]:
    """All pictures: every arm and the class word, then the interpolations."""
    return [*_grid(manifest), *_interpolations(manifest)]


def _grid(manifest: Manifest) -> Iterator[PictureItem]:
    for arm in (CLASS_WORD, *(arm.name for arm in manifest.arms)):
        for concept in manifest.concepts:
            for index in range(len(manifest.prompts)):
                for seed in manifest.seeds:
                    yield _picture(manifest, concept, arm, (index, seed), None)


def _interpolations(manifest: Manifest) -> Iterator[PictureItem]:
    plan = manifest.interpolation
    for start, end in plan.pairs:
        for arm in plan.arms:
            for mixing in ("slerp", "lerp"):
                for share in plan.shares:
                    for index in plan.prompts:
                        for seed in manifest.seeds:
                            mix = Mix(manifest.concept(end), share, mixing)
                            yield _picture(manifest, manifest.concept(start), arm, (index, seed), mix)


def _picture(manifest: Manifest, concept: Concept, arm: str, place: tuple[int, int], mix: Mix | None) -> PictureItem:
    prompt_index, seed = place
    prompt = manifest.prompts[prompt_index]
    if arm == CLASS_WORD:
        subject: object = concept.class_word
    else:
        ends = [concept] if mix is None else [concept, mix.other]
        subject = [training_item(manifest, end, manifest.arm(arm)).key for end in ends]
        subject = [subject, mix and (mix.share, mix.mixing)]
    facts = [manifest.model.fingerprint, asdict(manifest.rendering), prompt.text, seed, subject]
    return PictureItem(concept, arm, prompt, prompt_index, seed, mix, digest(facts))


def shard(items: Sequence[T], spec: str | None) -> list[T]:
    """Every n-th item.

    Args:
        items: all of them.
        spec: "0/4" for the first of four shards; None for all.

    Raises:
        StudyError: the spec is not two numbers, the first below the second.
    """
    if spec is None:
        return list(items)
    number, _, count = spec.partition("/")
    if not (number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise StudyError(f"{spec!r} is no shard. The first of four is 0/4, the last 3/4.")
    return list(items[int(number) :: int(count)])
