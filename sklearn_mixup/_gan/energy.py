"""The energy distance between two sets of rows."""

from __future__ import annotations

import math

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.utils import gen_batches


def energy_distance(X: np.ndarray, Y: np.ndarray) -> float:
    """Compute sqrt(2 E|X - Y| - E|X - X'| - E|Y - Y'|), as SciPy does for one dimension.

    Examples
    --------
    >>> energy_distance(np.array([[0.0]]), np.array([[8.0]]))
    4.0
    """

    def mean_distance(A: np.ndarray, B: np.ndarray) -> float:
        blocks = gen_batches(len(A), 1024)  # All distances at once would need len(A) * len(B).
        return sum(float(cdist(A[block], B).sum()) for block in blocks) / (len(A) * len(B))

    X, Y = (rows.reshape(len(rows), -1).astype(np.float64) for rows in (X, Y))
    squared = 2 * mean_distance(X, Y) - mean_distance(X, X) - mean_distance(Y, Y)
    return math.sqrt(max(squared, 0.0))
