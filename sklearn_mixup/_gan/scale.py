"""Rows of floats, standardised for the networks of a GAN, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor


class Scaling:
    """The mean and the spread of each column of an array, by which its rows are standardised.

    A column that does not vary stays what it is, and none leaves its bounds.

    Parameters
    ----------
    X : ndarray or Tensor of shape (n_rows, n_columns), floating
        Rows to learn from.
    """

    def __init__(self, X: Any) -> None:
        rows = _as_array(X).astype(np.float64)
        self.dtype = _as_array(X[:1]).dtype
        self.least, self.most = rows.min(axis=0), rows.max(axis=0)
        # In units of the largest, no square is infinite.
        size = np.maximum(np.abs(self.least), np.abs(self.most))
        size[size == 0] = 1
        self.mean = (rows / size).mean(axis=0) * size
        self.spread = ((rows - self.mean) / size).std(axis=0) * size
        self.spread[self.least == self.most] = 0

    def encode(self, X: Any) -> np.ndarray:
        """Standardise rows, in the dtype of the ones that were learned from."""
        rows = _as_array(X).astype(np.float64)
        return ((rows - self.mean) / np.where(self.spread, self.spread, 1)).astype(self.dtype)

    def decode(self, rows: np.ndarray) -> np.ndarray:
        """Bring rows back into the units and bounds of those that were learned from."""
        found = rows.astype(np.float64) * self.spread + self.mean
        return np.clip(found, self.least, self.most).astype(self.dtype)


def _as_array(X: Any) -> np.ndarray:
    return X.detach().cpu().numpy() if isinstance(X, Tensor) else np.asarray(X)
