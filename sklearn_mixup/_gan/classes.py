"""The classes that a GAN learns rows of: read from y, told to its networks, drawn for samples."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.utils import check_consistent_length
from torch import Tensor, nn

from sklearn_mixup._net.checks import check_labels_repeat
from sklearn_mixup._net.classes import (
    find_class,
    has_fractions,
    list_labels,
    list_some,
    read_classes,
    read_target,
)
from sklearn_mixup._net.columns import take_anew
from sklearn_mixup._net.losses import unwrap


class Encoded(np.ndarray):
    """Rows of a table, or codes of classes, as ``fit`` encoded them: callbacks may hand them back.

    Parts of one are such as well.
    """


_LEARNED = ("classes_", "_of_each_class_", "_class_shares_")


def learn_classes(gan: Any, X: Any, y: Any, *, anew: bool) -> np.ndarray | None:
    """Read the class of each row as a code; None without y. Learn which there are, if `anew`."""
    if anew:
        for name in _LEARNED:
            vars(gan).pop(name, None)
    elif (y is not None) != has_classes(gan):
        known = "without y" if y is None else "with y"
        began = "with y" if y is None else "without y"
        raise ValueError(
            f"`y` must be there if it was when training began, which was {began}; this call is "
            f"{known}. Use fit, with warm_start=False, to begin anew."
        )
    if y is None:
        return None
    kept, values = read_target(y, X)
    if has_fractions(values):
        raise ValueError(
            "`y` must hold classes, of which rows are learned and drawn; got numbers such as "
            f"{values[values != np.rint(values)][0]}. Make the target a column of X, or cut it "
            "into classes, as by pandas.qcut(y, 4, labels=False)."
        )
    classes, codes = read_classes(kept, values)
    if not anew:
        return _code(gan, values).view(Encoded)
    check_labels_repeat(values, classes)
    counts = np.bincount(codes)
    if (counts < 2).any():
        warnings.warn(
            f"Samples of a class with a single row can only repeat that row; {(counts < 2).sum()} "
            f"of {len(classes)} have one: {list_some(classes[counts < 2])}. Drop or merge them. If "
            "y holds numbers, make it a column of X.",
            stacklevel=5,
        )
    gan.classes_ = classes
    gan._class_shares_ = counts / counts.sum()
    gan._of_each_class_ = take_anew(kept, np.unique(codes, return_index=True)[1])
    return codes.view(Encoded)


def has_classes(gan: Any) -> bool:
    """Whether a GAN has learned rows given their class."""
    return "classes_" in vars(gan)


def _code(gan: Any, values: np.ndarray) -> np.ndarray:
    """Give the code of each label, of classes that are known."""
    labels = list_labels(values)
    codes = {label: find_class(gan.classes_, label) for label in {*labels}}
    return np.array([codes[label] for label in labels])


def read_codes(gan: Any, y: Any, X: Any) -> np.ndarray | None:
    """Read the classes of rows to judge; None without y."""
    if y is None:
        return None
    if isinstance(y, Encoded):
        return np.asarray(y)
    if not has_classes(gan):
        check_consistent_length(X, y)
        raise ValueError(
            "`y` has no meaning for a GAN that was fitted without classes. Leave it out, or use "
            "fit(X, y)."
        )
    return _code(gan, read_target(y, X)[1])


def draw_codes(gan: Any, y: Any, n_samples: int, state: np.random.RandomState) -> Any:
    """Draw the class of each sample with the shares of the data; or take what is asked for."""
    if y is None:
        if not has_classes(gan):
            return None
        return state.choice(len(gan.classes_), size=n_samples, p=gan._class_shares_)
    if not has_classes(gan):
        raise ValueError(
            f"`y` must be a class to draw rows of; got {y!r}, and the GAN was fitted without y. "
            "Use fit(X, y)."
        )
    if isinstance(y, str | bytes) or np.ndim(y) == 0:
        return np.full(n_samples, find_class(gan.classes_, y))
    values = read_target(y, y)[1]
    if len(values) != n_samples:
        raise ValueError(
            f"`y` must be a class, or one for each of n_samples={n_samples} rows; got "
            f"{len(values)}."
        )
    return _code(gan, values)


def name_classes(gan: Any, codes: Any) -> Any:
    """Give labels of codes, in the container that y came in."""
    return take_anew(gan._of_each_class_, codes)


def tell_classes(gan: Any, codes: Any, dtype: torch.dtype, device: Any) -> Tensor | None:
    """Make of codes what networks are told, shape (n_rows, n_classes); None without classes."""
    if not has_classes(gan):
        return None
    one_hot = torch.eye(len(gan.classes_), dtype=dtype, device=device)
    return one_hot[torch.as_tensor(codes, device=device)]


def apply(module: Callable[..., Any], rows: Tensor, y: Tensor | None) -> Any:
    """Apply a network to rows or latent vectors; it is told their classes if there are any."""
    return module(rows) if y is None else module(rows, y)


def check_takes_classes(part: str, module: nn.Module) -> None:
    """Raise TypeError for a network that cannot be told the class of a row."""
    parameters = inspect.signature(unwrap(module).forward).parameters.values()
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) < 2 and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        name = type(unwrap(module)).__name__
        raise TypeError(
            f"fit(X, y) tells both networks the classes of rows, so the forward of the {part} must "
            f"take `y` besides the rows, shape (batch_size, n_classes), zeros and a one; that of "
            f"{name} takes {len(positional)} argument. Add it, as in forward(self, "
            f"{'z' if part == 'generator' else 'X'}, y), or fit without y."
        )
