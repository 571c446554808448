"""A training's state as a file: all that is needed to go on from there exactly as if there had been no stop.

Owns the format: safetensors, so that nothing in it can be executed, with counts as JSON in one of the tensors. It knows
no trainer, and whose state it is only by a digest.
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

_VERSION = 2


@dataclass(frozen=True, slots=True)
class Counts:
    """The part of the state that is no tensor.

    Attributes:
        step: updates made.
        loss: of the last update; None before the first.
        deck: pictures still to come before the next shuffle.
        verdicts: on the pictures as they came; empty where nobody was to judge. They stand for good: judged again, on
            another device or by chance of its rounding, other pictures might be learned from.
    """

    step: int
    loss: float | None
    deck: Sequence[int]
    verdicts: Sequence[PictureAssessment]


@dataclass(frozen=True, slots=True)
class State:
    """What changes while a training goes on, as the objects that hold it.

    Attributes:
        learned: by encoder.
        optimizer: over its parameters.
        generator: of everything that is drawn.
    """

    learned: Mapping[str, Learned]
    optimizer: torch.optim.Optimizer
    generator: Generator

    def tensors(self) -> dict[str, Tensor]:
        """What is learned, by name; the very tensors, not copies."""
        return {
            f"learned/{encoder}/{name}": tensor
            for encoder, one in self.learned.items()
            for name, tensor in (*one.parameters.items(), *one.constants.items())
        }


def pack(work: str, counts: Counts, state: State) -> bytes:
    """A state as a file.

    Args:
        work: digest of what is learned from what on which model.
        counts: as they are now.
        state: as it is now.
    """
    facts = json.dumps({"version": _VERSION, "work": work, "counts": asdict(counts)}).encode()
    tensors = state.tensors() | {
        "facts": torch.frombuffer(bytearray(facts), dtype=torch.uint8),
        "generator": state.generator.get_state(),
    }
    for index, moments in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": tensor for name, tensor in moments.items()}
    return safetensors.torch.save({name: tensor.detach().contiguous() for name, tensor in tensors.items()})


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed state that was read.

    Attributes:
        counts: as they were.
        tensors: everything else.
    """

    counts: Counts
    tensors: Mapping[str, Tensor]

    def restore(self, state: State) -> None:
        """Bring it back.

        Args:
            state: as the work starts with it; changed in place.

        Raises:
            CheckpointError: the file is damaged; the state is unchanged then.
        """
        with _damage():
            _restore(dict(self.tensors), state)


def unpack(data: bytes, work: str) -> Packed:
    """Read a packed state of the same work.

    Args:
        data: from `pack`.
        work: digest of the work that is to go on.

    Raises:
        CheckpointError: the file is of other work, of another version, or damaged.
    """
    with _damage():
        tensors = safetensors.torch.load(data)
        facts = json.loads(bytes(tensors.pop("facts").tolist()))
        if (facts["version"], facts["work"]) != (_VERSION, work):
            raise CheckpointError(
                "The checkpoint is of another training: its pictures, settings, class word or model differ, or another "
                "version wrote it. Start the training afresh."
            )
        verdicts = [PictureAssessment(**verdict) for verdict in facts["counts"].pop("verdicts")]
        return Packed(Counts(**facts["counts"], verdicts=verdicts), tensors)


@contextmanager
def _damage() -> Iterator[None]:
    """Whatever goes wrong while a file is read becomes one error."""
    try:
        yield
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise CheckpointError(f"The checkpoint is damaged: {error!r}. Start the training afresh.") from error


@torch.no_grad()
def _restore(tensors: dict[str, Tensor], state: State) -> None:
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
    # Groups hold settings, which the work brings along; the learning rate is set anew before every update.
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    for name, target in targets.items():
        target.copy_(found[name])
    state.generator.set_state(generator.get_state())
