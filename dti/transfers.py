"""Copies of host tensors to the device, for which the host does not wait."""

from collections.abc import Sequence

import torch
from torch import Tensor

_ALIGNMENT = 16
"""Bytes; a multiple of every dtype's size, so that each tensor can be a view of the common buffer."""


def upload(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    """Host tensors on a device, in order.

    For a GPU they are packed into one pinned buffer and copied in one piece. Copies from other memory would make the
    host wait until the GPU has finished all queued work.

    Args:
        tensors: on the CPU.
        device: target.
    """
    if device.type == "cpu":
        return list(tensors)
    starts = [0]
    for tensor in tensors:
        starts.append(starts[-1] + -(-tensor.nbytes // _ALIGNMENT) * _ALIGNMENT)
    # A new buffer for every call: torch's host allocator reuses one only after its last copy has been made.
    buffer = torch.empty(starts[-1], dtype=torch.uint8, pin_memory=device.type == "cuda")
    for tensor, start in zip(tensors, starts, strict=False):
        _part(buffer, start, tensor).copy_(tensor)
    copied = buffer.to(device, non_blocking=True)
    return [_part(copied, start, tensor) for tensor, start in zip(tensors, starts, strict=False)]


def _part(buffer: Tensor, start: int, like: Tensor) -> Tensor:
    """The bytes of one tensor in the buffer, with its dtype and shape."""
    return buffer[start : start + like.nbytes].view(like.dtype).view(like.shape)
