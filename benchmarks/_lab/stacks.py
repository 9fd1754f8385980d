"""Nets of a table that are trained together, as one stack."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sklearn.pipeline import Pipeline, make_pipeline

from benchmarks._data.splits import split_rows
from benchmarks._data.tables import Table, make_preprocessor
from sklearn_mixup import MixupClassifier, fit_fused

# Enough nets to fuse, and few enough for the memory: one for Arcene takes 20 MB.
SPLITS_AT_ONCE = 5


def fit_together(
    table: Table,
    features: str,
    splits: Sequence[int],
    classifiers: Sequence[MixupClassifier],
) -> tuple[list[Pipeline], float]:
    """Fit nets, each on the training rows of a split, as one stack.

    Parameters
    ----------
    table : Table
    features : {"raw", "standardised"}
    splits : sequence of int
        The split of each net, see `split_rows`.
    classifiers : sequence of MixupClassifier, as long as `splits`
        Fitted in place.

    Returns
    -------
    estimators : list of Pipeline
        Each net behind the preprocessor of its split.
    fit_time_s : float
        A net's share of the time that all took, in seconds.
    """
    start = time.perf_counter()
    prepared = {}
    for split in set(splits):
        train, _ = split_rows(table, split)
        preprocessor = make_preprocessor(table, features)
        X = preprocessor.fit_transform(table.X.iloc[train])
        prepared[split] = preprocessor, X, table.y[train]
    preprocessors, Xs, ys = zip(*(prepared[split] for split in splits), strict=True)
    fit_fused(classifiers, Xs, ys, n_jobs=1)
    fit_time_s = (time.perf_counter() - start) / len(splits)
    pairs = zip(preprocessors, classifiers, strict=True)
    return [make_pipeline(*pair) for pair in pairs], fit_time_s
