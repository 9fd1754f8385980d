"""Tables as rows of numbers that a GAN learns from, and its samples as tables again."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from sklearn_mixup._net.classes import list_some
from sklearn_mixup._net.columns import (
    Column,
    is_polars,
    join_columns,
    read_column,
    read_keys,
    take_anew,
    write,
)
from sklearn_mixup._net.tables import is_frame, names_of, take_columns

# A column of more different words than that is text or names.
_MOST_WORDS = 1000
# Numbers of so few values are told value by value, as words are.
_FEW_NUMBERS = 10
# Values of a column of numbers that its distribution is told by, besides those that repeat.
_MOST_KNOTS = 1000


class TableCodec:
    """What turns a table into rows of numbers of about the same size, and such rows into a table.

    The columns of a row are numbers first, then blocks of zeros and a one. Numbers and dates are
    ranked, and the ranks told as those of a normal distribution: what is heavy-tailed or stands in
    one value is told as well as what is not. Words, booleans, categories, gaps, and numbers of few
    values have a block each. What is constant has no column, and comes back as it was.

    Parameters
    ----------
    X : DataFrame of pandas or polars, or ndarray of shape (n_rows, n_columns)
        The table to learn from, checked.

    Attributes
    ----------
    width : int
        Numbers in a row.
    n_numbers : int
        How many of them come first and are not of a block.
    blocks : list of (int, int)
        Where each block starts and stops.
    gates : list of int
        For each of the numbers, the column that is 0 where there is none, as at a gap; -1 where
        there always is one.
    """

    def __init__(self, X: Any) -> None:
        names = names_of(X) if is_frame(X) else list(range(X.shape[1]))
        self._columns: list[_Words | _Numbers] = []
        for place, name in enumerate(names):
            only, read = take_columns(X, np.array([place])), read_column(X, place, name)
            self._columns.append(_Words(only, name) if read is None else _Numbers(only, name, read))
        self.n_numbers = sum(column.has_number for column in self._columns)
        self.blocks: list[tuple[int, int]] = []
        self.gates: list[int] = []
        self.width = self.n_numbers
        for column in self._columns:
            if column.n_codes > 1:
                self.blocks.append((self.width, self.width + column.n_codes))
                self.width += column.n_codes
            if column.has_number:
                self.gates.append(self.blocks[-1][0] if column.n_codes > 1 else -1)

    def encode(self, X: Any, rng: np.random.RandomState | None = None) -> np.ndarray:
        """Make rows of a table, float32 of shape (n_rows, width).

        With `rng` equal numbers are spread over the ranks that they share, so that a net need not
        learn that they are equal; without it all are in the middle of these.
        """
        rows = np.zeros((X.shape[0], self.width), dtype=np.float32)
        n_told, start = 0, self.n_numbers
        for place, column in enumerate(self._columns):
            numbers, codes = column.encode(take_columns(X, np.array([place])), rng)
            if column.has_number:
                rows[:, n_told] = numbers
                n_told += 1
            if column.n_codes > 1:
                rows[np.arange(len(rows)), start + codes] = 1
                start += column.n_codes
        return rows

    def decode(self, rows: np.ndarray) -> Any:
        """Make a table of rows, of the kinds of the one that was learned from."""
        columns: list[Any] = []
        n_told, start = 0, self.n_numbers
        for column in self._columns:
            numbers = rows[:, n_told].astype(np.float64) if column.has_number else None
            codes = np.zeros(len(rows), dtype=int)
            if column.n_codes > 1:
                codes = rows[:, start : start + column.n_codes].argmax(axis=1)
                start += column.n_codes
            n_told += column.has_number
            columns.append(column.decode(numbers, codes))
        return join_columns(columns)


class _Words:
    """A column of words, categories, booleans or gaps: each has a code.

    It is handed tables of that column alone.
    """

    has_number = False

    def __init__(self, X: Any, name: Any) -> None:
        self.name = name
        first: dict[Any, int] = {}
        for row, key in enumerate(read_keys(X, 0)):
            first.setdefault(key, row)
        if len(first) > _MOST_WORDS:
            raise ValueError(
                f"A column of words must have at most {_MOST_WORDS} different ones to be made up; "
                f"got {len(first)} in column {name!r} of X. Group the rare ones, or drop the "
                "column if it holds text, names or identifiers."
            )
        self.codes = {key: code for code, key in enumerate(first)}
        self.values = take_anew(X, np.array([*first.values()]))
        self.n_codes = len(first)

    def encode(self, X: Any, rng: Any) -> tuple[None, np.ndarray]:
        """Look up the code of each value."""
        codes = [self.codes.get(key, -1) for key in read_keys(X, 0)]
        if -1 in codes:
            raise _unseen(self.name, read_keys(X, 0)[codes.index(-1)], list_some(self.codes))
        return None, np.array(codes)

    def decode(self, told: np.ndarray | None, codes: np.ndarray) -> Any:
        """Take the value of each code."""
        return take_anew(self.values, codes)


class _Numbers:
    """A column of numbers, dates or times.

    The first code, if there are codes, is that of a number among many; or else each value has one.
    The last is that of a gap. It is handed tables of that column alone.
    """

    def __init__(self, X: Any, name: Any, column: Column) -> None:
        self.name, self.dtype, self.step = name, column.dtype, column.step
        known = column.known
        self.has_gaps = not known.all()
        values = column.values[known]
        self.least, self.most = values.min(), values.max()
        distinct, counts = np.unique(self._count(values), return_counts=True)
        if distinct[-1] / 2 - distinct[0] / 2 > np.finfo(np.float64).max / 2:
            raise ValueError(
                f"Numbers of a column must span no more than a float holds; got {self.least} to "
                f"{self.most} in column {name!r} of X. Rescale it."
            )
        n_values = len(np.unique(values))
        if 2 * len(distinct) < n_values:  # Floats count far from zero in steps of thousands.
            raise ValueError(
                f"Whole numbers of a column must be near enough to be told apart as floats; got "
                f"{self.least} to {self.most} in column {name!r} of X, of which {n_values} would "
                f"be {len(distinct)}. Make a gap of a number that stands for one."
            )
        is_few = len(distinct) <= max(min(_FEW_NUMBERS, len(values) // 10), 1)
        self.few = distinct if is_few else distinct[:0]
        self.has_number = not is_few
        self.n_codes = (len(distinct) if is_few else 1) + self.has_gaps
        self.ranks = None if is_few else _Ranks(distinct, counts)
        first = [known.argmax(), known.argmin()] if self.has_gaps else [0]
        self.like = take_anew(X, np.array(first))
        self.kind = _kind_of(X, column)

    def encode(
        self, X: Any, rng: np.random.RandomState | None
    ) -> tuple[np.ndarray | None, np.ndarray]:
        """Tell the rank of each number, if they are many, and its code."""
        values, known = self._read(X)
        if not (self.has_gaps or known.all()):
            raise _unseen(self.name, None, "numbers and no gap")
        codes = np.full(len(known), self.n_codes - self.has_gaps)
        numbers = self._count(values[known])
        if self.ranks is None:
            codes[known] = np.abs(numbers[:, None] - self.few).argmin(axis=1)  # the nearest
            return None, codes
        codes[known] = 0
        told = np.zeros(len(known))
        told[known] = self.ranks.encode(numbers, rng)
        return told, codes

    def decode(self, told: np.ndarray | None, codes: np.ndarray) -> Any:
        """Make numbers of ranks and codes, whole if all were, and within bounds."""
        known = codes < self.n_codes - self.has_gaps
        if self.ranks is None or told is None:
            numbers = self.few[codes[known]]
        else:
            numbers = self.ranks.decode(told[known])
        made = take_anew(self.like, (~known).astype(int))
        return write(made, 0, np.flatnonzero(known), self._value(numbers))

    def _read(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Read a column as the one that was learned from, and which of it is known."""
        column = read_column(X, 0, self.name)
        if column is None:
            if any(key is not None for key in read_keys(X, 0)):
                raise _other_kind(self.name, self.kind, X)
            return np.zeros(X.shape[0], self.least.dtype), np.zeros(X.shape[0], dtype=bool)
        if _kind_of(X, column) != self.kind:
            raise _other_kind(self.name, self.kind, X)
        if self.kind == "numbers":
            return column.values, column.known
        if is_polars(X) != is_polars(self.like):
            raise TypeError(
                f"Column {self.name!r} of X holds {self.kind}: give it in a table of the package "
                f"that the GAN was fitted to, {'polars' if is_polars(self.like) else 'pandas'}."
            )
        if is_polars(X):
            X = X.with_columns(X.to_series().cast(self.like.to_series().dtype))
            column = read_column(X, 0, self.name) or column
            return column.values, column.known
        # Of another unit, such as milliseconds.
        return column.values.view(column.dtype).astype(self.dtype).view(np.int64), column.known

    def _count(self, values: np.ndarray) -> np.ndarray:
        """Count whole numbers from the least one on: as floats they keep more digits."""
        least = self.least
        if least.dtype.kind == "f":
            return values.astype(np.float64)
        if values.dtype != least.dtype:
            return values.astype(np.float64) - float(least)
        # Unsigned numbers wrap around, so that a difference is right even where it is beyond int64.
        start, stop = np.array([least]).view(np.uint64), values.view(np.uint64)
        is_below = values < least
        span = np.where(is_below, start - stop, stop - start).astype(np.float64)
        return np.where(is_below, -span, span)

    def _value(self, numbers: np.ndarray) -> np.ndarray:
        """Make values, in the dtype of NumPy that they stand for, of what `_count` makes."""
        if self.step:
            numbers = np.rint(numbers / self.step) * self.step
        if self.least.dtype.kind == "f":
            return np.clip(numbers, self.least, self.most)
        # Arrays wrap around, where single numbers would warn.
        ends = np.array([self.least, self.most]).view(np.uint64)
        span = np.diff(ends)
        # As a float the span may be 2**64, which no whole number of 64 bits is.
        is_last = numbers >= span.astype(np.float64)
        steps = np.where(is_last, span, np.where(is_last, 0, numbers).astype(np.uint64))
        values = (ends[:1] + steps).view(self.least.dtype)
        return values.view(self.dtype) if np.dtype(self.dtype).kind in "mM" else values


class _Ranks:
    """The ranks of numbers, told as numbers of which as many lie below in a normal distribution.

    Parameters
    ----------
    distinct : ndarray of shape (n_distinct,)
        The numbers that there are, ascending.
    counts : ndarray of shape (n_distinct,)
        How often each is there.
    """

    def __init__(self, distinct: np.ndarray, counts: np.ndarray) -> None:
        below = np.cumsum(counts)
        n_rows = below[-1]
        kept = np.arange(len(distinct))
        if len(distinct) > _MOST_KNOTS:
            even = np.searchsorted(below, np.linspace(1, n_rows, _MOST_KNOTS))
            kept = np.union1d(even, np.flatnonzero(counts > n_rows / _MOST_KNOTS))
        self.values = distinct[kept]
        #: The lowest and the highest rank of each, in (0, 1).
        self.low = (below - counts + 0.5)[kept] / n_rows
        self.high = (below - 0.5)[kept] / n_rows

    def encode(self, numbers: np.ndarray, rng: np.random.RandomState | None) -> np.ndarray:
        """Tell the rank of each number."""
        share = 0.5 if rng is None else rng.random_sample(len(numbers))
        after = np.searchsorted(self.values, numbers).clip(max=len(self.values) - 1)
        at = self.low[after] + share * (self.high - self.low)[after]
        ends = np.stack([self.low, self.high], axis=1).ravel()
        # Of what is not there, between those of its neighbours.
        between = np.interp(numbers, np.repeat(self.values, 2), ends)
        return ndtri(np.where(self.values[after] == numbers, at, between))

    def decode(self, told: np.ndarray) -> np.ndarray:
        """Make numbers of ranks; what is beyond the first or last is that one."""
        ends = np.stack([self.low, self.high], axis=1).ravel()
        return np.interp(ndtr(told), ends, np.repeat(self.values, 2))


def _kind_of(X: Any, column: Column) -> str:
    """Tell what a column holds, of a table of that column alone."""
    if is_polars(X):
        kind = type(X.to_series().dtype).__name__
        return {"Date": "dates", "Datetime": "dates", "Duration": "spans", "Time": "times"}.get(
            kind, "numbers"
        )
    return {"M": "dates", "m": "spans"}.get(np.dtype(column.dtype).kind, "numbers")


def _other_kind(name: Any, kind: str, X: Any) -> ValueError:
    """Make the error of a column of another kind."""
    got = next(key for key in read_keys(X, 0) if key is not None)
    return ValueError(
        f"Column {name!r} of X held {kind} when the GAN was fitted; got {got!r}. Give it the same "
        "kind."
    )


def _unseen(name: Any, value: Any, known: str) -> ValueError:
    """Make the error of a value that no column of a row stands for."""
    got = "a gap" if value is None else repr(value)
    return ValueError(
        f"Column {name!r} of X must hold what it held when the GAN was fitted: {known}; got {got}. "
        "Leave such rows out, or fit to rows that hold all there is."
    )
