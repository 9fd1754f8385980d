"""Tables of pandas and polars in a file, column by column."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np

from sklearn_mixup._saving.graph import Kind, Reader, Writer, check_type, refuse
from sklearn_mixup.exceptions import RefusedFileError

# Names such as Europe/Paris and UTC+01:00: never a path, which pandas would read a file of.
_ZONE = re.compile(r"(?!dateutil)[A-Za-z][\w+-]*(/[A-Za-z][\w+-]*){0,2}(:\d\d)?\Z", re.ASCII)


def _is_pandas(*names: str) -> Any:
    """Tell values of classes of pandas, which need not be installed."""

    def fits(value: Any) -> bool:
        pandas = sys.modules.get("pandas")
        return pandas is not None and type(value) in [getattr(pandas, name) for name in names]

    return fits


def _write_frame(writer: Writer, value: Any, path: str) -> list[Any]:
    columns = [
        _write_column(writer, value.iloc[:, i], f"{path}[{value.columns[i]!r}]")
        for i in range(value.shape[1])
    ]
    return [writer.write(part, path) for part in (value.columns, value.index)] + [columns]


def _read_frame(reader: Reader, written: Any) -> Any:
    import pandas as pd

    names, index, columns = written
    names, index = (check_type(reader.read(part), pd.Index) for part in (names, index))
    columns = [_as_series(_read_column(reader, column), index) for column in columns]
    if len(names) != len(columns):
        raise RefusedFileError("A table in it has more or fewer columns than names.")
    return pd.DataFrame(dict(enumerate(columns)), index=index, copy=False).set_axis(names, axis=1)


def _as_series(column: Any, index: Any, name: Any = None) -> Any:
    """Make a series; of objects as they are, or pandas would read them."""
    import pandas as pd

    dtype = object if column.dtype == object else None
    return pd.Series(column, index=index, name=name, dtype=dtype, copy=False)


def _write_series(writer: Writer, value: Any, path: str) -> list[Any]:
    column = _write_column(writer, value, path)
    return [writer.write(value.name, path), writer.write(value.index, path), column]


def _read_series(reader: Reader, written: Any) -> Any:
    import pandas as pd

    name, index, column = written
    index = check_type(reader.read(index), pd.Index)
    return _as_series(_read_column(reader, column), index, reader.read(name))


def _write_index(writer: Writer, value: Any, path: str) -> list[Any]:
    import pandas as pd

    if type(value) is pd.RangeIndex:
        return ["range", [value.start, value.stop, value.step], writer.write(value.name, path)]
    return ["values", _write_column(writer, value, path), writer.write(value.name, path)]


def _read_index(reader: Reader, written: Any) -> Any:
    import pandas as pd

    kind, content, name = written
    if kind == "range":
        return pd.RangeIndex(*(check_type(n, int) for n in content), name=reader.read(name))
    values = _read_column(reader, content)
    dtype = object if values.dtype == object else None
    return pd.Index(values, name=reader.read(name), dtype=dtype)


def _write_column(writer: Writer, column: Any, path: str) -> list[Any]:
    import pandas as pd

    dtype = column.dtype
    if isinstance(dtype, np.dtype):
        return ["plain", None, writer.write(column.to_numpy(), path)]
    if isinstance(dtype, pd.CategoricalDtype):
        codes = column.cat.codes if hasattr(column, "cat") else column.codes
        categories = writer.write(dtype.categories, path)
        return ["categories", [categories, dtype.ordered], writer.write(np.asarray(codes), path)]
    if isinstance(dtype, pd.DatetimeTZDtype):
        _, zone = _write_zone(writer, dtype, path)
        plain = pd.DatetimeIndex(column).tz_convert("UTC").tz_localize(None).to_numpy()
        return ["zone", zone, writer.write(plain, path)]
    gap = pd.isna(column)
    known = np.asarray(column.fillna("") if isinstance(dtype, pd.StringDtype) else column, object)
    if isinstance(dtype, pd.StringDtype):
        kind = [dtype.storage, None if getattr(dtype, "na_value", pd.NA) is pd.NA else "nan"]
        return ["words", kind, [writer.write(part, path) for part in (known, np.asarray(gap))]]
    if dtype.name in _MASKED:
        plain = np.where(gap, 0, known).astype(dtype.numpy_dtype)
        return [
            "masked",
            dtype.name,
            [writer.write(part, path) for part in (plain, np.asarray(gap))],
        ]
    raise refuse(path, column, f"is a column of {dtype}, for which the file has no place")


_MASKED = frozenset(
    ["boolean", "Float32", "Float64"]
    + [f"{sign}Int{n}" for sign in ("", "U") for n in (8, 16, 32, 64)]
)


def _read_column(reader: Reader, written: Any) -> Any:
    import pandas as pd

    kind, about, content = written
    if kind in ("words", "masked"):
        plain, gap = (check_type(reader.read(part), np.ndarray) for part in content)
        if plain.ndim != 1 or plain.shape != gap.shape or gap.dtype != bool:
            raise RefusedFileError("A column in it has more or fewer gaps than rows.")
        if kind == "masked":
            if about not in _MASKED:
                raise RefusedFileError("A column in it is of no known kind.")
            made = pd.array(plain, dtype=about)
            made[gap] = pd.NA
            return made
        storage, na = about
        dtype = pd.StringDtype(storage) if na is None else pd.StringDtype(storage, na_value=np.nan)
        words = plain.astype(object)
        words[gap] = None
        return pd.array(words, dtype=dtype)
    plain = check_type(reader.read(content), np.ndarray)
    if plain.ndim != 1:
        raise RefusedFileError("A column in it is no column.")
    if kind == "plain":
        return plain
    if kind == "categories":
        categories, ordered = about
        categories = check_type(reader.read(categories), pd.Index)
        if plain.dtype.kind != "i" or (len(plain) and plain.max() >= len(categories)):
            raise RefusedFileError("A column in it has categories that are not there.")
        return pd.Categorical.from_codes(plain, categories=categories, ordered=ordered)
    if kind == "zone":
        zone = _read_zone(reader, ["ns", about]).tz
        return pd.DatetimeIndex(plain).tz_localize("UTC").tz_convert(zone)
    raise RefusedFileError("A column in it is of no known kind.")


def _write_zone(writer: Writer, value: Any, path: str) -> list[str]:
    """Write the unit and the place of dates."""
    zone = getattr(value.tz, "key", None) or getattr(value.tz, "zone", None) or str(value.tz)
    if not _ZONE.match(zone):
        raise refuse(path, value, f"has the times of {zone}, which the file has no place for")
    return [str(value.unit), zone]


def _read_zone(reader: Reader, written: Any) -> Any:
    import pandas as pd

    unit, zone = (check_type(part, str) for part in written)
    if not _ZONE.match(zone):
        raise RefusedFileError("A place in it is none that has a time.")
    return pd.DatetimeTZDtype(unit, zone)


def _write_moment(writer: Writer, value: Any, path: str) -> Any:
    if value.tz is not None:
        raise refuse(path, value, "is a moment of some place, which the file has no place for")
    return [
        str(value.unit),
        int(value.value) if value.unit == "ns" else int(value.asm8.astype("i8")),
    ]


def _read_moment(reader: Reader, written: Any) -> Any:
    import pandas as pd

    unit, number = written
    return pd.Timestamp(np.datetime64(check_type(number, int), check_type(unit, str)))


def _is_gap(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and (value is pandas.NA or value is pandas.NaT)


def _read_gap(reader: Reader, written: Any) -> Any:
    import pandas as pd

    return {"NA": pd.NA, "NaT": pd.NaT}[written]


# -- polars ---------------------------------------------------------------------------------------

_NUMBERS = frozenset(
    ["Boolean", "Float32", "Float64"]
    + [f"{sign}Int{n}" for sign in ("", "U") for n in (8, 16, 32, 64)]
)
_TIMES = frozenset(["Date", "Datetime", "Duration", "Time"])
_WORDS = frozenset(["Categorical", "Enum", "String"])


def _is_polars(value: Any) -> bool:
    polars = sys.modules.get("polars")
    return polars is not None and type(value) is polars.DataFrame


def _write_polars(writer: Writer, value: Any, path: str) -> list[Any]:
    return [
        [column.name, *_write_polars_column(writer, column, f"{path}[{column.name!r}]")]
        for column in value
    ]


def _write_polars_column(writer: Writer, column: Any, path: str) -> list[Any]:
    """Write the kind of a column, what is special of it, its values, and where there are none."""
    import polars as pl

    dtype, kind = column.dtype, str(column.dtype.base_type())
    about = [getattr(dtype, "time_unit", None), getattr(dtype, "time_zone", None)]
    if kind in _WORDS:
        about = dtype.categories.to_list() if kind == "Enum" else []
        values = np.array(column.cast(pl.String).fill_null("").to_list(), dtype=object)
    elif kind in _NUMBERS | _TIMES:
        plain = column.to_physical()
        values = plain.fill_null(False if kind == "Boolean" else 0).to_numpy()
    else:
        raise refuse(path, column, f"is a column of {dtype}, for which the file has no place")
    gap = column.is_null().to_numpy()
    return [kind, about, *(writer.write(part, path) for part in (values, gap))]


def _read_polars(reader: Reader, written: Any) -> Any:
    import polars as pl

    columns = []
    for name, kind, about, *parts in written:
        values, gap = (check_type(reader.read(part), np.ndarray) for part in parts)
        if kind not in _WORDS | _NUMBERS | _TIMES or values.shape != gap.shape or values.ndim != 1:
            raise RefusedFileError("A column in it is of no known kind.")
        dtype = getattr(pl, kind)
        if kind == "Datetime":
            dtype = pl.Datetime(*about)
        elif kind == "Duration":
            dtype = pl.Duration(about[0])
        elif kind == "Enum":
            dtype = pl.Enum(about)
        plain = values.tolist() if kind in _WORDS else values
        table = pl.DataFrame({"values": plain, "is_known": ~gap})
        known = table.select(pl.when("is_known").then("values"))["values"].cast(dtype)
        columns.append(known.alias(check_type(name, str)))
    return pl.DataFrame(columns)


KINDS = (
    Kind("polars", _is_polars, _write_polars, _read_polars, shared=True),
    Kind(
        "gap",
        _is_gap,
        lambda writer, value, path: "NaT" if str(value) == "NaT" else "NA",
        _read_gap,
    ),
    Kind("zone", _is_pandas("DatetimeTZDtype"), _write_zone, _read_zone),
    Kind("timestamp", _is_pandas("Timestamp"), _write_moment, _read_moment),
    Kind("frame", _is_pandas("DataFrame"), _write_frame, _read_frame, shared=True),
    Kind("series", _is_pandas("Series"), _write_series, _read_series, shared=True),
    Kind(
        "index",
        _is_pandas("Index", "RangeIndex", "CategoricalIndex", "DatetimeIndex"),
        _write_index,
        _read_index,
        shared=True,
    ),
)
