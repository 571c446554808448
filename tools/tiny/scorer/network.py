"""The scorer's network, its attributes, and its weights on disk. It needs torch alone to run."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tools.tiny.artwork import ACCESSORIES, OBJECTS
from tools.tiny.backgrounds import BACKGROUNDS
from tools.tiny.styles import COLOURS, STYLES

if TYPE_CHECKING:
    from tools.tiny.world import Scene

WEIGHTS = Path(__file__).parent / "weights.safetensors"
LOOK_WEIGHTS = Path(__file__).parent / "look-weights.safetensors"
NONE = "none"
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "subject": OBJECTS,
    "background": BACKGROUNDS,
    "accessory": (NONE, *ACCESSORIES),
    "style": (NONE, *STYLES),
    "colour": tuple(COLOURS),
    "count": ("one", "two", "three", "pair"),
    "left": OBJECTS,
    "right": OBJECTS,
}
IGNORED = -100
WIDTHS = (32, 64, 96, 128)
FEATURES = 192


def classes(scene: "Scene") -> list[int]:
    """Give a scene's attributes as class numbers, in the order of `ATTRIBUTES`; `IGNORED` where one is not there.

    A look may be blue by itself, so a colour counts only where the scene gives one. Of a pair, subject and colour
    are ambiguous; left and right count for pairs alone.
    """
    other = scene.companion
    left, right = (None, None) if other is None else (scene.subject, other.subject)
    if other is not None and other.left:
        left, right = right, left
    present: dict[str, str | None] = {
        "subject": None if other else scene.subject,
        "background": scene.background,
        "accessory": scene.accessory or NONE,
        "style": scene.style or NONE,
        "colour": None if other else scene.colour,
        "count": "pair" if other else ATTRIBUTES["count"][scene.count - 1],
        "left": left,
        "right": right,
    }
    return [
        IGNORED if (name := present[attribute]) is None else names.index(name)
        for attribute, names in ATTRIBUTES.items()
    ]


class Trunk(nn.Module):
    """Convolutions that halve the picture four times, and one layer that sums them up in features."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 3
        for width in WIDTHS:
            layers += [
                nn.Conv2d(before, width, 3, stride=2, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(),
                nn.Conv2d(width, width, 3, padding=1),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            ]
            before = width
        self.convolutions = nn.Sequential(*layers)
        self.neck = nn.Linear(before * 16, FEATURES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Describe pictures `(n, 3, 64, 64)` in -1..1 by `(n, FEATURES)` numbers, not negative."""
        described: Tensor = self.neck(self.convolutions(pictures).flatten(1))
        return described.relu()


class Scorer(nn.Module):
    """Names every attribute of a picture: one trunk, one linear head for each attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.heads = nn.ModuleDict({name: nn.Linear(FEATURES, len(names)) for name, names in ATTRIBUTES.items()})

    def features(self, pictures: Tensor) -> Tensor:
        """Describe pictures `(n, 3, 64, 64)` in -1..1 by the features `(n, FEATURES)` that all heads read."""
        described: Tensor = self.trunk(pictures)
        return described

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Give every attribute's scores `(n, classes)` for pictures `(n, 3, 64, 64)` in -1..1."""
        features = self.features(pictures)
        return {name: head(features) for name, head in self.heads.items()}


class LookScorer(nn.Module):
    """Names the held-out concept that a picture shows; the last class is any other look."""

    def __init__(self, concepts: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = nn.Linear(FEATURES, concepts + 1)

    def forward(self, pictures: Tensor) -> Tensor:
        """Give the scores `(n, concepts + 1)` for pictures `(n, 3, 64, 64)` in -1..1."""
        scores: Tensor = self.head(self.trunk(pictures))
        return scores


def _read(module: nn.Module, path: Path) -> None:
    module.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    module.eval().requires_grad_(requires_grad=False)


def load_scorer(path: Path = WEIGHTS) -> Scorer:
    """Load the shipped scorer, ready to judge, in single precision."""
    scorer = Scorer()
    _read(scorer, path)
    return scorer


def load_look_scorer(path: Path = LOOK_WEIGHTS) -> LookScorer:
    """Load a look scorer, ready to judge; the number of its concepts is that of its weights."""
    concepts = load_file(path)["head.bias"].shape[0] - 1
    scorer = LookScorer(concepts)
    _read(scorer, path)
    return scorer


@torch.no_grad()
def named(scorer: Scorer, pictures: Tensor) -> dict[str, Tensor]:
    """Give for every attribute the class numbers `(n,)` that the scorer finds most likely."""
    parts = [scorer(part) for part in torch.split(pictures, 250)]
    return {name: torch.cat([part[name].argmax(1) for part in parts]).cpu() for name in ATTRIBUTES}
