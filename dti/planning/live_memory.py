"""Bytes of tensors alive while operations run on the device "meta", and the largest number of them at one time.

It counts what torch allocates for results and keeps for the backward pass. Memory inside an operation (a convolution's
workspace) and of the allocator (fragments) is not seen; `dti.planning.plans` leaves room for both.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):  # type: ignore[no-untyped-call] # torch's class has no types
    """Counts the bytes of storages that operations create, until these are freed.

    Args:
        networks: models whose weights are not counted.

    Attributes:
        live: bytes alive now.
        peak: largest number of them so far.
    """

    def __init__(self, networks: Iterable[nn.Module] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # as above
        self.live = self.peak = 0
        weights = [tensor for network in networks for tensor in (*network.parameters(), *network.buffers())]
        self._seen = weakref.WeakSet(tensor.untyped_storage() for tensor in weights)

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - the result of any operation
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.is_meta:
                self._count(leaf.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.live -= size


@contextmanager
def live_memory(networks: Iterable[nn.Module]) -> Iterator[LiveMemory]:
    """Count within the context, with attention as GPUs compute it: without the matrix of all pairs of tokens.

    Args:
        networks: models whose weights are not counted.
    """
    original = functional.scaled_dot_product_attention

    def attention(query: Tensor, key: Tensor, value: Tensor, *given: Any, **options: Any) -> Any:  # noqa: ANN401
        if query.is_meta:
            return _Attention.apply(query, key, value)  # type: ignore[no-untyped-call] # as above
        return original(query, key, value, *given, **options)

    # Replaced in its module, because torch's function modes are off while the backward pass computes blocks again.
    functional.scaled_dot_product_attention = attention
    try:
        with LiveMemory(networks) as memory:
            yield memory
    finally:
        functional.scaled_dot_product_attention = original


class _Attention(torch.autograd.Function):
    """Memory of a fused kernel: inputs, output and one float32 number per row are kept for the backward pass.

    Source: Dao et al., "FlashAttention", arXiv 2205.14135, section 3.1.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:  # noqa: ANN401
        output = query.new_empty((*query.shape[:-1], value.shape[-1]))
        ctx.save_for_backward(query, key, value, output, query.new_empty(query.shape[:-1], dtype=torch.float32))
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # noqa: ANN401, ARG004
        query, key, value, *_kept = ctx.saved_tensors
        return torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
