"""The columns of a table that are mixed, as numbers and back, whatever the table is kept in."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from sklearn_mixup._net.tables import check_table, is_frame, is_missing, names_of, take

# Dates that are all whole days, hours, minutes or seconds stay so; in seconds, the longest first.
_ROUND_TIMES = (86_400, 3_600, 60, 1)
# What NumPy and polars call the units of time, and how many of them a second has.
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_OF_DATES = {datetime.date: "M8[D]", datetime.datetime: "M8[us]"}


@dataclass
class Column:
    """A column of numbers, dates or times: what is between two of its values is one as well."""

    place: int
    #: float64, int64 or uint64, shape (n_rows,); no matter what where there is a gap.
    values: np.ndarray
    known: np.ndarray
    #: Mixtures are multiples of it; 0 where any number will do.
    step: int
    #: What `values` are codes of, for NumPy: dates as whole numbers since 1970.
    dtype: Any

    def mix(self, rows: np.ndarray, partner: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Mix values of two rows each, in the dtype of NumPy that they stand for."""
        mix = _mix_floats if self.values.dtype.kind == "f" else _mix_whole
        mixed = mix(self.values[rows], self.values[partner], weight, self.step)
        return mixed.view(self.dtype) if np.dtype(self.dtype).kind in "mM" else mixed


def read_table(estimator: Any, X: Any, *, reset: bool) -> Any:
    """Check a table whose columns are of any kind; note, or compare, how they are called."""
    packages = [kind.__module__.partition(".")[0] for kind in type(X).__mro__]
    if is_frame(X) and not {"pandas", "polars"} & {*packages}:
        raise TypeError(
            f"X must be a DataFrame of pandas or polars, or an array; got a "
            f"{type(X).__name__} of {packages[0]}. Use X.to_pandas()."
        )
    table = check_table(X)
    validate_data(estimator, X if is_frame(X) else table, reset=reset, skip_check_array=True)
    return table


def read_columns(X: Any) -> list[Column]:
    """Find the columns of a table that can be mixed; the others hold words of some kind."""
    names = names_of(X) if is_frame(X) else list(range(X.shape[1]))
    columns = [read_column(X, place, name) for place, name in enumerate(names)]
    return [column for column in columns if column is not None]


def read_column(X: Any, place: int, name: Any) -> Column | None:
    """Read a column of numbers, dates or times; None for one of words, or of gaps alone."""
    found = _read(X, place)
    if found is None:
        return None
    values, known, unit = found
    if values.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: column {name!r} of X is complex.")
    if values.dtype.kind in "mM":
        dtype, unit = values.dtype, unit or _units_per_second(values.dtype)
        values = values.view(np.int64)
    else:
        kind = values.dtype.kind
        dtype = np.dtype({"f": np.float64, "i": np.int64, "u": np.uint64}[kind])
        values = values.astype(dtype)
        known = known & ~np.isnan(values)
    if values.dtype.kind == "f" and np.isinf(values[known]).any():
        raise ValueError(
            f"X contains infinity in column {name!r}, between which and a number nothing lies. "
            "Bound it, or make it a gap."
        )
    if not known.any():
        return None
    return Column(place, values, known, _find_step(values[known], unit), dtype)


def mix_rows(
    X: Any, columns: Sequence[Column], rows: np.ndarray, partner: np.ndarray, weight: np.ndarray
) -> Any:
    """Make a table of rows that are moved toward their partners, as ``weight`` of `rows` says.

    Words and gaps are those of `rows`. What is not moved is the value itself, to the bit.
    """
    made = take_anew(X, rows)
    for column in columns:
        moved = (weight < 1) & column.known[rows] & column.known[partner]
        if moved.any():
            values = column.mix(rows[moved], partner[moved], weight[moved])
            made = write(made, column.place, np.flatnonzero(moved), values)
    return made


def read_words(X: Any, columns: Sequence[Column]) -> Iterator[np.ndarray]:
    """Give each column that is not mixed as codes: equal ones for equal words, shape (n_rows,)."""
    mixed = {column.place for column in columns}
    for place in range(X.shape[1]):
        if place not in mixed:
            codes: dict[Any, int] = {}
            yield np.array([codes.setdefault(key, len(codes)) for key in read_keys(X, place)])


def read_keys(X: Any, place: int) -> list[Any]:
    """List what stands in a column, so that equal things have equal hashes and a gap is None."""
    values = _objects(X, place)
    # What is unlike all else, as NaN is unlike NaN, is one gap here.
    keys = [None if is_missing(value) else value for value in values]
    try:
        hash(tuple(keys))
    except TypeError:  # lists and the like
        return [repr(value) for value in values]
    return keys


# -- the mathematics ------------------------------------------------------------------------------


def _mix_floats(own: np.ndarray, other: np.ndarray, weight: np.ndarray, step: int) -> np.ndarray:
    """Move floats toward others; whatever is rounded, between the two."""
    mixed = weight * own + (1 - weight) * other
    if step:
        mixed = np.rint(mixed)
    return np.clip(mixed, np.minimum(own, other), np.maximum(own, other))


def _mix_whole(own: np.ndarray, other: np.ndarray, weight: np.ndarray, step: int) -> np.ndarray:
    """Move whole numbers by whole steps toward others, exactly however large they are.

    From the nearer one: half a step from both is then as often one as the other.
    """
    is_nearer = weight >= 0.5
    near, far = np.where(is_nearer, own, other), np.where(is_nearer, other, own)
    share = np.where(is_nearer, 1 - weight, weight)
    # Unsigned numbers wrap around, so that a difference is right even where it is beyond int64.
    start, stop = near.view(np.uint64), far.view(np.uint64)
    is_below = near < far
    span = np.where(is_below, stop - start, start - stop)
    moved = np.rint(share * (span / step)).astype(np.uint64) * np.uint64(step)
    return np.where(is_below, start + moved, start - moved).view(own.dtype)


def _find_step(values: np.ndarray, per_second: int | None) -> int:
    """Find what mixtures have to be multiples of, as all values are: 1 for whole numbers."""
    if values.dtype.kind == "f":
        return int((values == np.rint(values)).all())
    if per_second is not None:
        for seconds in _ROUND_TIMES:
            if per_second * seconds >= 1 and (values % int(per_second * seconds) == 0).all():
                return int(per_second * seconds)
    return 1


def _units_per_second(dtype: Any) -> int | None:
    """Tell how many units of a dtype of NumPy a second has; None for days and longer."""
    unit, n_units = np.datetime_data(dtype)
    return _PER_SECOND.get(unit) if n_units == 1 else None


# -- the packages ---------------------------------------------------------------------------------


def is_polars(X: Any) -> bool:
    """Whether a frame or series is of polars; those of pandas are the others."""
    return any(kind.__module__.startswith("polars") for kind in type(X).__mro__)


def take_anew(X: Any, rows: np.ndarray) -> Any:
    """Take rows of an array, frame or series, and count them from 0."""
    made = take(X, rows)
    return made.reset_index(drop=True) if hasattr(made, "reset_index") else made


def join_columns(columns: Sequence[Any]) -> Any:
    """Put tables of a column each, all of one kind, side by side."""
    if not is_frame(columns[0]):
        return np.concatenate(columns, axis=1)
    if is_polars(columns[0]):
        import polars as pl

        return pl.DataFrame([column.to_series() for column in columns])
    import pandas as pd

    return pd.concat(columns, axis=1)


def _objects(X: Any, place: int) -> list[Any]:
    """List the values of a column."""
    if not is_frame(X):
        return X[:, place].tolist()
    return (X.to_series(place) if is_polars(X) else X.iloc[:, place]).to_list()


def _read(X: Any, place: int) -> tuple[np.ndarray, np.ndarray, int | None] | None:
    """Read a column as an array, which of it is known, and what a second is; None for words."""
    if not is_frame(X):
        found = _read_array(X[:, place])
        return None if found is None else (*found, None)
    if is_polars(X):
        return _read_polars(X.to_series(place))
    found = _read_pandas(X.iloc[:, place])
    return None if found is None else (*found, None)


def _read_array(values: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Read an array of one kind, or of objects that are all numbers or all dates."""
    if values.dtype.kind == "O":
        known = np.array([not is_missing(value) for value in values])
        return _read_objects(values, known)
    if values.dtype.kind not in "fiumMc":
        return None
    is_gap = np.isnat(values) if values.dtype.kind in "mM" else values != values
    return values, ~is_gap


def _read_objects(values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Read Python's own numbers, dates or times."""
    kinds = {type(value) for value in values[known]}
    if not kinds:
        return None
    if len(kinds) == 1 and (code := _OF_DATES.get(next(iter(kinds)))):
        if any(getattr(value, "tzinfo", None) is not None for value in values[known]):
            return None  # of what place each is, only the value itself tells
        read = np.zeros(len(values), dtype=code)
    elif all(issubclass(kind, Integral) and not _is_boolean(kind) for kind in kinds):
        if not all(-(2**63) <= value < 2**63 for value in values[known]):
            return None  # identifiers, rather than numbers
        read = np.zeros(len(values), dtype=np.int64)
    elif all(issubclass(kind, Real) and not _is_boolean(kind) for kind in kinds):
        read = np.full(len(values), np.nan)
    else:
        return None
    read[known] = values[known].astype(read.dtype)
    return read, known


def _is_boolean(kind: type) -> bool:
    return issubclass(kind, bool | np.bool_)


def _read_pandas(column: Any) -> tuple[np.ndarray, np.ndarray] | None:
    """Read a column of pandas, of any of its kinds of numbers and dates."""
    dtype = column.dtype
    known = ~column.isna().to_numpy(dtype=bool)
    if hasattr(dtype, "subtype") and dtype.kind != "O":
        raise TypeError(
            f"Sparse data was passed for column {column.name!r} of X, but dense data is required. "
            "Use X.sparse.to_dense()."
        )
    if dtype.kind == "O" and isinstance(dtype, np.dtype):
        return _read_objects(column.to_numpy(), known)
    if dtype.kind not in "fiumMc":
        return None
    if dtype.kind in "mM":
        return _as_naive(column).to_numpy(), known
    if isinstance(dtype, np.dtype):
        return column.to_numpy(), known
    gap: Any = np.nan if dtype.kind == "f" else 0
    whole = np.uint64 if dtype.kind == "u" else np.int64
    return column.to_numpy(np.float64 if dtype.kind == "f" else whole, na_value=gap), known


def _as_naive(column: Any) -> Any:
    """Give dates of a place as those of Greenwich, and those of pyarrow as NumPy's."""
    dtype = column.dtype
    if hasattr(dtype, "pyarrow_dtype"):
        zone = getattr(dtype.pyarrow_dtype, "tz", None)
        unit = getattr(dtype.pyarrow_dtype, "unit", "s")  # days have none
        name = f"datetime64[{unit}, {zone}]" if zone else f"{dtype.kind}8[{unit}]"
        column = column.astype(name)
    zone = getattr(column.dtype, "tz", None)
    return column if zone is None else column.dt.tz_convert("UTC").dt.tz_localize(None)


def _read_polars(column: Any) -> tuple[np.ndarray, np.ndarray, int | None] | None:
    """Read a column of polars; its dates are whole numbers of its own unit."""
    import polars as pl

    dtype = column.dtype
    known = column.is_not_null().to_numpy()
    unit = None
    if dtype.is_temporal():
        if dtype != pl.Date:
            unit = _PER_SECOND[getattr(dtype, "time_unit", None) or "ns"]
        column = column.to_physical()
    elif not dtype.is_numeric():
        return None
    if column.dtype.is_integer():
        whole = pl.UInt64 if column.dtype.is_unsigned_integer() else pl.Int64
        numbers = column.cast(whole, strict=False)
        if numbers.null_count() > column.null_count():
            return None  # identifiers, rather than numbers
        return numbers.fill_null(0).to_numpy(), known, unit
    return column.cast(pl.Float64).to_numpy(), known, None


def write(X: Any, place: int, rows: np.ndarray, values: np.ndarray) -> Any:
    """Write values into some rows of a column of a table that is ours, and keep its dtype."""
    if not is_frame(X):
        X[rows, place] = values.astype(object) if X.dtype.kind == "O" else values
        return X
    if is_polars(X):
        import polars as pl

        column = X.to_series(place)
        is_new = np.zeros(len(column), dtype=bool)
        is_new[rows] = True
        full = np.zeros(len(column), dtype=values.dtype)
        full[rows] = values
        new = pl.Series(column.name, full).cast(column.dtype)
        return X.with_columns(new.zip_with(pl.Series(is_new), column))
    column = X.iloc[:, place].copy()
    # Told that they are objects, pandas leaves days and times what they are.
    is_objects = column.dtype == object
    new = type(column)(values.astype(object), dtype=object) if is_objects else type(column)(values)
    zone = getattr(column.dtype, "tz", None) or getattr(
        getattr(column.dtype, "pyarrow_dtype", None), "tz", None
    )
    if zone is not None:
        new = new.dt.tz_localize("UTC").dt.tz_convert(zone)
    column.iloc[rows] = new.astype(column.dtype).array
    X.isetitem(place, column)
    return X
