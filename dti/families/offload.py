"""Frozen modules that stay on the device, or are copied there while in use (offloading)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Placement:
    """Device of a module, and whether its weights are there only while it is in use.

    Attributes:
        device: device of the computation.
        offload: whether the weights stay where they were loaded and are copied to the device on use.
    """

    device: torch.device
    offload: bool = False


class OffloadedModule:
    """A frozen module and its placement.

    Attributes:
        model: the module; with offloading, its weights are on the device only within `on_device`.
        placement: where it computes.
    """

    def __init__(self, model: Any, placement: Placement) -> None:  # noqa: ANN401 - modules of two libraries
        self.model = model if placement.offload else model.to(placement.device)
        self.placement = placement
        if placement.offload and placement.device.type == "cuda":
            _pin(model)
        self._host_tensors = {name: tensor.data for name, tensor in _tensors(model)} if placement.offload else {}

    @contextmanager
    def on_device(self) -> Iterator[Any]:
        """The module, with its weights on the device.

        While gradients are recorded the weights stay on the device afterwards, because the backward pass needs them;
        the next use without gradients releases them. So does any error, including out-of-memory during the copy.
        """
        try:
            self._copy_to_device()
            yield self.model
        except BaseException:
            self._release()
            raise
        if not torch.is_grad_enabled():
            self._release()

    # Rendering runs in inference mode, and tensors created there can never take part in autograd. The copies may be
    # kept for a later training update, so they are created outside of it.
    @torch.inference_mode(mode=False)
    def _copy_to_device(self) -> None:
        for name, tensor in _tensors(self.model):
            host = self._host_tensors.get(name)
            # Only tensors that still point to host memory are copied: a module left on the device by a training
            # update is used as it is. Replacing `.data` keeps the Parameter objects, and so the hooks on them.
            if host is not None and tensor.data_ptr() == host.data_ptr():
                # The weights never change, so nothing can overtake a copy from pinned memory.
                tensor.data = host.to(self.placement.device, copy=True, non_blocking=True)

    def _release(self) -> None:
        """Drop the device copies; frozen weights need no copy back."""
        for name, tensor in _tensors(self.model):
            if name in self._host_tensors:
                tensor.data = self._host_tensors[name]


def _pin(model: Any) -> None:  # noqa: ANN401 - see OffloadedModule
    """Move host weights into pinned memory, from which copies are twice as fast and keep the host free."""
    for _name, tensor in _tensors(model):
        tensor.data = tensor.data.pin_memory()


def _tensors(model: Any) -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401 - see OffloadedModule
    yield from model.named_parameters()
    yield from model.named_buffers()
