"""Random splits of the rows of a table; the number of a split is its seed, whatever the method."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from benchmarks._data.tables import Table

TEST_SHARE = 0.2  # of the rows, in each split


def split_rows(table: Table, split: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows to train on and to test on; `split` is the seed, whatever the method.

    Stratified by class, but not where a class has a single row, which cannot be on both sides, nor
    where the target is a number.
    """
    train, test = train_test_split(
        np.arange(len(table.y)),
        test_size=TEST_SHARE,
        random_state=split,
        stratify=table.y if _count_rarest(table.y) > 1 else None,
    )
    return train, test


def make_folds(table: Table, split: int) -> KFold | StratifiedKFold:
    """Make three folds of the training rows of a split, stratified where each class has three."""
    train, _ = split_rows(table, split)
    folds = StratifiedKFold if _count_rarest(table.y[train]) >= 3 else KFold
    return folds(3, shuffle=True, random_state=split)


def _count_rarest(y: np.ndarray) -> int:
    """Count the rows of the rarest class; none, where `y` is a number."""
    return 0 if y.dtype.kind == "f" else int(np.unique(y, return_counts=True)[1].min())
