"""Tables of words, dates, gaps and numbers of any size, turned into what a net takes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.preprocessing import OneHotEncoder

from sklearn_mixup._net.tables import is_frame, names_of

# Whole numbers of so few values may be codes: each gets a column too, beside the number.
_FEW_NUMBERS = 10
# Where more columns than that are of few values, a table is wide enough as it is.
_MOST_CODES = 100
# What scaled numbers are bounded by, as skrub.tabular_pipeline has it for nets.
_BOUND = 5
# The square of a number beyond that, in units of what is typical of its column, is infinite.
HUGE = 1e50
# What pandas calls columns of Python's own numbers.
_NUMBERS = {"integer", "floating", "mixed-integer-float", "boolean", "decimal"}


def import_skrub() -> Any:
    """Import skrub, or say how to get it."""
    try:
        import skrub
    except ImportError as error:
        raise ImportError(
            "Tables are encoded by skrub 0.6 or later, which could not be imported: "
            f"{error}. It comes with the extra `tables` of sklearn-mixup, or by `pip install "
            "skrub`."
        ) from error
    return skrub


class TableEncoder:
    """Numbers of about the same size for each row of a table, found from the table alone.

    - Numbers are scaled by their quantiles and bounded (skrub's ``SquashingScaler``). A gap becomes
      the median; a column tells of the gaps, if there were any when the encoder was fitted. Whole
      numbers of few values get a column for each value as well, if few columns are of that kind.
    - Words of few values get a column for each; those of many are told by their n-grams of
      characters (``StringEncoder``), dates by their parts (``DatetimeEncoder``).
    - What does not vary, or says the same as another column, is left out.

    Parameters
    ----------
    random_state : int
        Seed of what is random in the encoding of words.
    """

    def __init__(self, random_state: int) -> None:
        self.random_state = random_state

    def fit_transform(self, X: Any) -> np.ndarray:
        """Learn how to encode a table, and encode it as float32, shape (n_rows, n_encoded)."""
        skrub = import_skrub()
        self.vectorizer: Any = None
        self.names = names_of(X) if is_frame(X) else list(range(X.shape[1]))
        blocks = []
        if _is_numeric(X):
            self.is_number = np.ones(X.shape[1], dtype=bool)
            numbers = X.astype(np.float64)
        else:
            frame = _as_pandas(X)
            self.is_number = np.array([_is_number(frame[name]) for name in frame])
            numbers = self._read_numbers(frame)
            if not self.is_number.all():
                self.vectorizer = _make_vectorizer(skrub, self.random_state)
                self.dates: list[str] = []
                found = self._encode_words(frame, self.vectorizer.fit_transform)
                kinds = self.vectorizer.kind_to_columns_
                self.dates = kinds["datetime"]
                outputs = self.vectorizer.input_to_outputs_
                classes = {name for word in kinds["low_cardinality"] for name in outputs[word]}
                self.is_class = np.array([name in classes for name in found], dtype=bool)
                blocks.append(found.loc[:, self.is_class].to_numpy(np.float32))
                numbers = np.hstack([numbers, found.loc[:, ~self.is_class].to_numpy(np.float64)])
        rows = np.hstack([*blocks, *self._fit_numbers(skrub, numbers)]).astype(np.float32)
        self.kept = _find_telling(rows)
        if not len(self.kept):
            raise ValueError(
                "X must have a column that varies from row to row; all of its "
                f"{len(self.is_number)} columns are constant or empty in n_samples={len(rows)}."
            )
        return np.ascontiguousarray(rows[:, self.kept])

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table of the same columns, as float32 of shape (n_rows, n_encoded)."""
        blocks = []
        if self.vectorizer is None and _is_numeric(X):
            numbers = X.astype(np.float64)
        else:
            frame = _as_pandas(X)
            numbers = self._read_numbers(frame)
            if self.vectorizer is not None:
                found = self._encode_words(frame, self.vectorizer.transform)
                blocks.append(found.loc[:, self.is_class].to_numpy(np.float32))
                numbers = np.hstack([numbers, found.loc[:, ~self.is_class].to_numpy(np.float64)])
        rows = np.hstack([*blocks, *self._scale_numbers(numbers)]).astype(np.float32)
        return np.ascontiguousarray(rows[:, self.kept])

    # -- words and dates --------------------------------------------------------------------

    def _encode_words(self, frame: Any, encode: Any) -> Any:
        """Let skrub encode what is no number."""
        words = frame.loc[:, ~self.is_number]
        for name in self.dates:
            if _is_number(words[name]):
                raise ValueError(
                    f"Column {self._tell(name)} of X held dates when the estimator was fitted; "
                    f"got {words[name].dropna().iloc[0]!r}. Give it dates."
                )
        with warnings.catch_warnings():
            # Of formats that differ, of few words for many components: all of it is right here.
            warnings.simplefilter("ignore")
            return encode(words)

    def _tell(self, name: str) -> str:
        """Name a column as the user does."""
        return repr(self.names[int(name)])

    # -- numbers ----------------------------------------------------------------------------

    def _read_numbers(self, frame: Any) -> np.ndarray:
        """Read the columns of numbers as float64, gaps as NaN."""
        import pandas as pd

        columns = [np.empty((len(frame), 0))]
        for name in frame.columns[self.is_number]:
            column = frame[name]
            if column.dtype.kind == "m":
                column = column.dt.total_seconds()
            try:
                numbers = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Column {self._tell(name)} of X held numbers when the estimator was fitted; "
                    f"{error}. Give it numbers, or None where there is none."
                ) from error
            columns.append(numbers[:, None])
        return np.hstack(columns)

    def _fit_numbers(self, skrub: Any, numbers: np.ndarray) -> list[np.ndarray]:
        """Learn how to scale numbers, and which columns have gaps or few values."""
        self.usable = np.flatnonzero(np.isfinite(numbers).any(axis=0))
        self.gaps = np.flatnonzero(np.isnan(numbers).any(axis=0))
        self.few = [
            (j, values)
            for j in self.usable
            if 2 < len(values := _find_few(numbers[:, j])) <= min(_FEW_NUMBERS, len(numbers) // 10)
        ]
        if len(self.few) > _MOST_CODES:
            self.few = []
        used = np.where(np.isfinite(numbers) & (numbers != 0), np.abs(numbers), np.nan)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a column of zeros alone
            typical = np.nanmedian(used, axis=0)
        self.typical = np.where(np.isfinite(typical), typical, 1.0)
        self.scaler = None
        if len(self.usable):
            self.scaler = skrub.SquashingScaler(max_absolute_value=_BOUND)
            self.scaler.fit(self._bound(numbers))
        return self._scale_numbers(numbers)

    def _scale_numbers(self, numbers: np.ndarray) -> list[np.ndarray]:
        """Scale numbers, fill gaps and tell of them, and give each of few values a column."""
        if self.scaler is None:
            return [numbers[:, :0]]
        scaled = np.nan_to_num(self.scaler.transform(self._bound(numbers)), copy=False)
        few = [numbers[:, j, None] == values for j, values in self.few]
        return [scaled, np.isnan(numbers[:, self.gaps]), *few]

    def _bound(self, numbers: np.ndarray) -> np.ndarray:
        """Bring numbers to the size of one, and what is too large for squares to what is not."""
        with np.errstate(over="ignore"):
            return np.clip(numbers[:, self.usable] / self.typical[self.usable], -HUGE, HUGE)


def _is_numeric(X: Any) -> bool:
    """Whether X is an array of numbers."""
    return isinstance(X, np.ndarray) and X.dtype.kind in "fiub"


def _as_pandas(X: Any) -> Any:
    """Make a DataFrame whose columns are named "0", "1", ..., and its rows 0, 1, ..."""
    import pandas as pd
    from pandas.api.types import infer_dtype

    if not is_frame(X):
        frame = pd.DataFrame(X).infer_objects()
    elif type(X).__module__.startswith("polars"):  # whose own way needs pyarrow
        frame = pd.DataFrame({i: X.to_series(i).to_numpy() for i in range(X.shape[1])})
    else:
        frame = X.to_pandas() if hasattr(X, "to_pandas") else X
    frame = frame.set_axis([str(i) for i in range(X.shape[1])], axis=1).reset_index(drop=True)
    for name in frame:
        # Python's days are dates to polars and pyarrow, and to skrub from 0.7 on.
        if frame[name].dtype.kind == "O" and infer_dtype(frame[name], skipna=True) == "date":
            frame = frame.assign(**{name: pd.to_datetime(frame[name], errors="coerce")})
    return frame


def _is_number(column: Any) -> bool:
    """Whether a column of a DataFrame holds numbers or spans of time, and not only gaps."""
    from pandas.api.types import infer_dtype

    kind = column.dtype.kind if column.dtype.kind != "O" else infer_dtype(column, skipna=True)
    if kind == "c":
        raise ValueError("Complex data not supported: X has a column of complex numbers.")
    return (kind in _NUMBERS or kind in "fiubm") and not column.isna().all()


def _make_vectorizer(skrub: Any, random_state: int) -> Any:
    """Make what encodes columns of words and dates."""
    return skrub.TableVectorizer(
        low_cardinality=OneHotEncoder(
            sparse_output=False, dtype=np.float32, handle_unknown="ignore"
        ),
        high_cardinality=skrub.StringEncoder(random_state=random_state),
        datetime=skrub.DatetimeEncoder(periodic_encoding="spline", add_weekday=True),
    )


def _find_few(column: np.ndarray) -> np.ndarray:
    """List the values of a column, if these are whole numbers, and few for its rows."""
    known = column[np.isfinite(column)]
    sample = np.unique(known[: 10 * _FEW_NUMBERS])
    if len(sample) > _FEW_NUMBERS or (sample != np.rint(sample)).any():
        return sample[:0]
    values = np.unique(known)
    return values if (values == np.rint(values)).all() else values[:0]


def _find_telling(rows: np.ndarray) -> np.ndarray:
    """List the columns that vary, and of those that are the same the first."""
    first: dict[bytes, int] = {}
    for j in np.flatnonzero(np.ptp(rows, axis=0) > 0).tolist():
        first.setdefault(rows[:, j].tobytes(), j)
    return np.array(list(first.values()), dtype=int)
