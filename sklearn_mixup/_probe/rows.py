"""Rows of any kind, to look at what a fitted classifier makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_array, check_consistent_length
from skorch.utils import is_dataset
from torch import Tensor

from sklearn_mixup._net.checks import check_part, check_y, is_floating
from sklearn_mixup._net.tables import (
    as_frame,
    check_dense,
    columns_of,
    explain_table,
    find_fault,
    is_frame,
)

Rows = np.ndarray | Tensor | Mapping[str, Any]


def check_count(number: Any, name: str) -> int:
    """Check a number of pairs or rows."""
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
        raise ValueError(f"`{name}` must be a whole number >= 1; got {number!r}.")
    return int(number)


def check_labels(y: Any) -> np.ndarray:
    """Check that y holds one label a row."""
    labels, target_type = check_y(y)
    if target_type != "multiclass":
        raise ValueError(
            "y must hold one label for each row, shape (n_samples,), so that a prediction is one "
            f"of two labels or a miss; got {target_type} of shape {labels.shape}."
        )
    return labels


def check_rows(X: Any, y: Any) -> tuple[Rows, Callable[[Any], Any]]:
    """Check rows; return them as arrays or tensors, and what turns such into X's kind again.

    Numbers of a table may be whole ones and become floats, as in scikit-learn; all others must be
    floating.
    """
    check_dense(X, "X")  # before dicts: a dok_array is one
    if is_dataset(X):
        raise TypeError(
            f"X must be an array, DataFrame or tensor of rows, or a dict of them; got "
            f"{type(X).__name__}. Stack the rows to look at into one array."
        )
    restore: Callable[[Any], Any] = _as_they_are
    rows: Rows
    if isinstance(X, Mapping):
        if not X:
            raise ValueError("X must hold at least one input; got an empty dict.")
        rows = {name: _check_floats(part, f"X[{name!r}]") for name, part in X.items()}
    elif is_frame(X):
        rows, restore = _check_frame(X), partial(as_frame, X)
    else:
        rows = _check_floats(X, "X")
    check_consistent_length(*parts_of(rows), y)
    return rows, restore


def _as_they_are(rows: Any) -> Any:
    """Leave rows as they are."""
    return rows


def _check_frame(X: Any) -> np.ndarray:
    """Check that all columns are numbers, and give them as floats."""
    advice = (
        "Pass what the preprocessing makes of them, with the net alone: pipeline[-1] and "
        "pipeline[:-1].transform(X)."
    )
    words = [name for name, values in columns_of(X) if find_fault(values) in ("words", "dates")]
    if words:
        raise TypeError(f"X must hold only numbers, but has the columns {words[:5]}. {advice}")
    with explain_table(X, advice):
        return check_array(X, dtype=[np.float64, np.float32], input_name="X")


def _check_floats(part: Any, name: str) -> Any:
    """Check a tensor or array; whole numbers of a table become floats, as in scikit-learn."""
    if not isinstance(part, Tensor):
        part = np.asarray(part)
        if part.ndim == 2 and part.dtype.kind in "iub":
            part = part.astype(np.float64)
        if part.dtype.kind == "f":  # torch knows neither long doubles nor foreign bytes
            wide = part.dtype.itemsize > 8
            part = part.astype(np.float64 if wide else part.dtype.newbyteorder("="), copy=False)
    if part.ndim < 2:
        raise ValueError(
            f"{name} must have a row for each sample, shape (n_samples, ...); got shape "
            f"{tuple(part.shape)}. Use reshape(-1, 1) if it has a single feature."
        )
    if not is_floating(part.dtype):
        raise TypeError(
            f"{name} must be floating; got {part.dtype}. Convert it to what the classifier was "
            "fitted with, such as X.astype('float32') / 255 for pictures."
        )
    return check_part(part, name)


def parts_of(rows: Any) -> list[Any]:
    """List the arrays or tensors that rows are made of."""
    return list(rows.values()) if isinstance(rows, Mapping) else [rows]
