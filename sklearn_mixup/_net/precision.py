"""The precision that a module computes in, and what scales its loss where that is float16."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sklearn_mixup._net.settings import is_foreign
from sklearn_mixup.minibatches import like

PRECISIONS = ("float32", "bfloat16", "float16", "auto")
# The lower ones by name. A number takes two bytes.
_HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}


# -- which precision -----------------------------------------------------------------------------


def check_precision(net: Any) -> None:
    """Raise ValueError for a precision that the device of a net, or what trains it, has not."""
    half = _HALF.get(asked := net.precision)
    if half is None:
        return
    if getattr(net, "accelerator", None) is not None:
        raise ValueError(
            "Under accelerate the precision is the accelerator's; got "
            f"precision={asked!r}. Leave it at 'float32', and make an "
            "Accelerator(mixed_precision='bf16'), or 'fp16'."
        )
    if not can_compute(half, torch.device(net.device or "cpu")):
        raise ValueError(
            "`precision` must be one that the device computes in; got "
            f"precision={asked!r}, and device {str(net.device)!r} has no {asked}. Use 'float32', "
            "or 'auto', which takes what suits the device."
        )


@functools.cache
def can_compute(half: torch.dtype, device: torch.device) -> bool:
    """Whether a device computes layers in a lower precision, found by trying."""
    if device.type == "cuda" and half is torch.bfloat16 and torch.version.hip is None:
        # What is older computes it in float32, step by step.
        return torch.cuda.get_device_capability(device) >= (8, 0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "error"
            )  # torch warns of a precision that it has not, and goes on
            with torch.enable_grad(), torch.autocast(device.type, half, cache_enabled=False):
                pictures, weight = torch.ones(2, 2, 2, 3, 3, dtype=torch.float32, device=device)
                weight.requires_grad_()
                maps = F.conv2d(pictures, weight)
                output = F.linear(maps.flatten(1), weight[:, :, 0, 0])
            loss = output.float().sum()
            if half is torch.float16:
                scaler = torch.amp.GradScaler(device.type)
                scaler.scale(loss).backward()
                scaler.step(torch.optim.SGD([weight], lr=0.0))
                scaler.update()
            else:
                loss.backward()
    except (RuntimeError, Warning, TypeError, ValueError):
        return False
    return output.dtype == half


def find_half(net: Any) -> torch.dtype | None:
    """Find the lower precision that the module of a net computes in; None if it does so as it is.

    What is no module of float32, or is not here to be asked, is left as it is.
    """
    if (asked := net.precision) == "float32":
        return None
    if asked != "auto":
        check_precision(net)  # A net may have come from another machine.
        return _HALF[asked]
    if getattr(net, "accelerator", None) is not None:
        return None
    device, half = torch.device(net.device or "cpu"), torch.bfloat16
    is_suited = device.type == "cuda" and net._module_dtype() == torch.float32
    return half if is_suited and convolves(net.module_) and can_compute(half, device) else None


def check_module(net: Any) -> None:
    """Raise ValueError for a module that computes in double precision, whatever is asked for."""
    if net.precision in _HALF and net._module_dtype() == torch.float64:
        raise ValueError(
            f"`precision` must be 'float32' or 'auto' for a module of float64; got "
            f"precision={net.precision!r}, and the parameters of {type(net.module_).__name__} are "
            "float64, which torch.autocast leaves as they are. Use module.float(), or "
            "torch.set_default_dtype(torch.float32)."
        )


def convolves(module: nn.Module) -> bool:
    """Whether a module has layers of convolution."""
    return any(isinstance(layer, nn.modules.conv._ConvNd) for layer in module.modules())


def computing(half: torch.dtype | None, device: Any) -> AbstractContextManager[Any]:
    """Let layers on a device compute in a lower precision where they are apt to; None leaves them.

    Nothing is kept from one layer to the next, as a step that is recorded has to have it.
    """
    if half is None:
        return nullcontext()
    return torch.autocast(torch.device(device or "cpu").type, half, cache_enabled=False)


def in_full(output: Any) -> Any:
    """Bring what a module puts out to float32 where it is of lower precision: a loss needs that."""
    if isinstance(output, Tensor):
        return output.float() if output.dtype in _HALF.values() else output
    return like(output, [in_full(part) for part in output]) if type(output) is tuple else output


# -- float16, in whose range small gradients vanish ----------------------------------------------

# What takes part in a step that is scaled: a subclass's own would not know of it.
_SCALED_METHODS = "train_step", "train_step_single", "_step_optimizer", "get_train_step_accumulator"


def make_scaler(net: Any, half: torch.dtype | None) -> torch.amp.GradScaler | None:
    """Make what scales the loss of a net that computes in float16, and goes on as it left off."""
    if half is not torch.float16:
        return None
    for method in _SCALED_METHODS:
        if is_foreign(getattr(net, method)):
            raise ValueError(
                f"precision='float16' scales the loss, which {type(net).__name__} does not know in "
                f"its own method {method!r}. Use 'bfloat16', which needs no scale."
            )
    for name in net._optimizers:
        if isinstance(getattr(net, name + "_"), torch.optim.LBFGS):
            raise ValueError(
                "precision='float16' scales the loss, but LBFGS computes it more than once a step. "
                "Use 'bfloat16', which needs no scale, or another optimizer."
            )
    scaler = torch.amp.GradScaler(net._training_.device.type)
    if not net._training_.fresh and (known := vars(net).get("_scale_")) is not None:
        scaler.load_state_dict(known)
    return scaler


def step_scaled(scaler: torch.amp.GradScaler, optimizer: torch.optim.Optimizer) -> None:
    """Let an optimizer take its step, unless a gradient is not finite."""
    for group in optimizer.param_groups:
        if group.get("fused") and group.get("momentum"):
            # If the first step of torch's kernel is left out, these hold whatever lay in memory.
            for parameter in group["params"]:
                state = optimizer.state[parameter]
                if parameter.grad is not None and state.get("momentum_buffer") is None:
                    state["momentum_buffer"] = torch.zeros_like(parameter.grad)
    scaler.step(optimizer)


def take_scaled_step(net: Any, batch: Any, fit_params: Mapping[str, Any]) -> dict[str, Any]:
    """Take a step as skorch does, by the gradients of a loss that is scaled."""
    training = net._training_
    scaler, optimizers = training.scaler, [getattr(net, name + "_") for name in net._optimizers]
    net._zero_grad_optimizer()
    step = net.train_step_single(batch, **fit_params)
    for optimizer in optimizers:
        scaler.unscale_(optimizer)
    if training.needs_closure:  # since somebody looks at the gradients
        named = list(net.get_all_learnable_params())
        net.notify("on_grad_computed", named_parameters=named, batch=batch)
    for optimizer in optimizers:
        step_scaled(scaler, optimizer)
    scaler.update()
    return step
