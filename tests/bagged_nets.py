"""What the tests of FusedBaggingClassifier share: small ensembles, and what they should be."""

import re

import numpy as np
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mixup import FusedBaggingClassifier
from tests.test_fused import assert_same_net, make_net


class CountingScaler(StandardScaler):
    """A scaler that keeps count of its fits."""

    fits = 0

    def fit(self, X, y=None):
        type(self).fits += 1
        return super().fit(X, y)


def make_pipe(*before, **params):
    return Pipeline([*(before or [("scale", StandardScaler())]), ("net", make_net(**params))])


def make_ensemble(estimator=None, n_estimators=4, **params):
    estimator = make_net() if estimator is None else estimator
    return FusedBaggingClassifier(estimator, n_estimators, **{"random_state": 0, **params})


def make_plain(ensemble):
    """Make scikit-learn's own ensemble of the same settings."""
    params = {
        name: ensemble.get_params(deep=False)[name] for name in BaggingClassifier().get_params()
    }
    return BaggingClassifier(**{**params, "estimator": clone(ensemble.estimator)})


def net_of(member):
    while isinstance(member, Pipeline):
        member = member[-1]
    return member


def states_of(member):
    """Collect all that governs the randomness of a member, by name."""
    params = member.get_params()
    return {name: params[name] for name in params if re.search(r"(^|__)random_state$", name)}


def fit_alone(ensemble, i, X, y, sample_weight=None):
    """Fit what member `i` is said to be: a clone with its random_state, on the rows drawn."""
    member = clone(ensemble.estimator).set_params(**states_of(ensemble.estimators_[i]))
    rows, columns = ensemble.estimators_samples_[i], ensemble.estimators_features_[i]
    drawn = slice(None) if np.array_equal(columns, np.arange(X.shape[1])) else columns
    if sample_weight is None:
        # In scikit-learn's order: sums of columns that lie otherwise in memory round otherwise.
        return member.fit(X[rows][:, drawn], y[rows])
    if isinstance(member, Pipeline):
        step = member.steps[-1][0]
        return member.fit(
            X[rows][:, drawn], y[rows], **{f"{step}__sample_weight": sample_weight[rows]}
        )
    # An epoch visits each row once that is weighted by what is no whole number.
    counts = np.bincount(rows, minlength=len(y))
    return member.fit(X[:, drawn], y, sample_weight=counts * sample_weight)


def mean_of_members(ensemble, X):
    """Average what the members say, each of its own columns and classes, in float64."""
    total = np.zeros((len(X), len(ensemble.classes_)))
    for member, columns in zip(ensemble.estimators_, ensemble.estimators_features_, strict=True):
        of_member = member.predict_proba(X[:, columns])
        for k, label in enumerate(member.classes_):
            total[:, list(ensemble.classes_).index(label)] += of_member[:, k]
    return total / len(ensemble.estimators_)


def assert_members_are_those_alone(ensemble, X, y, sample_weight=None):
    for i, member in enumerate(ensemble.estimators_):
        alone = fit_alone(ensemble, i, X, y, sample_weight)
        assert_same_net(net_of(member), net_of(alone))
        assert_array_equal(member.classes_, alone.classes_)
