"""Arrays and numbers of NumPy in a file, and the history of a training, which is mostly numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from skorch.history import History

from sklearn_mixup._saving.graph import Kind, Reader, Writer, as_stored, check_type, refuse
from sklearn_mixup._saving.values import is_exactly, read_items, read_table, write_items
from sklearn_mixup.exceptions import RefusedFileError

# From so many words on, an array of them is one of their numbers among those that differ.
_MANY_WORDS = 64
_BYTES_PER_STEP = 400


def find_order(strides: Iterable[int]) -> list[int]:
    """Order axes as they lie in memory, the one of the widest steps first."""
    strides = list(strides)
    return sorted(range(len(strides)), key=lambda axis: -abs(strides[axis]))


def restore_order(values: Any, order: list[int]) -> Any:
    """Give the axes of what was stored in the order of memory their places."""
    if sorted(order) != list(range(values.ndim)):
        raise RefusedFileError("The axes of an array in it are in no order.")
    places = [order.index(axis) for axis in range(values.ndim)]
    return values.permute(places) if isinstance(values, torch.Tensor) else values.transpose(places)


def _write_array(writer: Writer, value: np.ndarray, path: str) -> list[Any]:
    dtype = value.dtype
    is_known = dtype.kind in "biufcmMUS" and dtype != np.longdouble and dtype != np.clongdouble
    if not is_known:
        raise refuse(path, value, f"has the dtype {dtype}, which the file has no place for")
    order = None
    if not value.flags.c_contiguous:
        order = find_order(value.strides)
        value = np.ascontiguousarray(value.transpose(order))
    dtype = (np.dtype(f"<{dtype.kind}1") if not dtype.itemsize else dtype).newbyteorder("<")
    value = value.astype(dtype, copy=False)
    number = writer.write_array(as_stored(_see_as_numbers(value)), path)
    return [number, dtype.str, order]


# What arrays of a kind are stored as: numbers, with one more axis if there are several a value.
_PARTS: dict[str, Callable[[np.dtype], tuple[str, int]]] = {
    "c": lambda dtype: (f"<f{dtype.itemsize // 2}", 2),
    "U": lambda dtype: ("<u4", dtype.itemsize // 4),
    "S": lambda dtype: ("|u1", dtype.itemsize),
    "m": lambda dtype: ("<i8", 0),
    "M": lambda dtype: ("<i8", 0),
}


def _see_as_numbers(value: np.ndarray) -> np.ndarray:
    if value.dtype.kind not in _PARTS:
        return value
    part, n_parts = _PARTS[value.dtype.kind](value.dtype)
    return value.reshape(-1).view(part).reshape(value.shape + (n_parts,) * bool(n_parts))


def _read_array(reader: Reader, written: Any) -> np.ndarray:
    number, name, order = written
    stored, dtype = reader.read_array(number).as_array(), _read_dtype(reader, name)
    if dtype.kind in _PARTS:
        part, n_parts = _PARTS[dtype.kind](dtype)
        if stored.dtype != part or (n_parts and stored.shape[-1:] != (n_parts,)):
            raise RefusedFileError("An array in it is of another dtype than it is said to be.")
        if dtype.kind == "U" and stored.size and stored.max() > 0x10FFFF:
            raise RefusedFileError("A word in it is none.")
        shape = stored.shape[:-1] if n_parts else stored.shape
        stored = stored.reshape(-1).view(dtype).reshape(shape)
    elif stored.dtype != dtype:
        raise RefusedFileError("An array in it is of another dtype than it is said to be.")
    return stored if order is None else restore_order(stored, check_type(order, list))


def _read_dtype(reader: Reader, name: Any) -> np.dtype:
    dtype = np.dtype(check_type(name, str))
    if dtype.kind not in "biufcmMUSO" or dtype.fields or dtype.subdtype:
        raise RefusedFileError(f"A dtype in it is {name[:80]!r}, which no array of a model has.")
    return dtype


def _write_scalar(writer: Writer, value: np.generic, path: str) -> list[Any]:
    if value.dtype.kind not in "biufmMU" or value.dtype == np.longdouble:
        raise refuse(path, value, "is a number that the file has no place for")
    plain = int(value.astype(np.int64)) if value.dtype.kind in "mM" else value.item()
    return [value.dtype.newbyteorder("<").str, writer.write(plain, path)]


def _read_scalar(reader: Reader, written: Any) -> Any:
    name, plain = written
    dtype, plain = _read_dtype(reader, name), reader.read(plain)
    if dtype.kind == "U":
        return np.str_(check_type(plain, str))
    if dtype.kind not in "biufmM":
        raise RefusedFileError(f"A number in it is of the dtype {dtype}, which none has.")
    check_type(plain, (bool, int, float))
    return np.array(plain, dtype=np.int64 if dtype.kind in "mM" else dtype).view(dtype)[()]


def _write_objects(writer: Writer, value: np.ndarray, path: str) -> list[Any]:
    flat = value.ravel().tolist() if value.flags.c_contiguous else list(value.flat)
    if len(flat) >= _MANY_WORDS and all(type(item) is str for item in flat):
        numbers: dict[str, int] = {}
        codes = np.array([numbers.setdefault(word, len(numbers)) for word in flat], dtype=np.int64)
        return [list(value.shape), list(numbers), writer.write_array(torch.from_numpy(codes), path)]
    return [list(value.shape), write_items(writer, flat, path), None]


def _read_objects(reader: Reader, written: Any) -> np.ndarray:
    shape, items, number = written
    items = check_type(items, list)
    flat = np.empty(len(items), dtype=object)
    if number is None:
        for i, item in enumerate(items):
            flat[i] = reader.read(item)
    else:
        for i, item in enumerate(items):
            flat[i] = check_type(item, str)
        codes = reader.read_array(number).as_array()
        if codes.dtype != np.int64 or codes.ndim != 1:
            raise RefusedFileError("The numbers of words in it are no whole numbers.")
        flat = flat[codes]
    return flat.reshape(check_type(shape, list))


def _write_masked(writer: Writer, value: Any, path: str) -> list[Any]:
    return [writer.write(part, path) for part in (value.data, np.ma.getmaskarray(value))]


def _read_masked(reader: Reader, written: Any) -> Any:
    data, mask = (check_type(reader.read(part), np.ndarray) for part in written)
    return np.ma.MaskedArray(data, mask=mask)


# -- history --------------------------------------------------------------------------------------


def _write_history(writer: Writer, value: History, path: str) -> list[Any]:
    """Write epochs; the numbers of their minibatches as arrays, if all have the same."""
    epochs = [{k: v for k, v in epoch.items() if k != "batches"} for epoch in value]
    steps = [step for epoch in value for step in epoch.get("batches", ())]
    types = {key: type(number) for key, number in steps[0].items()} if steps else {}
    is_even = all(
        step.keys() == types.keys() and all(type(step[key]) is types[key] for key in types)
        for step in steps
    )
    if not is_even or not set(types.values()) <= {int, float}:
        return [write_items(writer, value, path), None, None]
    names = {float: np.float64, int: np.int64}
    columns = {
        key: writer.write(np.array([step[key] for step in steps], dtype=names[kind]), path)
        for key, kind in types.items()
    }
    counts = [len(epoch["batches"]) if "batches" in epoch else None for epoch in value]
    return [write_items(writer, epochs, path), counts, columns]


def _read_history(reader: Reader, written: Any) -> History:
    epochs, counts, columns = written
    epochs = [check_type(epoch, dict) for epoch in read_items(reader, epochs)]
    if counts is not None:
        columns = {key: check_type(v, np.ndarray) for key, v in read_table(reader, columns).items()}
        n_steps = sum(check_type(count or 0, int) for count in check_type(counts, list))
        if any(column.shape != (n_steps,) for column in columns.values()) or len(counts) != len(
            epochs
        ):
            raise RefusedFileError("The minibatches of its history are not as many as it says.")
        reader.budget.spend(n_steps * len(columns) * _BYTES_PER_STEP)
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        for epoch, count in zip(epochs, counts, strict=True):
            if count is not None:
                epoch["batches"] = [
                    dict(zip(columns, next(rows), strict=True)) for _ in range(count)
                ]
        epochs = [{"batches": e["batches"], **e} if "batches" in e else e for e in epochs]
    return History(epochs)


KINDS = (
    Kind("dtype", lambda v: isinstance(v, np.dtype), lambda w, v, path: v.str, _read_dtype),
    Kind("scalar", lambda value: isinstance(value, np.generic), _write_scalar, _read_scalar),
    Kind(
        "objects",
        lambda value: type(value) is np.ndarray and value.dtype == object,
        _write_objects,
        _read_objects,
        shared=True,
    ),
    Kind("array", is_exactly(np.ndarray, np.memmap), _write_array, _read_array, shared=True),
    Kind("masked", is_exactly(np.ma.MaskedArray), _write_masked, _read_masked, shared=True),
    Kind("history", is_exactly(History), _write_history, _read_history, shared=True),
)
