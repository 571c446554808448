"""Plans: how a model trains and renders within a device's memory, with the fastest settings that fit.

A plan is made before anything is loaded, from `dti.planning.needs`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from dti.planning.needs import Needs

MAX_PICTURES = 16
"""Pictures denoised in one batch: the most of one request; a larger batch gains little."""

_CONTEXT = 600_000_000
"""Bytes that a process takes of a GPU before its first tensor: CUDA context, kernels, cuBLAS and cuDNN workspaces."""

_FRAGMENTS = 0.05
"""Share of the memory that the allocator cannot use, and that operations use inside themselves."""


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """Settings of trainings.

    Attributes:
        micro_batch: pictures in one forward and backward pass, of all trainings together.
        checkpointing: whether activations are computed again in the backward pass.
        offload: whether the autoencoder rests in host memory.
        peak: bytes at the largest moment, weights included.
    """

    micro_batch: int
    checkpointing: bool
    offload: bool
    peak: int


@dataclass(frozen=True, slots=True)
class RenderingPlan:
    """Settings of rendering.

    Attributes:
        pictures: pictures at once.
        tiled: whether pictures are decoded in tiles.
        offload: whether text encoders and autoencoder rest in host memory.
        peak: bytes at the largest moment, weights included.
    """

    pictures: int
    tiled: bool
    offload: bool
    peak: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Both plans; None for an activity that does not fit."""

    training: TrainingPlan | None
    rendering: RenderingPlan | None

    @property
    def offload(self) -> bool:
        """Whether one of the activities needs parts in host memory."""
        return any(part is not None and part.offload for part in (self.training, self.rendering))


def usable(memory: int) -> int:
    """Bytes of a GPU's memory that tensors can take."""
    return int((memory - _CONTEXT) * (1 - _FRAGMENTS))


def plan(needs: Needs, budget: int, *, batch_size: int, offload: bool = False) -> Plan:
    """The fastest settings that fit.

    Args:
        needs: of the model.
        budget: bytes for tensors, weights included; see `usable`.
        batch_size: pictures of a training's update.
        offload: whether offloading is on in any case.
    """
    return Plan(
        next((option for option in _trainings(needs, batch_size, offload=offload) if option.peak <= budget), None),
        next((option for option in _renderings(needs, offload=offload) if option.peak <= budget), None),
    )


def smallest(needs: Needs, *, batch_size: int) -> Plan:
    """The settings with the least memory, fastest of these first."""
    trainings, renderings = list(_trainings(needs, batch_size, offload=False)), list(_renderings(needs, offload=False))
    return Plan(min(trainings, key=lambda option: option.peak), min(renderings, key=lambda option: option.peak))


def _trainings(needs: Needs, batch_size: int, *, offload: bool) -> Iterator[TrainingPlan]:
    """Settings of trainings, fastest first.

    Micro-batches come before checkpointing: at these sizes one picture keeps a GPU busy, while computing blocks again
    costs a third more. Offloading costs a copy of the autoencoder per training.
    """
    sizes = list(dict.fromkeys(max(1, batch_size // part) for part in (1, 2, 4, 8)))
    for checkpointing in (False, True):
        for resting in (True,) if offload else (False, True):
            for size in sizes:
                yield TrainingPlan(size, checkpointing, resting, _training_peak(needs, size, checkpointing, resting))


def _training_peak(needs: Needs, pictures: int, checkpointing: bool, offload: bool) -> int:  # noqa: FBT001 - two switches of one plan
    update = (needs.checkpointed_update if checkpointing else needs.update).at(pictures)
    if not offload:
        return needs.weights + max(update, needs.encoding)
    return needs.denoiser + max(needs.encoders + update, needs.autoencoder + needs.encoding)


def _renderings(needs: Needs, *, offload: bool) -> Iterator[RenderingPlan]:
    """Settings of rendering, most pictures at once first; offloading, which delays every new prompt, comes last."""
    for resting in (True,) if offload else (False, True):
        for tiled in (False, True):
            for pictures in (MAX_PICTURES, 8, 4, 2, 1):
                yield RenderingPlan(pictures, tiled, resting, _rendering_peak(needs, pictures, tiled, resting))


def _rendering_peak(needs: Needs, pictures: int, tiled: bool, offload: bool) -> int:  # noqa: FBT001 - see above
    step = needs.step.at(2 * pictures)
    decoding = needs.tiled_decoding if tiled else needs.decoding
    if not offload:
        return needs.weights + max(needs.reading, step, decoding)
    return needs.denoiser + max(needs.encoders + needs.reading, step, needs.autoencoder + decoding)
