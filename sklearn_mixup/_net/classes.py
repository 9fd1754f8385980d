"""The classes of rows to be drawn: read from y, kept as it came, and found by their names."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length, column_or_1d
from torch import Tensor

from sklearn_mixup._net.checks import check_objects, check_y
from sklearn_mixup._net.columns import is_polars
from sklearn_mixup._net.tables import check_unmasked, is_frame

_SHOWN = 5


def read_target(y: Any, X: Any) -> tuple[Any, np.ndarray]:
    """Copy a target of one entry for each row; return it as it came, and as an array."""
    check_unmasked(y, "y")
    if isinstance(y, list | tuple):
        check_objects(y)
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    if is_frame(y) and len(y.shape) == 2 and y.shape[1] == 1:
        y = y.to_series() if is_polars(y) else y.iloc[:, 0]
    values = column_or_1d(np.asarray(y), warn=True)
    check_consistent_length(X, values)
    if not hasattr(y, "to_frame"):
        return values.copy(), values
    return (y.clone() if is_polars(y) else y.copy()), values


def has_fractions(values: np.ndarray) -> bool:
    """Whether a target is floats of which one has a fraction: numbers rather than labels."""
    is_finite = values.dtype.kind == "f" and bool(np.isfinite(values).all())
    return is_finite and bool((values != np.rint(values)).any())


def read_classes(kept: Any, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the classes of a target of labels, in their order, and the code of each row."""
    labels, _ = check_y(kept if hasattr(kept, "to_frame") else values)
    classes, codes = np.unique(labels, return_inverse=True)
    return classes, codes


def list_labels(labels: np.ndarray) -> list[Any]:
    """List labels as objects of Python; NumPy makes whole numbers of times in nanoseconds."""
    names = labels.tolist()
    if labels.dtype.kind in "mM" and names and isinstance(names[0], int):
        rounded = labels.astype(f"{labels.dtype.kind}8[us]")
        names = rounded.tolist() if (rounded == labels).all() else names
    return names


def name_label(label: Any) -> Any:
    """Make of a label what `list_labels` makes of it."""
    is_time = isinstance(label, np.datetime64 | np.timedelta64)
    return list_labels(np.array([label]))[0] if is_time else label


def find_class(classes: np.ndarray, label: Any) -> int:
    """Find the code of a class by its name."""
    label = name_label(label)
    is_label = [] if np.ndim(label) else [name == label for name in list_labels(classes)]
    if not any(is_label):
        raise ValueError(
            f"`y` must be a class of the data; got {label!r}. They are {list_some(classes)}."
        )
    return is_label.index(True)


def list_some(names: Iterable[Any]) -> str:
    """Name the first few."""
    names = list_labels(names) if isinstance(names, np.ndarray) else list(names)
    shown = ", ".join(map(repr, islice(names, _SHOWN)))
    return shown + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
