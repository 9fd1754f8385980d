"""Read-only arrays, such as those of a memory-mapped file."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from sklearn_mixup.minibatches import like


class _Offer:
    """The memory of an array, offered to write to: torch warns of any other, even to read it."""

    def __init__(self, rows: np.ndarray) -> None:
        interface = rows.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
        self.rows = rows  # alive as long as this


def share(rows: Any) -> Tensor:
    """Make a tensor that shares the memory of an array, for those who only read it."""
    rows = np.asarray(rows)
    is_wide = rows.dtype.kind == "f" and rows.dtype.itemsize > 8
    # torch takes neither long doubles nor foreign bytes, and no negative strides.
    rows = np.ascontiguousarray(rows, np.float64 if is_wide else rows.dtype.newbyteorder("="))
    return torch.from_numpy(rows if rows.flags.writeable else np.asarray(_Offer(rows)))


def collate(samples: list[Any]) -> Any:
    """Collate samples as torch does, copies of those that are read-only."""
    return default_collate([_writable(sample) for sample in samples])


def _writable(sample: Any) -> Any:
    """Copy the arrays of a sample that may not be written to."""
    if isinstance(sample, np.ndarray):
        return sample if sample.flags.writeable else sample.copy()
    if isinstance(sample, dict):
        return {name: _writable(part) for name, part in sample.items()}
    if isinstance(sample, tuple | list):
        return like(sample, [_writable(part) for part in sample])
    return sample
