"""Whether what a user names is there: parameters, arguments of fit, what callbacks watch."""

from __future__ import annotations

import difflib
import functools
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from skorch.utils import is_dataset
from torch import nn
from torch.utils.data import DataLoader

import sklearn_mixup.modules
from sklearn_mixup._net.vicinity import check_vicinity
from sklearn_mixup.minibatches import Minibatches

# Packages whose methods are known: others' may take more, and make parts of their own.
OWN_PACKAGES = {"sklearn_mixup", "skorch"}

_MODULES = {name: getattr(sklearn_mixup.modules, name) for name in sklearn_mixup.modules.__all__}
_LOSSES = {name: getattr(nn, name) for name in dir(nn) if name.endswith("Loss")}
_OPTIMIZERS = {
    name: kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)
}
_A_MODULE = "a torch.nn.Module, class or instance", _MODULES
_AN_OPTIMIZER = "a class of torch.optim, whose arguments are passed as {part}__...", _OPTIMIZERS
_AN_ITERATOR: tuple[str, dict[str, Any]] = (
    "a class of iterators, such as torch.utils.data.DataLoader",
    {},
)
# The parts that a net is made of: what each has to be, and torch's and ours by name.
_PARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "module": _A_MODULE,
    "generator": _A_MODULE,
    "discriminator": _A_MODULE,
    "criterion": ("a loss of torch.nn, class or instance", _LOSSES),
    "optimizer": _AN_OPTIMIZER,
    "optimizer_generator": _AN_OPTIMIZER,
    "optimizer_discriminator": _AN_OPTIMIZER,
    "iterator_train": _AN_ITERATOR,
    "iterator_valid": _AN_ITERATOR,
    "dataset": ("a torch Dataset, class or instance", {}),
}
# What scikit-learn and others call it.
_ELSEWHERE = {
    "epochs": "max_epochs",
    "max_iter": "max_epochs",
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "solver": "optimizer",
    "loss": "criterion",
    "seed": "random_state",
    "hidden_layer_sizes": "hidden_sizes",
    "validation_split": "validation_fraction",
}
_OF_VALIDATION = re.compile("(^|_)(eval|val|valid|validation)(_|$)")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


# -- the parts of a net ---------------------------------------------------------------------------


def check_settings(net: Any) -> None:
    """Raise an error for parts that are none, parameters that nothing has, and those at odds."""
    _check_parts(net)
    check_names(net, net._params_to_validate & vars(net).keys())
    settings = vars(net)
    if settings.get("early_stopping") not in (None, False, "auto") and settings["train_split"]:
        raise ValueError(
            "Rows to validate on are set aside by `early_stopping` or by `train_split`, not by "
            f"both; got early_stopping=True and train_split={settings['train_split']!r}. Leave one "
            "out."
        )
    if settings.get("hidden_sizes") is not None:
        _check_hidden_sizes(net)
    if "vicinity" in settings:
        check_vicinity(net)
    if settings.get("engine") == "numba" and importlib.util.find_spec("numba") is None:
        raise ImportError(
            "engine='numba' needs numba, which is not installed. Install it, as with "
            "`pip install sklearn-mixup[numba]`, or use engine='torch'."
        )


def _check_parts(net: Any) -> None:
    settings = vars(net)
    own_parts = makes_own_parts(net)
    for part, (rule, known) in _PARTS.items():
        value = settings.get(part, dict)
        is_function = getattr(value, "__module__", "") == "torch.nn.functional"
        is_ready_made = part == "dataset" and is_dataset(value)  # as skorch takes it
        if words := net._words.get(part, {}):
            if isinstance(value, str) and value in words:
                continue
            rule = f"one of {', '.join(map(repr, words))}, or {rule}"
        if own_parts or is_ready_made or (callable(value) and not is_function):
            continue
        name = value.__name__ if is_function else value
        hint = f" Use {_address(kind)}." if (kind := _find(name, known)) is not None else ""
        raise TypeError(f"`{part}` must be {rule.format(part=part)}; got {value!r}.{hint}")
    split = settings["train_split"]
    if split and not callable(split):
        raise TypeError(
            "`train_split` must be None or a function that parts the rows, such as "
            f"skorch.dataset.ValidSplit(5, stratified=True); got {split!r}."
        )
    callbacks = settings["callbacks"]
    if not (callbacks is None or callbacks == "disable" or isinstance(callbacks, list)):
        raise TypeError(
            '`callbacks` must be None, "disable" or a list of callbacks; got '
            f"{callbacks!r}. Put a single one in a list."
        )


def _find(name: Any, known: Mapping[str, Any]) -> Any:
    """Find the class that a word stands for; None if there is none."""
    if not isinstance(name, str):
        return None
    plain = {re.sub("loss$|[^a-z0-9]", "", key.lower()): kind for key, kind in known.items()}
    asked = re.sub("loss$|[^a-z0-9]", "", name.lower().rpartition(".")[2])
    return plain.get(next(iter(difflib.get_close_matches(asked, plain, 1, 0.8)), ""))


def _address(kind: type) -> str:
    """Write down where a class is imported from."""
    packages = ("torch.nn", "torch.optim", "sklearn_mixup.modules")
    package = next(name for name in packages if kind.__module__.startswith(name))
    return f"{package}.{kind.__name__}"


# -- names of parameters --------------------------------------------------------------------------


# Of classes only: methods would keep their nets alive.
_signature_of_class = functools.lru_cache(inspect.signature)


def signature_of(function: Any) -> inspect.Signature:
    """Get the signature of a class or function; that of a class is read once."""
    return (_signature_of_class if isinstance(function, type) else inspect.signature)(function)


def named_parameters(function: Any) -> Mapping[str, inspect.Parameter] | None:
    """Get what a class or function takes by name; None if it takes any name, or does not tell."""
    return _parameters_of_class(function) if isinstance(function, type) else _read(function)


def _read(function: Any) -> Mapping[str, inspect.Parameter] | None:
    """Read the signature of a class or function."""
    try:
        parameters = signature_of(function).parameters
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return None
    unnamed = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY)
    return {name: p for name, p in parameters.items() if p.kind not in unnamed}


_parameters_of_class = functools.lru_cache(_read)


def _source(net: Any, part: str, given: Mapping[str, Any]) -> Any:
    """Find the class or function that makes a part of a net; it may be `given` anew."""
    source = torch.compile if part == "compile" else given.get(part, vars(net)[part])
    if isinstance(source, str):
        source = net._words.get(part, {}).get(source, source)
    return type(source) if isinstance(source, nn.Module) else source


def parameters_of(
    net: Any, part: str, given: Mapping[str, Any] = _NOTHING
) -> Mapping[str, inspect.Parameter] | None:
    """Get the parameters of a part of a net; None if it takes any name, or does not tell."""
    source = _source(net, part, given)
    if (named := named_parameters(source)) is None:
        return None
    found = dict(named)
    if source is Minibatches:  # It gives way to a DataLoader where more is asked for.
        own = ("batch_size", "shuffle", "drop_last", "chunk_bytes", "augment")
        found = {**{name: found[name] for name in own}, **(named_parameters(DataLoader) or {})}
    if source is nn.CrossEntropyLoss:  # It gives way to this one for several labels a row.
        found |= named_parameters(nn.BCEWithLogitsLoss) or {}
    if part.startswith("optimizer"):
        found["param_groups"] = inspect.Parameter("param_groups", inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in found.items() if name not in ("dataset", "model", "params")}


def check_names(net: Any, names: Iterable[str], given: Mapping[str, Any] = _NOTHING) -> None:
    """Raise TypeError for parameters, given by name, that neither the net nor a part of it has.

    Parts may be `given` anew, by name.
    """
    for name in sorted(names):
        part, _, rest = name.partition("__")
        if part == "callbacks" and rest:
            _check_callback(net, name, rest)
        elif part in _parts_of(net):
            taken = parameters_of(net, part, given)
            if not rest or taken is None or rest in taken or rest.startswith("param_groups__"):
                continue
            kind = _source(net, part, given)
            raise TypeError(
                f"`{part}__...` must name a parameter of {getattr(kind, '__name__', kind)}, one of "
                f"{', '.join(taken)}; got {name}.{_suggest(net, name, given)}"
            )
        elif name in ("initialized_", "virtual_params_") or part in net.prefixes_:
            continue
        elif name.endswith("_") or not makes_own_parts(net):  # else skorch will see
            raise TypeError(
                f"A parameter must be one of {type(net).__name__} or of a part of it; got "
                f"{name}.{_suggest(net, name, given)}"
            )


def _parts_of(net: Any) -> list[str]:
    """List the parts of a net that may have parameters."""
    return [part for part in (*_PARTS, "compile") if part in vars(net)]


def _check_callback(net: Any, name: str, rest: str) -> None:
    if net.callbacks == "disable":
        return
    known = [known for known, _ in net._uniquely_named_callbacks()]
    if rest.partition("__")[0] not in known:
        raise TypeError(
            f"`callbacks__...` must name a callback of the net, one of {', '.join(known)}; got "
            f"{name}."
        )


def makes_own_parts(net: Any) -> bool:
    """Whether a subclass makes parts of its own, whose parameters are not known before."""
    makers = ("initialize_module", "initialize_criterion", "initialize_optimizer")
    return any(is_foreign(getattr(net, maker)) for maker in makers)


def is_foreign(method: Any) -> bool:
    """Whether a method is neither ours nor skorch's."""
    return (method.__module__ or "").partition(".")[0] not in OWN_PACKAGES


def _suggest(net: Any, name: str, given: Mapping[str, Any]) -> str:
    """Say which parameter was probably meant; nothing if none is near."""
    of_parts = {part: parameters_of(net, part, given) for part in _parts_of(net)}
    own = [key for key in net._get_param_names() if key not in net._params_to_validate]
    dunder = [(part, key) for part, taken in of_parts.items() for key in taken or ()]
    part, _, rest = name.strip("_").partition("__")
    last = rest.rpartition("__")[2] or part
    meant = [key for key in own if key in (name.strip("_"), last)]
    meant = meant or [f"{other}__{key}" for other, key in dunder if key == last]
    if not meant:
        if part in of_parts:
            spellings = [(key, f"{part}__{key}") for key in of_parts[part] or ()]
        else:
            spellings = [(key, key) for key in own]
            spellings += [(word, key) for word, key in _ELSEWHERE.items() if key in own]
            spellings += [(f"{other}_{key}", f"{other}__{key}") for other, key in dunder]
            spellings += [] if rest else [(key, f"{other}__{key}") for other, key in dunder]
        asked = rest if part in of_parts else name.replace("__", "_")
        near = difflib.get_close_matches(asked, [spelling for spelling, _ in spellings], 1, 0.7)
        meant = [key for spelling, key in spellings if spelling in near]
        meant = [key for key in meant if key in own] or meant
    return f" Did you mean {' or '.join(meant)}?" if meant else ""


def is_set_to(net: Any, name: str, value: Any) -> bool:
    """Whether a parameter has a value, set or by default, as far as it can be told."""
    if name in vars(net):
        return _are_same(vars(net)[name], value)
    part, _, rest = name.partition("__")
    if part not in _PARTS or isinstance(vars(net)[part], nn.Module):
        return False
    found = (parameters_of(net, part) or {}).get(rest)
    return found is not None and _are_same(found.default, value)


def _are_same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    if isinstance(one, nn.Module) or isinstance(other, nn.Module):
        return False
    try:
        return bool(np.array_equal(one, other))
    except Exception:  # What cannot be compared, as tensors on a GPU, may differ.
        return False


def _check_hidden_sizes(net: Any) -> None:
    """Raise ValueError for `hidden_sizes` that the module does not take, or is given otherwise."""
    sizes, module = net.hidden_sizes, net.module
    known = parameters_of(net, "module")
    if isinstance(module, nn.Module) or not (known is None or "hidden_sizes" in known):
        kind = type(module) if isinstance(module, nn.Module) else module
        what = "is made already" if isinstance(module, nn.Module) else "has no such parameter"
        raise ValueError(
            "`hidden_sizes` is for a module that is a class with a parameter of that name, such as "
            f"MLP; got {sizes!r} and {getattr(kind, '__name__', kind)}, which {what}. Use "
            "hidden_sizes=None."
        )
    other = vars(net).get("module__hidden_sizes", sizes)
    if not np.array_equal(np.atleast_1d(sizes), np.atleast_1d(other)):
        raise ValueError(
            "`hidden_sizes` and `module__hidden_sizes` are the same parameter; got "
            f"hidden_sizes={sizes!r} and module__hidden_sizes={other!r}. Leave one out."
        )


# -- arguments of fit -----------------------------------------------------------------------------


def taken_by(function: Any, params: Mapping[str, Any]) -> dict[str, Any]:
    """Choose, of arguments by name, those that a function takes."""
    taken = named_parameters(function) if params else None
    return {name: value for name, value in params.items() if taken is None or name in taken}


def check_fit_params(
    net: Any, receivers: Iterable[Callable[..., Any]], params: Mapping[str, Any]
) -> None:
    """Raise TypeError for arguments of ``fit`` that no receiver takes."""
    if not params:
        return
    named = [named_parameters(function) for function in receivers]
    known = {"epochs", *(name for names in named for name in names or ())}
    # skorch passes on, besides what the user passes, a name of its own with an underscore.
    unknown = [name for name in sorted(params) if name not in known and not name.startswith("_")]
    if not unknown or None in named:
        return
    hints = []
    of_fit = {*inspect.signature(type(net).fit).parameters, *known} - {"self", "fit_params"}
    for name in unknown:
        if name in vars(net):
            hints.append(f" `{name}` is a parameter of {type(net).__name__} itself.")
        elif _OF_VALIDATION.search(name):
            hints.append(
                " Rows to validate on are set aside by early_stopping=True, or by `train_split`: "
                "skorch.dataset.ValidSplit(5), or skorch.helper.predefined_split for known rows."
            )
        elif near := difflib.get_close_matches(name, of_fit, 1, 0.75):
            hints.append(f" Did you mean {near[0]}?")
    raise TypeError(
        f"fit must be given what {type(net).__name__}.fit, its parts or `train_split` take; got "
        f"{', '.join(unknown)}.{''.join(dict.fromkeys(hints))}"
    )


# -- what callbacks watch -------------------------------------------------------------------------


def explain_missing(net: Any, error: Exception) -> ValueError | None:
    """Say in the user's words that a callback watches what no epoch has; None of another error."""
    # skorch's callbacks raise errors of three kinds, all with these words of its history.
    found = re.search("'([^']+)' was not found in history", str(next(iter(error.args), "")))
    if found is None or not net.history:
        return None
    key = found[1]
    asking = [repr(name) for name, cb in net.callbacks_ if getattr(cb, "monitor", None) == key]
    known = sorted(net.history[-1].keys() - {"batches"})
    hint = ""
    if not net.train_split:
        hint = (
            f" Scores of rows that are not trained on need `train_split`, {net.train_split!r} "
            "here: pass one such as skorch.dataset.ValidSplit(5)"
        )
        losses = {name for name, _ in net.get_default_callbacks()}
        is_loss = key.removesuffix("_best") in losses
        hint += "." if is_loss else ", and a callback that scores them, such as EpochScoring."
    return ValueError(
        f"{' '.join(['Callback', *asking]) if asking else 'A callback'} must watch what an "
        f"epoch of the history has, one of {', '.join(known)}; got {key!r}.{hint}"
    )
