"""What the nets of an ensemble say of rows: the mean of all, or of those not trained on a row."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data
from torch import Tensor

from sklearn_mixup._fused.replay import final_step
from sklearn_mixup._net.tables import take_columns


def _answers(ensemble: Any, X: Any) -> Iterator[tuple[list[int], np.ndarray, Tensor]]:
    """Compute what all networks say, those of one shape in one pass.

    Yields places in `estimators_`, the columns that these know of, and what they say,
    (n_samples, n_members, n_columns).
    """
    estimators, features = ensemble.estimators_, ensemble.estimators_features_
    ensemble._stacks.update(estimators, [drawn.tobytes() for drawn in features])
    takes_columns = [
        # Other X are refused by the networks.
        draws.takes_columns and len(getattr(X, "shape", ())) == 2
        for _, draws in ensemble._draws
    ]
    is_known = type(X) is np.ndarray and not hasattr(ensemble, "feature_names_in_")
    if any(takes_columns) and not (is_known and X.shape[1] == ensemble.n_features_in_):
        validate_data(ensemble, X, skip_check_array=True, reset=False)

    def take_features(i: int) -> Any:
        return take_columns(X, features[i]) if takes_columns[i] else X

    for members, outputs in ensemble._stacks.outputs(estimators, take_features):
        nets = [final_step(estimators[member]) for member in members]
        yield members, ensemble._columns_of(nets[0]), ensemble._read(nets, outputs)


def average(ensemble: Any, X: Any) -> np.ndarray:
    """Average what all networks say, shape (n_samples, n_columns)."""
    mean: Any = 0.0
    for _, columns, said in _answers(ensemble, X):
        share = said.sum(1).cpu().numpy()
        if not np.array_equal(columns, np.arange(ensemble._n_columns)):
            known, share = share, np.zeros((len(said), ensemble._n_columns))
            share[:, columns] = known
        mean += share / len(ensemble.estimators_)
    return mean


def score_out_of_bag(ensemble: Any, X: Any, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Let each row be predicted by the networks that were not trained on it.

    Returns the mean of what they say, NaN for a row that all know, and the score of the others.
    """
    total = np.zeros((len(y), ensemble._n_columns))
    n_votes = np.zeros((len(y), 1))
    drawn = ensemble.estimators_samples_
    for members, columns, said in _answers(ensemble, X):
        shares = said.cpu().numpy()
        for k, member in enumerate(members):
            free = np.setdiff1d(np.arange(len(y)), drawn[member])
            total[np.ix_(free, columns)] += shares[free, k]
            n_votes[free] += 1
    scored = n_votes[:, 0] > 0
    if not scored.all():
        warnings.warn(
            f"{len(y) - scored.sum()} of {len(y)} rows have no out-of-bag prediction, since all "
            "networks were trained on them. Raise `n_estimators`.",
            stacklevel=6,
        )
    mean = np.full_like(total, np.nan)
    np.divide(total, n_votes, out=mean, where=n_votes > 0)
    return mean, ensemble._score_mean(y[scored], mean[scored])
