"""Tables of any package: their rows and columns, and which columns a net cannot take."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Real
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import _safe_indexing, check_array
from torch import Tensor

# How packages call dates: datetime64 and period in pandas, Date in polars, timestamp in pyarrow.
_DATES = re.compile("date|time|duration|period", re.IGNORECASE)
# What to put before the net against each fault of a column.
_REMEDIES = {
    "words": "OneHotEncoder(sparse_output=False) or skrub's TableVectorizer",
    "dates": "skrub's TableVectorizer",
    "missing values": "SimpleImputer",
    "infinite values": "a FunctionTransformer that bounds them",
}
_SHOWN = 5


def is_frame(X: Any) -> bool:
    """Whether X is a table with named columns: of pandas, polars, pyarrow or the like."""
    return hasattr(X, "shape") and hasattr(X, "columns")


def names_of(X: Any) -> list[Any]:
    """List the names of the columns of a frame."""
    return list(
        X.column_names if hasattr(X, "column_names") else X.columns
    )  # pyarrow has the first


def take(X: Any, rows: np.ndarray) -> Any:
    """Take rows of an array, a frame, a sparse array, a tensor, or a dict of them."""
    if isinstance(X, Mapping) and not issparse(X):
        return {name: take(part, rows) for name, part in X.items()}
    if isinstance(X, Tensor):
        return X[torch.as_tensor(rows, device=X.device)]
    if hasattr(X, "column_names"):
        return X.take(rows)  # scikit-learn takes none of pyarrow before 1.7
    X = X.tocsr() if issparse(X) else X  # not every kind of them has rows to take
    return _safe_indexing(X, rows)


def take_columns(X: Any, columns: np.ndarray) -> Any:
    """Take columns of an array, a frame, a sparse array or a tensor, in any number and order."""
    if isinstance(X, Tensor):
        return X[:, torch.as_tensor(columns, device=X.device)]
    if is_frame(X) and len({*columns.tolist()}) < len(columns):
        X = np.asarray(X)  # A frame has each name once.
    if hasattr(X, "column_names"):
        return X.select(columns.tolist())
    X = X.tocsr() if issparse(X) else X
    return _safe_indexing(X, columns, axis=1)


def as_frame(like: Any, rows: np.ndarray) -> Any:
    """Put rows into a frame of the package, and with the columns, of another."""
    columns = dict(zip(names_of(like), rows.T, strict=True))
    return type(like).from_pydict(columns) if hasattr(like, "column_names") else type(like)(columns)


def is_missing(value: Any) -> bool:
    """Whether a value stands for none: None, NaN, or what pandas has for them."""
    is_nan = isinstance(value, Real) and value != value
    return value is None or bool(is_nan) or type(value).__name__ in ("NAType", "NaTType")


# -- what is wrong with a table -------------------------------------------------------------------


def check_dense(X: Any, name: str) -> None:
    """Raise TypeError for a sparse array or tensor, or a table that is yet to be read."""
    if hasattr(X, "collect_schema") and hasattr(X, "collect"):
        raise TypeError(
            f"{name} must hold its rows; got a {type(X).__name__}. Use {name}.collect()."
        )
    if issparse(X) or (isinstance(X, Tensor) and X.layout is not torch.strided):
        way = "to_dense" if isinstance(X, Tensor) else "toarray"
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required. Make it dense where "
            "it is made, as by OneHotEncoder(sparse_output=False), or put TruncatedSVD before the "
            f"net; of sparse data itself {name}.{way}() is dense."
        )


def check_unmasked(values: Any, name: str) -> None:
    """Raise ValueError for an array with masked entries: NumPy would take what is below them."""
    if np.ma.is_masked(values):
        raise ValueError(
            f"{name} has masked entries, which count as missing. Fill them, as by filled(), or "
            "leave these rows out."
        )


def check_table(X: Any) -> Any:
    """Check that X is a table, a row for each sample; make an array of what is no frame."""
    check_dense(X, "X")
    check_unmasked(X, "X")
    if is_frame(X):
        if 0 in X.shape:
            raise ValueError(
                f"X must have a row and a column at least; got a table of {X.shape[0]} row(s) and "
                f"{X.shape[1]} column(s)."
            )
        return X
    if isinstance(X, Tensor):
        X = X.detach().cpu().numpy()
    if isinstance(X, list | tuple) and np.asarray(X).dtype.kind in "US":
        X = np.asarray(X, dtype=object)  # or numbers beside words would be words
    return check_array(X, dtype=None, ensure_all_finite=False)


@contextmanager
def explain_table(X: Any, advice: str | None = None) -> Iterator[None]:
    """Say of a table that is refused which columns a net cannot take, and what would help."""
    try:
        check_dense(X, "X")
        check_unmasked(X, "X")
        if any(_DATES.search(str(dtype)) for dtype in _dtypes_of(X)):
            raise ValueError("X must hold numbers; got dates or times, whose unit is arbitrary.")
        yield
    except (TypeError, ValueError) as error:
        told = str(error).partition("\n")[0]
        if not re.search("NaN|infin|convert|cast|numeric|number", told):
            raise
        faults: dict[str, list[Any]] = {}
        for name, column in columns_of(X):
            if (fault := find_fault(column)) is not None:
                faults.setdefault(fault, []).append(name)
        if not faults:
            raise
        remedy = _list_remedies(faults) if advice is None else advice
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{told.rstrip('.')}. {_list_faults(faults)} {remedy}") from error


def _list_faults(faults: Mapping[str, list[Any]]) -> str:
    """Name the columns that a net cannot take."""
    shown = [
        f"{fault} in {', '.join(map(repr, names[:_SHOWN]))}"
        + (f" and {n_more} more" if (n_more := len(names) - _SHOWN) > 0 else "")
        for fault, names in faults.items()
    ]
    return f"Columns of X have {'; '.join(shown)}."


def _list_remedies(faults: Mapping[str, list[Any]]) -> str:
    """Tell what to put before the net."""
    remedies = ", ".join(f"{_REMEDIES[fault]} for {fault}" for fault in faults)
    return (
        f"Put before the net, in a Pipeline: {remedies}. Or take TabularMixupClassifier, "
        "TabularMixupRegressor or skrub.tabular_pipeline(MixupClassifier()), which take tables as "
        "they come."
    )


def _dtypes_of(X: Any) -> set[Any]:
    """List the kinds of the columns of a table, as its package calls them."""
    if not is_frame(X):
        return {X.dtype} if isinstance(X, np.ndarray) else set()
    dtypes = X.schema.types if hasattr(X, "column_names") else getattr(X, "dtypes", ())
    return {*dtypes}


def columns_of(X: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """Go through the columns of a frame by name, of a list or array of rows by number."""
    if not is_frame(X):
        X = X if isinstance(X, np.ndarray) else np.asarray(X, dtype=object)
    if len(X.shape) != 2:
        return
    names = names_of(X) if is_frame(X) else range(X.shape[1])
    for i, name in enumerate(names):
        yield name, np.asarray(take_columns(X, np.array([i]))).ravel()


def find_fault(column: np.ndarray) -> str | None:
    """Tell why a net cannot take a column."""
    if column.dtype.kind in "mM":
        return "dates"
    known = column
    if column.dtype.kind not in "fiub":
        known = np.array([value for value in column if not is_missing(value)])
        if any(isinstance(v, datetime.date | datetime.time | datetime.timedelta) for v in known):
            return "dates"
    try:
        numbers = known.astype(np.float64)
    except (TypeError, ValueError):
        return "words"
    if len(known) < len(column) or np.isnan(numbers).any():
        return "missing values"
    return "infinite values" if np.isinf(numbers).any() else None
