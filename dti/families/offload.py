"""A frozen part of a model, and where its weights are: on the device for good, or only while it works.

It knows networks and devices, and nothing of what a part is for.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part computes.

    Attributes:
        device: that it computes on.
        offload: whether its weights stay where they were loaded, and are copied to the device while it works.
    """

    device: torch.device
    offload: bool = False


class Part:
    """A frozen network and its place.

    Attributes:
        model: the network; outside of `at_work` its weights may be elsewhere.
        place: where it computes.
    """

    def __init__(self, model: Any, place: Place) -> None:  # noqa: ANN401 - networks of two libraries
        self.model = model if place.offload else model.to(place.device)
        self.place = place
        self._resting = {name: tensor.data for name, tensor in _tensors(model)} if place.offload else {}

    @contextmanager
    def at_work(self) -> Iterator[Any]:
        """The network, on the device.

        Where gradients are recorded it stays there afterwards, because the way back leads through its weights; the next
        use without gradients puts it aside, and so does an error, a device without room for all of it among them.
        """
        try:
            self._fetch()
            yield self.model
        except BaseException:
            self._put_aside()
            raise
        if not torch.is_grad_enabled():
            self._put_aside()

    # Weights made in inference mode could never again take part in a training.
    @torch.inference_mode(mode=False)
    def _fetch(self) -> None:
        for name, tensor in _tensors(self.model):
            resting = self._resting.get(name)
            if resting is not None and tensor.data_ptr() == resting.data_ptr():
                tensor.data = resting.to(self.place.device, copy=True)

    def _put_aside(self) -> None:
        """Drop the copies: nothing has changed them."""
        for name, tensor in _tensors(self.model):
            if name in self._resting:
                tensor.data = self._resting[name]


def _tensors(model: Any) -> Iterator[tuple[str, Tensor]]:  # noqa: ANN401 - see Part
    yield from model.named_parameters()
    yield from model.named_buffers()
