"""How good a table is that was made out of another one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors

# Categories that are rarer among the training rows may come and go by chance.
LEAST_SHARE = 0.01
_FOLDS = 5
Trees = Callable[[], Any]  # makes a classifier that takes categories and gaps
Table = tuple[pd.DataFrame, np.ndarray]  # features and labels


def learn_and_test(made: Table, test: Table, make_trees: Trees) -> np.ndarray:
    """Train on a table that was made: probabilities of the real test rows.

    The columns are the classes in ascending order; one that was not made has probability 0.
    """
    (X, y), (X_test, y_test) = made, test
    classes = np.unique(np.concatenate([y, y_test]))
    probabilities = np.zeros((len(y_test), len(classes)))
    known = np.unique(y)
    is_known = np.isin(classes, known)
    if len(known) == 1:
        probabilities[:, is_known] = 1.0
    else:
        probabilities[:, is_known] = make_trees().fit(X, y).predict_proba(X_test)
    return probabilities


def area_under_curve(y: np.ndarray, probabilities: np.ndarray) -> float:
    """AUC of two classes, or the mean over classes against the others, by their shares."""
    if probabilities.shape[1] == 2:
        return float(roc_auc_score(y, probabilities[:, 1]))
    return float(roc_auc_score(y, probabilities, multi_class="ovr", average="weighted"))


def detect(real: Table, made: Table, make_trees: Trees, *, seed: int) -> float:
    """AUC of trees that tell real rows from made ones, labels included: 0.5 if they cannot.

    It is the mean over the parts of a cross-validation, with as many made rows as there are real
    ones.
    """
    n_rows = min(len(real[1]), len(made[1]))
    rng = np.random.default_rng(seed)
    parts = []
    for X, y in (real, made):
        rows = np.sort(rng.choice(len(y), n_rows, replace=False))
        labels = pd.Categorical(y[rows], categories=np.unique(real[1]))
        parts.append(X.iloc[rows].assign(**{"the label": labels}))
    both = pd.concat(parts, ignore_index=True)
    is_real = np.repeat([1, 0], n_rows)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    areas = []
    for train, test in folds.split(both, is_real):
        trees = make_trees().fit(both.iloc[train], is_real[train])
        areas.append(roc_auc_score(is_real[test], trees.predict_proba(both.iloc[test])[:, 1]))
    return float(np.mean(areas))


def measure_copies(made: np.ndarray, train: np.ndarray, test: np.ndarray) -> dict[str, float]:
    """Tell how near rows that were made are to the closest training row.

    Rows are numbers, each column in its own unit. ``distance`` is the median distance of the made
    rows over that of the test rows, which are as near as rows of the same kind are by chance; NaN
    if the latter is 0. ``copies`` and ``copies_by_chance`` are the shares of made and of test rows
    that equal a training row.
    """
    finder = NearestNeighbors(n_neighbors=1).fit(train)
    known = {row.tobytes() for row in train}
    medians, shares = [], []
    for rows in (made, test):
        medians.append(float(np.median(finder.kneighbors(rows)[0])))
        shares.append(float(np.mean([row.tobytes() in known for row in rows])))
    distance = medians[0] / medians[1] if medians[1] > 0 else np.nan
    return {"distance": distance, "copies": shares[0], "copies_by_chance": shares[1]}


def find_worst_share(made: pd.DataFrame, train: pd.DataFrame) -> float:
    """Find the category whose share is furthest from its share among the training rows.

    The smaller of the two shares over the larger: 1 where all are kept, 0 where a category is gone,
    NaN where there are none. Only those count that at least `LEAST_SHARE` of the rows have; a gap
    is one.
    """
    worst = np.nan
    for name in train.select_dtypes("category"):
        # As words: an index of categories would have a place for those that never occur.
        real, now = (
            it[name].astype(object).value_counts(normalize=True, dropna=False)
            for it in (train, made)
        )
        real = real[real >= LEAST_SHARE]
        now = now.reindex(real.index, fill_value=0.0)
        ratio = np.minimum(real, now) / np.maximum(real, now)
        worst = np.fmin(worst, ratio.min())
    return float(worst)
