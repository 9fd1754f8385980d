"""Estimators, callbacks and other objects of Python in a file: a class and its attributes."""

from __future__ import annotations

from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
from skorch import NeuralNet
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.optim import Optimizer

from sklearn_mixup._fused.predict import Stacks
from sklearn_mixup._saving.graph import Kind, Reader, Writer, check_type, refuse
from sklearn_mixup._saving.values import read_table, write_table
from sklearn_mixup._tabular.base import TabularMixup
from sklearn_mixup.exceptions import RefusedFileError

# Settings by which a model reads pickles later on: from a folder, or of weights.
_UNSAFE = ("memory", "torch_load_kwargs")
# What a callback makes anew when training goes on: a schedule, which holds the optimizer's step.
_OF_TRAINING = ("lr_scheduler_",)
# What a name in a table stands for, rather than attributes.
_CODE = (FunctionType, MethodType, BuiltinFunctionType, ModuleType, np.ufunc, Tensor)
_PLAIN = getattr(object, "__getstate__", None)


def check_state(state: Any, path: str | None = None) -> dict[str, Any]:
    """Check the attributes of an object, as they are written at a path or read."""
    state = check_type(state, dict)
    for name in _UNSAFE:
        if state.get(name) is not None:
            if path is not None:
                reason = "makes the model read pickles later on; `set_params` it to None"
                raise refuse(f"{path}.{name}", state[name], reason)
            raise RefusedFileError(f"The setting {name!r} in it would make the model read pickles.")
    if path is None and any(name.startswith("__") for name in state):
        raise RefusedFileError("An attribute in it has a name of Python's own.")
    return state


def make_without_constructor(cls: type) -> Any:
    """Make an object, and run nothing of its class."""
    return object.__new__(cls)


def get_state(value: Any, path: str) -> dict[str, Any]:
    """Collect the attributes of an object as pickle would."""
    own = getattr(type(value), "__getstate__", _PLAIN)
    state = vars(value) if own is _PLAIN else value.__getstate__()
    if isinstance(value, Callback):
        state = {key: item for key, item in state.items() if key not in _OF_TRAINING}
    if type(value).__module__ == "sklearn.utils._metadata_requests":
        # Of which model it is, for messages: from scikit-learn 1.8 on the model, which holds it.
        owner = state.get("owner")
        state = {**state, "owner": owner if isinstance(owner, str) else type(owner).__name__}
    return check_state(state, path)


def _write(writer: Writer, value: Any, path: str) -> list[Any]:
    return [
        writer.write_class(type(value), path),
        write_table(writer, get_state(value, path), path),
    ]


def _read(reader: Reader, written: Any) -> Any:
    number, state = written
    cls = reader.read_class(number, made=True)
    if issubclass(cls, (nn.Module, Optimizer, NeuralNet)):
        raise RefusedFileError(f"A {cls.__name__} in it is described as something else.")
    state = check_state(read_table(reader, state))
    if reader.device is not None and issubclass(cls, TabularMixup):
        state["device"] = reader.device
    made = make_without_constructor(cls)
    if hasattr(cls, "__setstate__"):
        made.__setstate__(state)
    else:
        vars(made).update(state)
    return made


def _is_object(value: Any) -> bool:
    """Whether a value is described by its attributes: of Python, and no function."""
    return hasattr(value, "__dict__") and not isinstance(value, _CODE)


KINDS = (
    Kind(
        "stacks",
        lambda value: isinstance(value, Stacks),
        lambda writer, value, path: None,
        lambda reader, written: Stacks(),  # which they make of the nets when they are asked
        shared=True,
    ),
    Kind("object", _is_object, _write, _read, shared=True),
)
