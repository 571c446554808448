"""The scorer's network, its attributes, and its weights on disk. It needs torch alone to run."""

from pathlib import Path
from typing import TYPE_CHECKING

from safetensors.torch import load_file
from torch import Tensor, nn

from tools.tiny.artwork import ACCESSORIES, OBJECTS
from tools.tiny.backgrounds import BACKGROUNDS
from tools.tiny.styles import COLOURS, STYLES

if TYPE_CHECKING:
    from tools.tiny.world import Scene

WEIGHTS = Path(__file__).parent / "weights.safetensors"
NONE = "none"
ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "subject": OBJECTS,
    "background": BACKGROUNDS,
    "accessory": (NONE, *ACCESSORIES),
    "style": (NONE, *STYLES),
    "colour": (NONE, *COLOURS),
}
WIDTHS = (24, 48, 96, 128)
FEATURES = 128


def classes(scene: "Scene") -> list[int]:
    """Give a scene's attributes as class numbers, in the order of `ATTRIBUTES`."""
    return [names.index(getattr(scene, attribute) or NONE) for attribute, names in ATTRIBUTES.items()]


class Scorer(nn.Module):
    """Convolutions that halve the picture four times, mean and maximum over places, and one linear head each."""

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
        self.trunk = nn.Sequential(*layers)
        self.neck = nn.Linear(before * 16, FEATURES)
        self.heads = nn.ModuleDict({name: nn.Linear(FEATURES, len(names)) for name, names in ATTRIBUTES.items()})

    def features(self, pictures: Tensor) -> Tensor:
        """Features of pictures: the input of all heads.

        Args:
            pictures: `(n, 3, 64, 64)` in -1..1.

        Returns:
            `(n, 128)`, not negative.
        """
        described: Tensor = self.neck(self.trunk(pictures).flatten(1))
        return described.relu()

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Give every attribute's scores `(n, classes)` for pictures `(n, 3, 64, 64)` in -1..1."""
        features = self.features(pictures)
        return {name: head(features) for name, head in self.heads.items()}


def load_scorer(path: Path = WEIGHTS) -> Scorer:
    """Load the shipped scorer, ready to judge, in single precision."""
    scorer = Scorer()
    scorer.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    return scorer.eval().requires_grad_(requires_grad=False)
