"""Random splits of the rows of a table; the number of a split is its seed, whatever the method."""

from __future__ import annotations

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split

from benchmarks._data.tables import Table

TEST_SHARE = 0.2  # of the rows, in each split


def split_rows(table: Table, split: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the rows to train on and to test on; `split` is the seed, whatever the method.

    Stratified by class, but not where a class has a single row, which cannot be on both sides.
    """
    _, counts = np.unique(table.y, return_counts=True)
    train, test = train_test_split(
        np.arange(len(table.y)),
        test_size=TEST_SHARE,
        random_state=split,
        stratify=table.y if counts.min() > 1 else None,
    )
    return train, test


def make_folds(table: Table, split: int) -> KFold | StratifiedKFold:
    """Make three folds of the training rows of a split, stratified where each class has three."""
    train, _ = split_rows(table, split)
    _, counts = np.unique(table.y[train], return_counts=True)
    folds = StratifiedKFold if counts.min() >= 3 else KFold
    return folds(3, shuffle=True, random_state=split)
