"""Points between random pairs of rows, whatever the rows are kept in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_consistent_length, check_random_state
from skorch.dataset import get_len
from skorch.utils import is_dataset
from torch import Tensor

from sklearn_mixup._validation import check_part, check_y, is_floating, take
from sklearn_mixup.vicinal import mix_with

Rows = np.ndarray | Tensor | Mapping[str, Any]


# -- checks ---------------------------------------------------------------------------------------


def check_count(number: Any, name: str) -> int:
    """Check a number of pairs or rows."""
    if not isinstance(number, Integral) or isinstance(number, bool) or number < 1:
        raise ValueError(f"`{name}` must be a whole number >= 1; got {number!r}.")
    return int(number)


def check_lam(lam: Any) -> np.ndarray:
    """Check the weights of the first row of a pair; None is 21 even steps from 0 to 1."""
    if lam is None:
        return np.linspace(0.0, 1.0, 21)
    if isinstance(lam, Tensor):
        lam = lam.detach().cpu()
    weights = np.asarray(lam, dtype=float)
    if weights.ndim != 1 or len(weights) == 0:
        raise ValueError(
            f"`lam` must be a list of weights, shape (n_lam,); got {lam!r}. Write lam=[0.5] for a "
            "single one."
        )
    if not ((weights >= 0) & (weights <= 1)).all():  # not so for NaN either
        raise ValueError(f"`lam` must hold weights in [0, 1]; got {weights.tolist()}.")
    return weights


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
    """Check rows to mix; return arrays or tensors, and what turns such into X's kind again."""
    if issparse(X):  # before dicts: a dok_array is one
        raise TypeError(
            f"X must be dense, as points between two rows are; got {type(X).__name__}. Use "
            "X.toarray()."
        )
    if is_dataset(X):
        raise TypeError(
            f"X must be an array, DataFrame or tensor of rows, or a dict of them; got "
            f"{type(X).__name__}. Stack the rows to look between into one array."
        )
    restore: Callable[[Any], Any] = _as_they_are
    rows: Rows
    if isinstance(X, Mapping):
        if not X:
            raise ValueError("X must hold at least one input; got an empty dict.")
        rows = {name: _check_floats(part, f"X[{name!r}]") for name, part in X.items()}
    elif hasattr(X, "columns"):
        rows, restore = _check_frame(X), partial(_as_frame, type(X), list(X.columns))
    else:
        rows = _check_floats(X, "X")
    check_consistent_length(*parts_of(rows), y)
    if get_len(rows) < 2:
        raise ValueError(f"X must have at least two rows to look between; got {get_len(rows)}.")
    return rows, restore


def _as_they_are(rows: Any) -> Any:
    """Leave rows as they are."""
    return rows


def _as_frame(kind: type, names: list[Any], rows: np.ndarray) -> Any:
    """Make a DataFrame of any package."""
    return kind(dict(zip(names, rows.T, strict=True)))


def _check_frame(X: Any) -> np.ndarray:
    """Check that all columns are numbers, and give them as floats."""
    words = [name for name in X.columns if getattr(X[name].dtype, "kind", "O") not in "fiub"]
    if words:
        raise TypeError(
            f"Only numbers can be mixed, but X has the columns {words[:5]}. Look between the rows "
            "of what the preprocessing makes of them: pass pipeline[-1] and "
            "pipeline[:-1].transform(X)."
        )
    columns = [np.asarray(X[name], dtype=np.float64) for name in X.columns]
    values = np.stack(columns, axis=1) if columns else np.empty((len(X), 0))
    if all(str(X[name].dtype) == "float32" for name in X.columns):
        values = values.astype(np.float32)
    return check_part(values, "X")


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
            f"Only floating inputs can be mixed, but {name} is {part.dtype}. Convert it to what "
            "the classifier was fitted with, such as X.astype('float32') / 255 for pictures."
        )
    return check_part(part, name)


def parts_of(rows: Any) -> list[Any]:
    """List the arrays or tensors that rows are made of."""
    return list(rows.values()) if isinstance(rows, Mapping) else [rows]


# -- pairs and points -----------------------------------------------------------------------------


def draw_pairs(n_rows: int, n_pairs: int, random_state: Any) -> np.ndarray:
    """Draw independent ordered pairs of two different rows, all equally likely."""
    # None is a seed that nobody knows, not the global generator: that is left alone.
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    first = rng.randint(n_rows, size=n_pairs)
    second = (first + rng.randint(1, n_rows, size=n_pairs)) % n_rows
    return np.stack([first, second], axis=1)


def points_between(
    rows: Rows, pairs: np.ndarray, lam: np.ndarray, batch_size: int
) -> Iterator[tuple[int, slice, Any]]:
    """Yield the place of a lam, some pairs, and their points ``lam * first + (1 - lam) * second``.

    Yields
    ------
    place : int
        Which entry of `lam`.
    some : slice
        Which of `pairs`.
    points : ndarray, Tensor or dict of them, of shape (n_some, ...)
        As `rows` are; memory of their own, never that of `rows`.
    """
    for start in range(0, len(pairs), batch_size):
        some = slice(start, start + batch_size)
        first, second = (take(rows, places) for places in pairs[some].T)
        for place, weight in enumerate(lam.tolist()):
            yield place, some, _mix(first, second, weight)


def _mix(first: Any, second: Any, lam: float) -> Any:
    """Mix rows of any kind."""
    if isinstance(first, Mapping):
        return {name: _mix(part, second[name], lam) for name, part in first.items()}
    if isinstance(first, Tensor):
        return mix_with(first, second, lam=lam)
    return mix_with(torch.from_numpy(first), torch.from_numpy(second), lam=lam).numpy()


def summarise(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and standard error over the pairs, of values of shape (n_lam, n_pairs)."""
    n_pairs = values.shape[1]
    if n_pairs == 1:
        return values.mean(axis=1), np.full(len(values), np.nan)
    return values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(n_pairs)
