"""The parameters of a net: stored as scikit-learn has it, set on a net that is trained, checked."""

from __future__ import annotations

import warnings
from typing import Any

from sklearn.utils._param_validation import validate_parameter_constraints
from skorch import NeuralNet
from torch import nn

from sklearn_mixup._net.device import check_device, move, resolve_device
from sklearn_mixup._net.precision import check_precision
from sklearn_mixup._net.settings import check_names, check_settings, is_set_to


def store(net: Any, params: dict[str, Any], kwargs: dict[str, Any]) -> None:
    """Do what skorch's ``__init__`` does, but only store."""
    if (history := kwargs.pop("history", None)) is not None:
        net.__dict__["history_"] = history
    # Past __setattr__, which takes any nn.Module for a part of an initialized net.
    net.__dict__.update(params, **kwargs)
    net._params_to_validate = set(kwargs)


def set_trained(net: Any, params: dict[str, Any]) -> None:
    """Set parameters of a net that is initialized; parts are made anew that get other values.

    They are moved to the device, if that is set.

    Warns
    -----
    UserWarning
        If that is a network that was trained: its weights are gone.
    """
    device = resolve_device(params.get("device"))
    if device is not None:
        check_device(device)
    is_trained = net._is_loaded_ or len(net.history or ()) > 0
    remade = _set_parts(net, params)
    if device is not None:
        move(net, device)
    if is_trained and remade:
        warnings.warn(
            "The trained weights are gone: the network was made anew, since "
            f"{', '.join(remade)} got another value. Call fit; or keep the net, and set it on "
            "a copy made by sklearn.base.clone.",
            stacklevel=3,
        )


def _set_parts(net: Any, params: dict[str, Any]) -> list[str]:
    """Set parameters of an initialized net; return those for which weights were made anew."""
    check_names(net, [name for name in params if name.startswith(tuple(net.prefixes_))], params)
    parts = {name: name.partition("__")[0] for name in params}
    is_idle = getattr(net, "_training_", None) is None
    made = {*net._modules, *net._criteria, "compile"}
    anew: dict[str, Any] = {}
    stored: dict[str, Any] = {}
    others: dict[str, Any] = {}
    gone: list[str] = []
    for name, value in params.items():
        if net._is_virtual_param(name):
            others[name] = value
            # skorch sets it in the optimizer. The next one has to have it too, but for what a
            # callback sets while training, as schedules do.
            if is_idle and "__" in name and "param_groups__" not in name:
                stored[name] = value
        elif name in net._handed_on and not is_set_to(net, name, value):
            net.__dict__[name] = value
            part = net._handed_on[name]
            gone += [name] if _holds_weights(net, part) else []
            anew.setdefault(part, vars(net)[part])
        elif parts[name] not in net.prefixes_:
            others[name] = value
        elif parts[name] in made and not is_set_to(net, name, value):
            anew[name] = value
        else:
            stored[name] = value
    optimizer_is_other = any(
        name in net._optimizers and not is_set_to(net, name, stored[name]) for name in stored
    )
    net.__dict__.update(stored)
    net._params_to_validate |= {name for name in stored if "__" in name}
    if "callbacks" in map(parts.get, stored):
        net._initialize_callbacks()
    gone += [name for name in anew if name in params and _holds_weights(net, parts[name])]
    NeuralNet.set_params(net, **others, **anew)
    if optimizer_is_other and not anew:  # else skorch has made it
        net._initialize_optimizer()
    return sorted(gone)


def _holds_weights(net: Any, part: str) -> bool:
    """Whether what is learned is lost when a part is made anew."""
    criterion = getattr(net, part + "_", None) if part in net._criteria else None
    learns = isinstance(criterion, nn.Module) and any(True for _ in criterion.parameters())
    return learns or part in net._modules or part == "compile"


def check_params(net: Any) -> None:
    """Raise ValueError for parameters that are not as the docstring says."""
    net.check_training_readiness()
    params = net.get_params(deep=False)
    validate_parameter_constraints(net._parameter_constraints, params, type(net).__name__)
    check_device(net.device)
    check_precision(net)
    check_settings(net)
