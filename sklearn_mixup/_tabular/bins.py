"""Numbers told piece by piece, so that a net may treat a small and a large one differently."""

from __future__ import annotations

import numpy as np

# Bins at least of the rows whose values few others share.
_FEWEST = 4


class Bins:
    """How far a number has come through each of some bins, beside the number itself [1]_.

    A number is 1 in the bins below its own, a share of it in its own and 0 in those above; beyond
    the first and the last it goes on for as long as these are wide. The bins of a column hold about
    as many rows each. But a value that more rows share than a bin holds, such as zero in an amount,
    is an end of its bins, and so is each value if there are few. Columns of two values have none.

    Parameters
    ----------
    n_bins : int
        Bins of a column, at most.

    References
    ----------
    .. [1] Gorishniy, Rubachev, Babenko, "On Embeddings for Numerical Features in Tabular Deep
       Learning", NeurIPS 2022, Section 3.2.
    """

    def __init__(self, n_bins: int) -> None:
        self.n_bins = n_bins

    def fit(self, rows: np.ndarray) -> Bins:
        """Find the bins of each column of encoded rows, shape (n_rows, n_columns)."""
        edges = {j: _find_edges(column, self.n_bins) for j, column in enumerate(rows.T)}
        self.edges = {j: found for j, found in edges.items() if len(found)}
        self.means = {j: _locate(rows[:, j], found).mean(0) for j, found in self.edges.items()}
        return self

    @property
    def n_encoded(self) -> int:
        """How many columns there are in all bins."""
        return sum(len(found) - 1 for found in self.edges.values())

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Put what their bins tell beside encoded rows, as float32, less its mean in ``fit``."""
        n_rows, n_columns = rows.shape
        encoded = np.empty((n_rows, n_columns + self.n_encoded), dtype=np.float32)
        encoded[:, :n_columns] = rows
        start = n_columns
        for j, found in self.edges.items():  # one by one, or the double precision fills the memory
            stop = start + len(found) - 1
            encoded[:, start:stop] = _locate(rows[:, j], found) - self.means[j]
            start = stop
        return encoded


def _locate(column: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Tell how far each number has come through each of the bins, shape (n_rows, n_bins)."""
    least, most = np.zeros(len(edges) - 1), np.ones(len(edges) - 1)
    least[0], most[-1] = -1, 2
    return np.clip((column[:, None] - edges[:-1]) / np.diff(edges), least, most)


def _find_edges(column: np.ndarray, n_bins: int) -> np.ndarray:
    """Find the ends of the bins of a column, in order."""
    values, counts = np.unique(column, return_counts=True)
    if len(values) <= 2:  # The column itself tells all.
        return values[:0]
    if len(values) <= n_bins + 1:
        return values
    shared = values[counts * n_bins > len(column)]
    others = column[~np.isin(column, shared)]
    shares = np.linspace(0, 1, max(n_bins - len(shared), _FEWEST) + 1)
    return np.unique(np.concatenate([values[[0, -1]], shared, np.quantile(others, shares)]))
