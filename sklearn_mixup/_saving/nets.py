"""Tensors, modules, optimizers and nets in a file.

A module is made without its constructor: its layers, weights and settings are those of the file, so
it takes no more memory than these do, and no code of it runs.
"""

from __future__ import annotations

from typing import Any

import torch
from skorch import NeuralNet
from torch import nn
from torch.nn.parameter import is_lazy

from sklearn_mixup._net.device import check_device, move, resolve_device
from sklearn_mixup._saving.arrays import NAMES
from sklearn_mixup._saving.graph import Kind, Reader, Writer, check_type, refuse
from sklearn_mixup._saving.numbers import find_order, restore_order
from sklearn_mixup._saving.objects import check_state, make_without_constructor
from sklearn_mixup._saving.values import read_table, write_table
from sklearn_mixup.exceptions import RefusedFileError

# What every module has; all else is its own.
_OF_MODULES = frozenset(vars(nn.Module()))
_PARTS = {"_modules": nn.Module, "_parameters": nn.Parameter, "_buffers": torch.Tensor}
_KEPT = (*_PARTS, "_non_persistent_buffers_set", "training")
# Parts of a net that live while it is trained.
_OF_TRAINING = ("_training_",)


# -- tensors --------------------------------------------------------------------------------------


def _write_tensor(writer: Writer, value: torch.Tensor, path: str) -> list[Any]:
    if is_lazy(value):
        raise refuse(path, value, "has no shape before the first fit")
    if value.layout is not torch.strided or value.is_quantized or value.dtype not in NAMES:
        raise refuse(path, value, f"is of a kind that the file has no place for, {value.dtype}")
    plain, order = value.detach().cpu().resolve_conj().resolve_neg(), None
    if not plain.is_contiguous():
        order = find_order(plain.stride())
        plain = plain.permute(order).contiguous()
    is_parameter = type(value) is nn.Parameter
    return [writer.write_array(plain, path), order, is_parameter, value.requires_grad]


def _read_tensor(reader: Reader, written: Any) -> torch.Tensor:
    number, order, is_parameter, requires_grad = written
    tensor = reader.read_array(number).as_tensor()
    if order is not None:
        tensor = restore_order(tensor, check_type(order, list))
    requires_grad = check_type(requires_grad, bool)
    if check_type(is_parameter, bool):
        return nn.Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_(requires_grad)


# -- modules --------------------------------------------------------------------------------------


def _write_module(writer: Writer, value: nn.Module, path: str) -> list[Any]:
    module = getattr(value, "_orig_mod", value)  # of a compiled one, what was compiled
    state = module.__getstate__() if "__getstate__" in _own_methods(module) else vars(module)
    hooks = [
        name
        for name in _OF_MODULES - set(_KEPT)
        if name in state and state[name] and name.endswith("hooks")
    ]
    if hooks:
        raise refuse(path, module, f"has hooks, which are functions ({', '.join(sorted(hooks))})")
    kept = {key: v for key, v in state.items() if key in _KEPT or key not in _OF_MODULES}
    number = writer.write_class(type(module), path)
    parts = [write_table(writer, kept.pop(key), path) for key in _PARTS]
    return [number, *parts, write_table(writer, kept, path)]


def _own_methods(module: nn.Module) -> set[str]:
    return {name for cls in type(module).__mro__[:-1] for name in vars(cls)}


def _read_module(reader: Reader, written: Any) -> nn.Module:
    number, *parts, state = written
    cls = reader.read_class(number, made=True, kind=nn.Module)
    state = check_state(read_table(reader, state))
    if not state.keys().isdisjoint(_OF_MODULES - {"training", "_non_persistent_buffers_set"}):
        raise RefusedFileError(f"A {cls.__name__} in it has parts of a module as settings.")
    for (key, kind), part in zip(_PARTS.items(), parts, strict=True):
        state[key] = read_table(reader, part)
        for item in state[key].values():
            check_type(item, (kind, type(None)))
    made = make_without_constructor(cls)
    nn.Module.__init__(made)
    made.__setstate__({**vars(made), **state})
    return made


# -- optimizers -----------------------------------------------------------------------------------


def _write_optimizer(writer: Writer, value: torch.optim.Optimizer, path: str) -> list[Any]:
    names = ("defaults", "state", "param_groups")
    state = {name: getattr(value, name) for name in names}
    return [writer.write_class(type(value), path), write_table(writer, state, path)]


def _read_optimizer(reader: Reader, written: Any) -> torch.optim.Optimizer:
    number, state = written
    cls = reader.read_class(number, made=True, kind=torch.optim.Optimizer)
    state = read_table(reader, state)
    groups = check_type(state["param_groups"], list)
    for group in groups:
        for parameter in check_type(group["params"], list):
            check_type(parameter, torch.Tensor)
    check_type(state["state"], dict)
    check_type(state["defaults"], dict)
    made = make_without_constructor(cls)
    made.__setstate__({name: state[name] for name in ("defaults", "state", "param_groups")})
    if issubclass(cls, torch.optim.LBFGS):  # The one that holds more than these.
        made._params, made._numel_cache = groups[0]["params"], None
    return made


# -- nets -----------------------------------------------------------------------------------------


def _write_net(writer: Writer, value: NeuralNet, path: str) -> list[Any]:
    state = {key: item for key, item in vars(value).items() if key not in _OF_TRAINING}
    check_state(state, path)
    return [writer.write_class(type(value), path), write_table(writer, state, path)]


def _read_net(reader: Reader, written: Any) -> NeuralNet:
    number, state = written
    cls = reader.read_class(number, made=True, kind=NeuralNet)
    state = check_state(read_table(reader, state))
    if reader.device is not None:
        state["device"] = reader.device
    device = resolve_device(state.get("device"))
    try:
        check_device("cpu" if device is None else device)
    except ValueError as error:
        raise RefusedFileError(
            f"A net in it lives on a device that is not here. {error}"
        ) from error
    made = make_without_constructor(cls)
    vars(made).update(state)
    if device is not None and torch.device(device).type != "cpu":
        move(made, device)
    return made


KINDS = (
    Kind(
        "tensor",
        lambda value: type(value) in (torch.Tensor, nn.Parameter),
        _write_tensor,
        _read_tensor,
        shared=True,
    ),
    Kind("module", lambda v: isinstance(v, nn.Module), _write_module, _read_module, shared=True),
    Kind(
        "optimizer",
        lambda value: isinstance(value, torch.optim.Optimizer),
        _write_optimizer,
        _read_optimizer,
        shared=True,
    ),
    Kind("net", lambda value: isinstance(value, NeuralNet), _write_net, _read_net, shared=True),
)
