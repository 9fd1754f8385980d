"""The parts of a net: made with what is learned in fit, and by the fastest kernel there is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from sklearn_mixup._engine.capture import RECORDERS
from sklearn_mixup._net.settings import signature_of


def make_part(net: Any, part: str, learned: Mapping[str, Any]) -> Any:
    """Make a part; it is told what is learned in ``fit`` if it names a parameter for it."""
    kwargs = net.get_params_for(part)
    source = getattr(net, part)
    if not isinstance(source, nn.Module):
        named = signature_of(source).parameters
        for name in learned.keys() & named.keys() - kwargs.keys():
            if learned[name] is not None:
                kwargs[name] = learned[name]
            elif named[name].default is inspect.Parameter.empty:
                of_labels = " or, for a Dataset without `targets`, classes=[...]"
                raise ValueError(
                    f"`{name}` of the {part} is learned in fit, from data that are arrays; it "
                    f"is not known yet. Pass {part}__{name}=..."
                    f"{of_labels if name == 'n_classes' else ''}"
                )
    return net.initialized_instance(source, kwargs)


def wants_fused(
    optimizer: Any, parameters: Sequence[nn.Parameter], given: Mapping[str, Any]
) -> bool:
    """Whether an optimizer is to be fused: torch offers it, it is of use, and nobody chose."""
    fused = {torch.optim.Adam, torch.optim.AdamW}
    if any(parameter.device.type in RECORDERS for parameter in parameters):
        fused.add(torch.optim.SGD)  # A recorded step reads its learning rate from the device.
    choices = {"fused", "foreach", "capturable", "differentiable"}
    if optimizer not in fused or choices & given.keys():
        return False
    kinds = {(parameter.device, parameter.dtype) for parameter in parameters}
    # torch 2.4 asks a parameter that has no shape yet whether it is floating.
    lazy = any(map(is_lazy, parameters))
    return not lazy and all(_can_be_fused(optimizer, *kind) for kind in kinds)


@functools.cache
def _can_be_fused(optimizer: Callable[..., Any], device: torch.device, dtype: torch.dtype) -> bool:
    """Whether torch has a fused kernel of an optimizer for such parameters, found by trying."""
    try:
        optimizer([nn.Parameter(torch.empty(1, device=device, dtype=dtype))], fused=True)
    except (RuntimeError, TypeError, ValueError):
        return False
    return True
