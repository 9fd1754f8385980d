"""The safetensors format, written and read piece by piece: no array is in memory twice.

The library of that name opens the member too; its own readers want the whole file at once.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable
from typing import IO, Any, NamedTuple

import numpy as np
import torch

from sklearn_mixup.exceptions import RefusedFileError

DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "U16": torch.uint16,
    "I32": torch.int32,
    "U32": torch.uint32,
    "I64": torch.int64,
    "U64": torch.uint64,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
_CHUNK = 1 << 20
_MOST_AXES = 32


class Stored(NamedTuple):
    """An array as the file holds it: its dtype, shape and bytes (uint8, one axis)."""

    dtype: str
    shape: tuple[int, ...]
    content: torch.Tensor

    def as_tensor(self) -> torch.Tensor:
        """Give the bytes the dtype and shape that they are said to have."""
        dtype = DTYPES[self.dtype]
        if dtype is torch.bool and self.content.numel() and int(self.content.max()) > 1:
            raise RefusedFileError("A truth value in it is neither 0 nor 1.")
        return self.content.view(dtype).reshape(self.shape)

    def as_array(self) -> np.ndarray:
        """Give the same as an array of NumPy."""
        return self.as_tensor().numpy()


def make_header(arrays: Iterable[tuple[str, torch.Tensor]]) -> bytes:
    """Make the header of named arrays that are stored one after the other."""
    entries: dict[str, Any] = {}
    end = 0
    for name, tensor in arrays:
        start, end = end, end + tensor.numel() * tensor.element_size()
        shape, offsets = list(tensor.shape), [start, end]
        entries[name] = {"dtype": NAMES[tensor.dtype], "shape": shape, "data_offsets": offsets}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header


def as_bytes(tensor: torch.Tensor) -> memoryview:
    """See a contiguous tensor as its bytes."""
    flat = tensor.reshape(-1)
    if flat.stride() != (1,):  # a single number, whatever its stride
        flat = torch.empty(len(flat), dtype=flat.dtype, device="cpu").copy_(flat)
    return flat.view(torch.uint8).numpy().data


def read_arrays(
    file: IO[bytes], size: int, parse: Callable[[bytes], Any], most_header: int
) -> list[Stored]:
    """Read all arrays of a member of `size` bytes, in the order in which they are stored."""
    n_header = int.from_bytes(_read_exactly(file, 8), "little")
    if n_header > min(size - 8, most_header):
        raise RefusedFileError(f"The header of its arrays is too long: {n_header} bytes.")
    entries = parse(_read_exactly(file, n_header))
    if not isinstance(entries, dict):
        raise RefusedFileError("The header of its arrays is no table.")
    return [
        Stored(dtype, shape, _read_content(file, n_bytes))
        for dtype, shape, n_bytes in _check_entries(entries, size - 8 - n_header)
    ]


def _check_entries(entries: dict[str, Any], n_data: int) -> list[tuple[str, tuple[int, ...], int]]:
    """Check that arrays lie one after the other, and fill what there is to the last byte."""
    checked, end = [], 0
    for name, entry in entries.items():
        match entry:
            case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [int(a), int(b)]}:
                pass
            case _:
                raise RefusedFileError(f"The entry of the array {name[:80]!r} is malformed.")
        is_shape = len(shape) <= _MOST_AXES and all(
            type(n) is int and 0 <= n < 2**62 for n in shape
        )
        if len(entry) != 3 or dtype not in DTYPES or not is_shape:
            raise RefusedFileError(f"The entry of the array {name[:80]!r} is malformed.")
        if (a, b - a) != (end, math.prod(shape) * DTYPES[dtype].itemsize) or b > n_data:
            raise RefusedFileError(f"The array {name[:80]!r} is not where its header says.")
        checked.append((dtype, tuple(shape), b - a))
        end = b
    if end != n_data:
        raise RefusedFileError("There is more behind its arrays.")
    return checked


def _read_content(file: IO[bytes], n_bytes: int) -> torch.Tensor:
    """Read bytes into memory that is aligned as torch aligns it."""
    content = torch.empty(n_bytes, dtype=torch.uint8, device="cpu")
    view = content.numpy().data
    for start in itertools.count(0, _CHUNK):
        if start >= n_bytes:
            return content
        stop = min(start + _CHUNK, n_bytes)
        view[start:stop] = _read_exactly(file, stop - start)
    raise AssertionError


def _read_exactly(file: IO[bytes], n_bytes: int) -> bytes:
    content = file.read(n_bytes)
    if len(content) != n_bytes:
        raise RefusedFileError("It ends too early.")
    return content
