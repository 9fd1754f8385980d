"""Plain values in a file: numbers, words, dates, containers of them, and arrays of NumPy."""

from __future__ import annotations

import datetime
import decimal
import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch

from sklearn_mixup._saving.graph import Kind, Reader, Writer, check_type, refuse
from sklearn_mixup.exceptions import RefusedFileError

# Keys whose hashes anybody can make equal; so many of them at most take no time all the same.
_MOST_KEYS = 1000
# Numbers that JSON has no word for.
_UNUSUAL = {word: float(word) for word in ("nan", "inf", "-inf")}
_ISO: dict[str, Any] = {"date": datetime.date, "datetime": datetime.datetime, "time": datetime.time}


def is_exactly(*types: type) -> Callable[[Any], bool]:
    """Tell values of these types from those of classes that derive from them."""
    return lambda value: type(value) in types


# -- containers -----------------------------------------------------------------------------------


def write_items(writer: Writer, value: Iterable[Any], path: str) -> list[Any]:
    return [writer.write(item, f"{path}[{i}]") for i, item in enumerate(value)]


def read_items(reader: Reader, written: Any) -> list[Any]:
    return [reader.read(item) for item in check_type(written, list)]


def _write_set(writer: Writer, value: Any, path: str) -> list[Any]:
    _check_keys(value, refuse(path, value, "has too many members"))
    return write_items(writer, sorted(value, key=repr), path)


def _read_set(reader: Reader, written: Any) -> list[Any]:
    items = read_items(reader, written)
    _check_keys(items, RefusedFileError("A set in it has too many members."))
    return items


def _write_pairs(writer: Writer, value: Any, path: str) -> list[Any]:
    _check_keys(value, refuse(path, value, "has too many keys that are no words"))
    return [
        [writer.write(key, f"a key of {path}"), writer.write(item, f"{path}[{key!r:.50}]")]
        for key, item in value.items()
    ]


def _read_pairs(reader: Reader, written: Any) -> list[tuple[Any, Any]]:
    pairs = [(reader.read(key), reader.read(item)) for key, item in check_type(written, list)]
    _check_keys((key for key, _ in pairs), RefusedFileError("A dict in it has too many keys."))
    return pairs


def _check_keys(keys: Iterable[Any], error: ValueError) -> None:
    if sum(not isinstance(key, str | torch.Tensor) for key in keys) > _MOST_KEYS:
        raise error


def _has_words_only(value: Any) -> bool:
    return type(value) is dict and all(type(key) is str for key in value)


def write_table(writer: Writer, value: dict[str, Any], path: str) -> dict[str, Any]:
    """Write a dict whose keys are words, which are the names of attributes or settings."""
    return {key: writer.write(item, f"{path}.{key}") for key, item in value.items()}


def read_table(reader: Reader, written: Any) -> dict[str, Any]:
    """Read a dict whose keys are words."""
    return {key: reader.read(item) for key, item in check_type(written, dict).items()}


def _write_subclass(writer: Writer, value: Any, path: str) -> list[Any]:
    write = _write_pairs if isinstance(value, dict) else write_items
    return [writer.write_class(type(value), path), write(writer, value, path)]


def _read_mapping(reader: Reader, written: Any) -> Any:
    number, pairs = written
    cls = reader.read_class(number, made=True, kind=dict)
    made = cls()
    dict.update(made, _read_pairs(reader, pairs))
    return made


def _read_named(reader: Reader, written: Any) -> Any:
    number, items = written
    cls = reader.read_class(number, made=True, kind=tuple)
    if len(check_type(items, list)) != len(cls._fields):
        raise RefusedFileError(f"A {cls.__name__} in it has too many or too few fields.")
    return tuple.__new__(cls, read_items(reader, items))


def _write_partial(writer: Writer, value: Any, path: str) -> list[Any]:
    func = writer.write(value.func, f"{path}.func")
    return [func, write_items(writer, value.args, path), write_table(writer, value.keywords, path)]


def _read_partial(reader: Reader, written: Any) -> Any:
    func, args, keywords = written
    return functools.partial(
        reader.read(func), *read_items(reader, args), **read_table(reader, keywords)
    )


# -- numbers and words of Python ------------------------------------------------------------------


def _write_moment(writer: Writer, value: Any, path: str) -> list[str]:
    zone = getattr(value, "tzinfo", None)
    if zone is not None and type(zone) is not datetime.timezone:
        raise refuse(path, zone, "is a place, whose time no file can hold")
    return [type(value).__name__, value.isoformat()]


def _read_moment(reader: Reader, written: Any) -> Any:
    name, text = written
    return _ISO[name].fromisoformat(text)


def _read_torch_dtype(reader: Reader, name: Any) -> torch.dtype:
    return check_type(getattr(torch, check_type(name, str)), torch.dtype)


def _is_named(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


KINDS = (
    Kind("float", is_exactly(float), lambda w, v, path: str(v), lambda r, w: _UNUSUAL[w]),
    Kind("list", is_exactly(list), write_items, read_items),
    Kind("tuple", is_exactly(tuple), write_items, lambda r, w: tuple(read_items(r, w))),
    Kind("dict", _has_words_only, write_table, read_table),
    Kind("pairs", is_exactly(dict), _write_pairs, lambda r, w: dict(_read_pairs(r, w))),
    Kind(
        "ordered",
        is_exactly(OrderedDict),
        _write_pairs,
        lambda r, w: OrderedDict(_read_pairs(r, w)),
    ),
    Kind(
        "defaultdict",
        lambda value: type(value) is defaultdict and value.default_factory is dict,
        _write_pairs,
        lambda r, w: defaultdict(dict, _read_pairs(r, w)),
    ),
    Kind("mapping", lambda v: isinstance(v, dict), _write_subclass, _read_mapping),
    Kind("named", _is_named, _write_subclass, _read_named),
    Kind("set", is_exactly(set), _write_set, lambda r, w: set(_read_set(r, w))),
    Kind("frozenset", is_exactly(frozenset), _write_set, lambda r, w: frozenset(_read_set(r, w))),
    Kind(
        "slice",
        is_exactly(slice),
        lambda w, v, path: write_items(w, (v.start, v.stop, v.step), path),
        lambda r, w: slice(*read_items(r, w)),
    ),
    Kind(
        "range",
        is_exactly(range),
        lambda w, v, path: [v.start, v.stop, v.step],
        lambda r, w: range(*w),
    ),
    Kind(
        "complex",
        is_exactly(complex),
        lambda w, v, path: write_items(w, (v.real, v.imag), path),
        lambda r, w: complex(*read_items(r, w)),
    ),
    Kind("bytes", is_exactly(bytes), lambda w, v, path: v.hex(), lambda r, w: bytes.fromhex(w)),
    Kind(
        "moment",
        is_exactly(datetime.date, datetime.datetime, datetime.time),
        _write_moment,
        _read_moment,
    ),
    Kind(
        "span",
        is_exactly(datetime.timedelta),
        lambda w, v, path: [v.days, v.seconds, v.microseconds],
        lambda r, w: datetime.timedelta(*w),
    ),
    Kind(
        "decimal",
        is_exactly(decimal.Decimal),
        lambda w, v, path: str(v),
        lambda r, w: decimal.Decimal(check_type(w, str)),
    ),
    Kind(
        "class",
        lambda value: isinstance(value, type),
        lambda w, v, path: w.write_class(v, path),
        lambda r, w: r.read_class(w, made=False),
    ),
    Kind("partial", is_exactly(functools.partial), _write_partial, _read_partial),
    Kind(
        "torch_dtype",
        lambda value: isinstance(value, torch.dtype),
        lambda w, v, path: str(v).removeprefix("torch."),
        _read_torch_dtype,
    ),
    Kind(
        "size",
        is_exactly(torch.Size),
        lambda w, v, path: list(v),
        lambda r, w: torch.Size(check_type(w, list)),
    ),
    Kind(
        "device",
        is_exactly(torch.device),
        lambda w, v, path: str(v),
        lambda r, w: torch.device(check_type(w, str)),
    ),
)
