"""Estimators of scikit-learn beside the networks of a committee, and what they tell."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from sklearn_mixup._tabular.committee import MAX_SEED, tell
from sklearn_mixup._tabular.rows import Rows

# The leaves of a tree times the classes or columns of y, at most: a forest of a large table would
# fill the memory.
_MOST_LEAVES = 4000
# Boosting grows a tree for each class or column of y and round, over all columns of X: beyond so
# many numbers of both it would take longer than the networks.
_MOST_BOOSTED = 2000


def list_classifiers(n_rows: int, n_columns: int, n_classes: int) -> list[Any]:
    """List the classifiers that stand beside the networks, if the user names none."""
    n_in_leaf = max(1, n_rows * n_classes // _MOST_LEAVES)
    others = [
        LogisticRegression(max_iter=1000),
        RandomForestClassifier(50, max_features=0.3, min_samples_leaf=n_in_leaf),
        ExtraTreesClassifier(50, min_samples_leaf=n_in_leaf),
    ]
    if n_columns * n_classes <= _MOST_BOOSTED:
        slow = {"learning_rate": 0.06, "max_leaf_nodes": 8, "min_samples_leaf": 10}
        others.append(HistGradientBoostingClassifier(max_iter=100, max_features=0.5, **slow))
    return others


def list_regressors(n_rows: int, n_columns: int, n_outputs: int) -> list[Any]:
    """List the regressors that stand beside the networks, if the user names none."""
    n_in_leaf = max(1, n_rows * n_outputs // _MOST_LEAVES)
    others = [
        RidgeCV(np.logspace(-2, 4, 13)),
        # Trees that see all columns at each split are more alike, and their mean is worse.
        RandomForestRegressor(50, max_features=0.3, min_samples_leaf=n_in_leaf),
        ExtraTreesRegressor(50, max_features=0.3, min_samples_leaf=n_in_leaf),
    ]
    if n_columns * n_outputs <= _MOST_BOOSTED:
        # Numbers need deeper trees than the classifier's.
        others.append(HistGradientBoostingRegressor())
    return others


def check_others(others: Sequence[Any], rows: Rows) -> None:
    """Check the estimators that the user names, before the networks take their time."""
    kind, is_one, method = "classifiers", is_classifier, "predict_proba"
    if rows.class_weight is None:
        kind, is_one, method = "regressors", is_regressor, "predict"
    has_weights = np.ptp(rows.full_weight) > 0
    for other in others:
        if isinstance(other, type) or not (is_one(other) and hasattr(other, method)):
            raise ValueError(
                f"`others` must hold {kind} with {method}, not fitted, of scikit-learn or alike; "
                f"got {other!r}. Name others, or give () for networks alone."
            )
        if has_weights and not has_fit_parameter(other, "sample_weight"):
            raise ValueError(
                f"`others` must hold {kind} that take `sample_weight` in fit where rows or classes "
                f"have weights; {other!r} does not. Name others, or give no weights."
            )


def fit_others(
    others: Sequence[Any],
    rows: Rows,
    left_out: Sequence[np.ndarray],
    rng: np.random.RandomState,
    *,
    deadline: float | None = None,
    n_jobs: int | None = None,
) -> tuple[list[Any], np.ndarray]:
    """Fit estimators on all rows, and copies of them that tell what they say of rows left out.

    Parameters
    ----------
    others : list of estimators
        They are cloned.
    rows : Rows
        What they are fitted on.
    left_out : list of ndarray of int
        The rows that each network leaves out. A copy is fitted without these, and tells of those of
        which no copy before it has told.
    rng : RandomState
        Draws a seed for each estimator that takes one.
    deadline : float, default=None
        A time of ``time.perf_counter``: no copy is begun after it, and an estimator that lacks some
        is left out. So does Ctrl-C.
    n_jobs : int, default=None
        How many threads fit copies.

    Returns
    -------
    others : list of estimators
        Those fitted on all rows.
    found : ndarray of shape (n_others, n_known, n_told)
        What their copies say of the rows that are left out by any, in order.
    """
    folds, known = [], np.array([], dtype=int)
    for own in left_out:
        told = np.setdiff1d(own, known)
        if len(told):
            folds.append((own, told))
            known = np.union1d(known, told)
    everything = np.arange(len(rows))
    jobs = [(np.setdiff1d(everything, own), told) for own, told in folds] + [(everything, known)]
    fitted: list[Any] = []
    found = np.zeros((len(others), len(rows), rows.n_told))
    with warnings.catch_warnings():
        # What it says of rows left out tells whether a search for coefficients went far enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for other, said in zip(others, found, strict=False):
            seeded = _seed(_widen(clone(other), rows), rng)
            try:
                copies = Parallel(n_jobs=n_jobs, prefer="threads")(
                    delayed(_fit)(seeded, rows.take(kept), deadline) for kept, _ in jobs
                )
            except KeyboardInterrupt:  # as networks: what is ready stays
                break
            if any(copy is None for copy in copies):
                break
            for copy, (_, told) in zip(copies, folds, strict=False):
                said[told] = tell(copy, rows.X[told], rows.n_told)
            if not np.isfinite(said).all():
                raise ValueError(
                    f"`others` must predict finite numbers; {other!r} says "
                    f"{said[~np.isfinite(said)][0]} of a row that it was not fitted on. Name "
                    "others, or give () for networks alone."
                )
            fitted.append(copies[-1])
    return fitted, found[: len(fitted), known]


def _fit(other: Any, rows: Rows, deadline: float | None) -> Any:
    """Fit a clone, if there is time."""
    if deadline is not None and time.perf_counter() > deadline:
        return None
    weight = rows.full_weight
    weighs = {} if (weight == weight[0]).all() else {"sample_weight": weight / weight.mean()}
    try:
        with np.errstate(invalid="ignore"):  # RidgeCV leaves out a row, though it be the only one.
            return clone(other).fit(rows.X, rows.flat_y, **weighs)
    except ValueError as error:
        targets = "standardised targets" if rows.class_weight is None else "classes 0, 1, ..."
        raise ValueError(
            f"`others` must take encoded rows and {targets}; {other!r} does not: {error} Name "
            "others, or give () for networks alone."
        ) from error


def _widen(other: Any, rows: Rows) -> Any:
    """Let a regressor that takes one column be fitted to each, if there are several."""
    if rows.flat_y.ndim == 1 or get_tags(other).target_tags.multi_output:
        return other
    return MultiOutputRegressor(other)


def _seed(other: Any, rng: np.random.RandomState) -> Any:
    """Give an estimator a seed of its own wherever it takes one and has none."""
    params = other.get_params()
    seeds = [name for name in sorted(params) if name.split("__")[-1] == "random_state"]
    return other.set_params(
        **{name: rng.randint(MAX_SEED) for name in seeds if params[name] is None}
    )
