"""The order in which pictures lie in memory, where a network for them is faster in another."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from sklearn_mixup._net.device import isolated_rng
from sklearn_mixup._net.losses import unwrap
from sklearn_mixup._net.precision import computing, convolves, in_full
from sklearn_mixup.minibatches import Rows, list_tensors, map_tensors

# Outputs that are off by this share are other ones: rounding is less.
_ROUGHLY = 0.05


def arrange(module: nn.Module, X: Rows, half: torch.dtype | None) -> Rows:
    """Lay pictures channel by channel for each pixel, where a module is faster on these.

    Convolutions on CPUs are, and those of GPUs in lower precision. A module that does not take
    them, as by ``view`` in its forward, is given pictures as they are.
    """
    if isinstance(X, Tensor) and (X.ndim != 4 or X.dtype != torch.float32):
        return X
    parts = [part for part in list_tensors(X) if isinstance(part, Tensor)]
    if not any(_is_faster_by_pixel(part, half) for part in parts):
        return X
    module = unwrap(module)
    key = half, *((part.shape[1:], part.dtype, part.device) for part in parts)
    known = _takes_by_pixel.setdefault(module, {})
    if key not in known:
        known[key] = _try_by_pixel(module, X, half)
    return map_tensors(_by_pixel, X) if known[key] else X


_takes_by_pixel: WeakKeyDictionary[nn.Module, dict[Any, bool]] = WeakKeyDictionary()


def _is_faster_by_pixel(part: Tensor, half: torch.dtype | None) -> bool:
    """Whether convolutions are faster on such rows in the order of `_by_pixel`."""
    if part.ndim != 4 or part.dtype != torch.float32:
        return False
    return (
        torch.backends.mkldnn.is_available() if part.is_cpu else part.is_cuda and half is not None
    )


def _by_pixel(part: Any) -> Any:
    """Lay pictures in torch's channels-last order; anything else stays."""
    if not isinstance(part, Tensor) or part.ndim != 4:
        return part
    part = part.contiguous(memory_format=torch.channels_last)
    _, n_channels, height, width = part.shape
    # Of a single channel both orders are one; only their strides tell layers which is meant.
    strides = height * width, 1, width, 1
    return part.as_strided(part.shape, strides) if n_channels == 1 else part


def _try_by_pixel(module: nn.Module, X: Rows, half: torch.dtype | None) -> bool:
    """Whether a copy of a module puts out the same for two rows in that order, and takes a step."""
    # Under vmap, as in a stack, the pictures of all modules lie side by side in any case.
    if hasattr(module, "n_modules") or not convolves(module):
        return False
    if any(map(is_lazy, module.parameters())):
        return False
    place = list_tensors(X)[0].device
    try:
        with torch.inference_mode(False), isolated_rng(0, place):
            twin = copy.deepcopy(module)
            for part in twin.modules():
                for hooks in (part._forward_hooks, part._forward_pre_hooks):
                    hooks.clear()
            rows = map_tensors(lambda part: torch.cat([part[:1], part[-1:]]).clone(), X)
            turned = map_tensors(_by_pixel, rows)
            twin.eval()
            with torch.no_grad():
                expected, found = (_first(twin, part, half) for part in (rows, turned))
            twin.train()
            with torch.enable_grad():
                _first(twin, turned, half).sum().backward()
    except Exception:  # It says so itself of rows that are wrong in any order.
        return False
    return bool((found - expected).norm() <= _ROUGHLY * expected.norm())


def _first(module: nn.Module, X: Rows, half: torch.dtype | None) -> Tensor:
    """Apply a module as a net does; take its first output, in float32."""
    with computing(half, list_tensors(X)[0].device):
        output = module(**X) if isinstance(X, Mapping) else module(X)
    output = in_full(output)
    return output[0] if isinstance(output, tuple) else output
