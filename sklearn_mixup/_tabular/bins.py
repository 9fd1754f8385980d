"""Numbers told piece by piece, so that a net may treat a small and a large one differently."""

from __future__ import annotations

import numpy as np


class Bins:
    """How far a number has come through each of some bins, beside the number itself [1]_.

    The bins of a column hold about as many rows each. A number is 1 in the bins below its own, a
    share of it in its own and 0 in those above; beyond the first and the last it goes on for as
    long as these are wide. Columns of two values have no bins.

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
        edges = []
        for column in rows.T:
            # Of two values a net can make no more than the column itself tells.
            varies = len(np.unique(column)) > 2
            found = np.unique(np.quantile(column, np.linspace(0, 1, self.n_bins + 1)))
            edges.append(found if varies and len(found) > 2 else found[:0])
        counts = np.array([max(len(found) - 1, 0) for found in edges])
        self.columns = np.repeat(np.arange(len(edges)), counts)
        self.low = np.concatenate([found[:-1] for found in edges])
        self.width = np.concatenate([np.diff(found) for found in edges])
        ends = counts[counts > 0].cumsum()
        self.least, self.most = np.zeros(len(self.low)), np.ones(len(self.low))
        self.most[ends - 1] = 2
        self.least[np.append(0, ends[:-1])[: len(ends)]] = -1
        self.mean = self._find(rows).mean(axis=0)
        return self

    def _find(self, rows: np.ndarray) -> np.ndarray:
        """Tell how far each number has come through each of its bins."""
        return np.clip((rows[:, self.columns] - self.low) / self.width, self.least, self.most)

    def transform(self, rows: np.ndarray) -> np.ndarray:
        """Put what their bins tell beside encoded rows, as float32, less its mean in ``fit``."""
        return np.hstack([rows, self._find(rows) - self.mean]).astype(np.float32)
