"""Activation checkpointing: blocks keep their inputs only, and are computed again in the backward pass.

It trades one more forward pass for most of the memory of a training update. The same operations run on the same values,
so gradients are equal bit for bit.

Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174.
"""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def set_checkpointing(networks: Iterable[nn.Module], *, enabled: bool) -> None:
    """Switch activation checkpointing of networks on or off; without gradients it has no effect.

    Args:
        networks: models of diffusers and transformers; those without blocks that support it are left as they are.
        enabled: whether blocks are computed again.
    """
    for network in networks:
        layers = [module for module in network.modules() if _is_layer(module)]
        for layer in layers:
            _set_layer(layer, enabled=enabled)
        if not layers and getattr(network, "_supports_gradient_checkpointing", False):
            _set_denoiser(network, enabled=enabled)


def _is_layer(module: nn.Module) -> bool:
    """Whether a module is a layer of transformers that supports checkpointing."""
    # By name, to leave the library out of processes that load no model.
    return any(kind.__name__ == "GradientCheckpointingLayer" for kind in type(module).__mro__)


def _set_denoiser(network: Any, *, enabled: bool) -> None:  # noqa: ANN401 - diffusers has no types
    if enabled:
        network.enable_gradient_checkpointing(_checkpoint)
    else:
        network.disable_gradient_checkpointing()


def _checkpoint(block: Callable[..., Any], *inputs: Any) -> Any:  # noqa: ANN401 - a block of any model
    # Frozen models in evaluation mode draw no random numbers, so no generator state is kept.
    return checkpoint(block, *inputs, use_reentrant=False, preserve_rng_state=False)


def _set_layer(layer: nn.Module, *, enabled: bool) -> None:
    """Checkpoint a transformers layer; the library's own switch needs training mode and drops key-value caches."""
    if enabled:
        layer.forward = _checkpointed(layer)
    else:
        layer.__dict__.pop("forward", None)


def _checkpointed(layer: Any) -> Callable[..., Any]:  # noqa: ANN401 - transformers' layers have no common interface
    forward = type(layer).forward.__get__(layer)

    def run(hidden_states: torch.Tensor, *inputs: Any, **options: Any) -> Any:  # noqa: ANN401
        if not torch.is_grad_enabled():
            return forward(hidden_states, *inputs, **options)
        cache = options.get("past_key_values")
        if cache is None:
            return _checkpoint(lambda hidden: forward(hidden, *inputs, **options), hidden_states)
        index = layer.self_attn.layer_idx
        prefix = cache.layers[index]

        # A layer appends its keys and values to the cache. Each computation starts from the prefix alone, and none
        # leaves its own behind: they would be memory that nothing reads.
        def compute(hidden: torch.Tensor) -> Any:  # noqa: ANN401
            cache.layers[index] = copy.copy(prefix)
            output = forward(hidden, *inputs, **options)
            cache.layers[index] = prefix
            return output

        return _checkpoint(compute, hidden_states)

    return run
