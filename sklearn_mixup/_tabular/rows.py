"""Encoded rows to train on, and which of them each net of a committee leaves out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

# A net does not train on one of so many folds.
_N_FOLDS = 8


@dataclass(frozen=True)
class Rows:
    """Rows to train on, as nets take them.

    Parameters
    ----------
    X : ndarray of shape (n_rows, n_features), float32
        The encoded rows.
    y : ndarray of shape (n_rows,), int; or (n_rows, n_outputs), float64
        The place of each row's class, or its numbers.
    weight : ndarray of shape (n_rows,) or None
        Weights of the rows, > 0.
    class_weight : ndarray of shape (n_classes,), or None of numbers
        Weights of the classes.
    """

    X: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    class_weight: np.ndarray | None

    def __len__(self) -> int:
        return len(self.X)

    def encoded_as(self, X: np.ndarray) -> Rows:
        """Encode the same rows in another way."""
        return replace(self, X=X)

    @property
    def flat_y(self) -> np.ndarray:
        """The targets as scikit-learn's estimators take them: a single column is none."""
        return self.y[:, 0] if self.y.ndim == 2 and self.y.shape[1] == 1 else self.y

    @property
    def n_told(self) -> int:
        """How many numbers tell what is predicted of a row: probabilities, or the numbers of y."""
        return self.y.shape[1] if self.class_weight is None else len(self.class_weight)

    @property
    def full_weight(self) -> np.ndarray:
        """The weight of each row, that of its class included; the largest is in [1/2, 1)."""
        own = np.ones(len(self)) if self.class_weight is None else self.class_weight[self.y]
        full = own if self.weight is None else own * self.weight
        # Their scale means nothing, but their squares might be infinite or 0.
        return np.ldexp(full, -np.frexp(full.max(initial=0))[1])

    @property
    def weigh_nothing(self) -> bool:
        """Whether nothing can be told by these rows; weights of classes may leave nothing."""
        return not self.full_weight.any()

    @property
    def strata(self) -> np.ndarray:
        """What folds are even in: the class of each row, or where its numbers stand among all."""
        return self.y if self.class_weight is not None else _rank(self.y)

    def take(self, rows: np.ndarray) -> Rows:
        """Take some of the rows."""
        weight = None if self.weight is None else self.weight[rows]
        return Rows(self.X[rows], self.y[rows], weight, self.class_weight)


def _rank(numbers: np.ndarray) -> np.ndarray:
    """Part rows into strata of a row for each fold, by the order of the mean of their numbers."""
    ranks = np.argsort(np.argsort(numbers.mean(axis=1), kind="stable"))
    # A row more or less than a stratum has goes to the last.
    return np.minimum(ranks // _N_FOLDS, max(len(ranks) // _N_FOLDS - 1, 0))


def deal_folds(
    strata: np.ndarray, n_estimators: int, rng: np.random.RandomState
) -> list[np.ndarray]:
    """Tell which rows each net of a committee leaves out, by stratum; none is left out twice.

    After a round of folds there is another, with other folds. A row that is the only one of its
    stratum, as of a class, is left out by none.
    """
    rows = np.flatnonzero(np.bincount(strata)[strata] > 1)
    n_folds = max(min(len(rows), _N_FOLDS), 1)
    left_out: list[np.ndarray] = []
    while len(left_out) < n_estimators:
        order = rng.permutation(rows)
        # The folds get a row each in turn, stratum after stratum, so that they are even in both.
        order = order[np.argsort(strata[order], kind="stable")]
        left_out += [np.sort(order[k::n_folds]) for k in range(n_folds)]
    return left_out[:n_estimators]
