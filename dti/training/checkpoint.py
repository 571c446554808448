"""Checkpoint of a training: its complete state, so that a resumed run equals an uninterrupted one bit for bit.

The format is safetensors, which cannot execute code; counts are JSON in one of the tensors. A digest ties a checkpoint
to its work.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Generator, Tensor

from dti.errors import CheckpointError
from dti.methods.base import Learned
from dti.training.selection import PictureAssessment

_VERSION = 4


@dataclass(frozen=True, slots=True)
class Counts:
    """The part of the state that is not tensors.

    Attributes:
        step: updates made.
        loss: loss of the last update; None before the first.
        deck: indices of the pictures left before the next shuffle.
        loss_scale: factor of the loss; see `dti.training.loss_scale`.
        steady: finite updates since its last change.
        assessments: of all pictures given; empty without selection. Stored, because a second assessment on another
            device could differ by rounding and select other pictures.
    """

    step: int
    loss: float | None
    deck: Sequence[int]
    loss_scale: float
    steady: int
    assessments: Sequence[PictureAssessment]


@dataclass(frozen=True, slots=True)
class State:
    """The mutable objects of a training.

    Attributes:
        learned: by encoder.
        optimizer: over the parameters of all encoders.
        generator: source of all random draws.
    """

    learned: Mapping[str, Learned]
    optimizer: torch.optim.Optimizer
    generator: Generator

    def tensors(self) -> dict[str, Tensor]:
        """Parameters and constants by name, not copied."""
        return {
            f"learned/{encoder}/{name}": tensor
            for encoder, learned in self.learned.items()
            for name, tensor in (*learned.parameters.items(), *learned.constants.items())
        }


def pack(digest: str, counts: Counts, state: State) -> bytes:
    """Serialise a state.

    Args:
        digest: identifies the work and the model.
        counts: current counts.
        state: current state.
    """
    facts = json.dumps({"version": _VERSION, "work": digest, "counts": asdict(counts)}).encode()
    tensors = state.tensors() | {
        "facts": torch.frombuffer(bytearray(facts), dtype=torch.uint8),
        "generator": state.generator.get_state(),
    }
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": tensor for name, tensor in moments.items()}
    return safetensors.torch.save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})


@dataclass(frozen=True, slots=True)
class Packed:
    """A deserialised checkpoint: counts, and all tensors by name."""

    counts: Counts
    tensors: Mapping[str, Tensor]

    def restore(self, state: State) -> None:
        """Load the tensors into a state.

        Args:
            state: initial state of the same work; changed in place.

        Raises:
            CheckpointError: the file is damaged; the state is unchanged.
        """
        with _damage():
            _restore(dict(self.tensors), state)


def unpack(data: bytes, digest: str) -> Packed:
    """Deserialise a checkpoint.

    Args:
        data: from `pack`.
        digest: identifies the work to resume.

    Raises:
        CheckpointError: the file is of other work or another version, or damaged.
    """
    with _damage():
        tensors = safetensors.torch.load(data)
        facts = json.loads(bytes(tensors.pop("facts").tolist()))
        if (facts["version"], facts["work"]) != (_VERSION, digest):
            raise CheckpointError(
                "The checkpoint is of another training: its pictures, settings, class word or model differ, or another "
                "version wrote it. Start the training afresh."
            )
        assessments = [PictureAssessment(**assessment) for assessment in facts["counts"].pop("assessments")]
        counts = Counts(**facts["counts"], assessments=assessments)
        if not (isinstance(counts.step, int) and counts.step >= 0 and all(isinstance(i, int) for i in counts.deck)):
            raise ValueError(f"its counts are no numbers: step {counts.step!r}, deck {counts.deck!r}")
        return Packed(counts, tensors)


@contextmanager
def _damage() -> Iterator[None]:
    """Convert errors of the file reader to CheckpointError."""
    try:
        yield
    except (SafetensorError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"The checkpoint is damaged: {error!r}. Start the training afresh.") from error


@torch.no_grad()
def _restore(tensors: dict[str, Tensor], state: State) -> None:
    # Everything is read and checked before the first write, so that a damaged file leaves the state unchanged.
    generator = Generator()
    generator.set_state(tensors.pop("generator"))
    targets = state.tensors()
    found = {name: tensors.pop(name) for name in targets}
    if any(found[name].shape != target.shape for name, target in targets.items()):
        raise ValueError("its rows have other shapes")
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        _, index, key = name.split("/")
        moments.setdefault(int(index), {})[key] = tensor
    # Parameter groups hold settings, which come from the work; the learning rate is set before every update.
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    for name, target in targets.items():
        target.copy_(found[name])
    state.generator.set_state(generator.get_state())
