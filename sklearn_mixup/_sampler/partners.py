"""Which rows of a table are near each other, words and dates counted in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array, hstack
from sklearn.neighbors import NearestNeighbors

from sklearn_mixup._net.columns import Column, read_words


def encode(X: Any, columns: Sequence[Column]) -> Any:
    """Make numbers of a table whose Euclidean distances tell how near rows are.

    Numbers and dates are standardised, a gap is at the mean; two words are 1 apart. The result is
    sparse if there are words.
    """
    numbers = np.zeros((X.shape[0], len(columns)))
    for j, column in enumerate(columns):
        known = column.values[column.known]
        # In units of its own range: no square of it overflows, and dates lose no digits.
        centre = known[0]
        with np.errstate(over="ignore"):
            values = known.astype(np.float64) / 2 - np.float64(centre) / 2
        if top := np.abs(values).max():
            values = values / top
        if spread := values.std():
            numbers[column.known, j] = (values - values.mean()) / spread
    one_hot = []
    for codes in read_words(X, columns):
        n_rows = len(codes)
        places = (np.full(n_rows, np.sqrt(0.5)), (np.arange(n_rows), codes))
        one_hot.append(csr_array(places, shape=(n_rows, codes.max() + 1)))
    return hstack([csr_array(numbers), *one_hot], format="csr") if one_hot else numbers


def find_nearest(encoded: Any, rows: np.ndarray, among: np.ndarray, n_neighbors: int) -> np.ndarray:
    """Find the rows `among` which are nearest to some of them, never the row itself.

    Returns
    -------
    ndarray of shape (n_rows, n_nearest)
        The nearest first; all others where there are no more than `n_neighbors`.
    """
    n_nearest = min(n_neighbors, len(among) - 1)
    finder = NearestNeighbors(n_neighbors=n_nearest + 1).fit(encoded[among])
    found = among[finder.kneighbors(encoded[rows], return_distance=False)]
    is_self = found == rows[:, None]
    # Of rows that are alike any may be first: one that is not found at all makes room at the end.
    is_self[~is_self.any(axis=1), -1] = True
    return found[~is_self].reshape(len(rows), n_nearest)
