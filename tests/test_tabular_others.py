"""Estimators beside the networks: what they are fitted on, what they tell, when they are none."""

import time

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mixup import TabularMixupClassifier, TabularMixupRegressor
from sklearn_mixup._tabular.committee import tell
from sklearn_mixup._tabular.others import fit_others, list_classifiers, list_regressors
from sklearn_mixup._tabular.rows import Rows, deal_folds


class Memory(ClassifierMixin, BaseEstimator):
    """Is sure of the rows that it was fitted on, and of no other."""

    def fit(self, X, y, sample_weight=None):
        self.classes_ = np.unique(y)
        self.rows_ = X[:, 0].tolist()
        self.weight_ = sample_weight
        return self

    def predict_proba(self, X):
        known = np.isin(X[:, 0], self.rows_)
        return np.eye(len(self.classes_))[known.astype(int)]


@pytest.fixture
def rng():
    return np.random.RandomState(0)


@pytest.fixture
def rows(rng):
    return Rows(np.arange(60, dtype=np.float32)[:, None], np.repeat([0, 1], 30), None, np.ones(2))


@pytest.mark.parametrize("n_estimators", [1, 3, 8, 16])
def test_rows_are_told_of_by_copies_that_were_fitted_without_them(n_estimators, rows, rng):
    left_out = deal_folds(rows.y, n_estimators, rng)
    (fitted,), found = fit_others([Memory()], rows, left_out, rng)
    assert fitted.rows_ == [*range(60)]
    known = np.unique(np.concatenate(left_out))
    assert_array_equal(found, np.tile([1.0, 0.0], (1, len(known), 1)))


def test_probabilities_are_those_of_fits_by_hand(rows, rng):
    X = np.hstack([rows.X, rng.normal(size=(60, 3))]).astype(np.float32)
    rows = rows.encoded_as(X)
    left_out = deal_folds(rows.y, 8, rng)
    others = [LogisticRegression(), HistGradientBoostingClassifier(max_iter=3, random_state=0)]
    fitted, found = fit_others(others, rows, left_out, rng, n_jobs=2)
    for other, whole, proba in zip(others, fitted, found, strict=True):
        for own in left_out:
            kept = np.setdiff1d(np.arange(60), own)
            by_hand = clone(other).fit(X[kept], rows.y[kept])
            assert_allclose(proba[own], by_hand.predict_proba(X[own]), atol=1e-6)
        by_hand = clone(other).fit(X, rows.y)
        assert_allclose(whole.predict_proba(X), by_hand.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_numbers_are_those_of_fits_by_hand(n_outputs, rows, rng):
    y = rng.normal(size=(60, n_outputs))
    rows = Rows(rng.normal(size=(60, 3)).astype(np.float32), y, None, None)
    left_out = deal_folds(rows.strata, 8, rng)
    forest = RandomForestRegressor(3, random_state=0)
    fitted, found = fit_others([Ridge(), forest], rows, left_out, rng, n_jobs=2)
    targets = y[:, 0] if n_outputs == 1 else y
    for other, whole, said in zip([Ridge(), forest], fitted, found, strict=True):
        for own in left_out:
            kept = np.setdiff1d(np.arange(60), own)
            by_hand = clone(other).fit(rows.X[kept], targets[kept]).predict(rows.X[own])
            assert_allclose(said[own], by_hand.reshape(-1, n_outputs), atol=1e-5)
        by_hand = clone(other).fit(rows.X, targets).predict(rows.X)
        assert_allclose(whole.predict(rows.X), by_hand, atol=1e-5)


def test_weights_of_rows_and_classes_reach_them_with_a_mean_of_one(rows, rng):
    weight = rng.uniform(1, 2, 60)
    rows = Rows(rows.X, rows.y, weight, np.array([1.0, 3.0]))
    (fitted,), _ = fit_others([Memory()], rows, deal_folds(rows.y, 2, rng), rng)
    expected = weight * np.repeat([1, 3], 30)
    assert_allclose(fitted.weight_, expected / expected.mean())
    even = Rows(rows.X, rows.y, np.full(60, 7.0), np.ones(2))
    (fitted,), _ = fit_others([Memory()], even, deal_folds(rows.y, 2, rng), rng)
    assert fitted.weight_ is None


def test_a_class_that_one_has_not_seen_has_no_probability():
    X, y = np.array([[0.0], [1.0], [2.0]]), [0, 2, 2]
    proba = tell(LogisticRegression().fit(X, y), X, 4)
    assert_array_equal(proba[:, [1, 3]], 0)
    assert_allclose(proba.sum(axis=1), 1)


def test_each_has_a_seed_of_its_own_unless_it_brings_one(rows, rng):
    forests = [RandomForestClassifier(2), RandomForestClassifier(2, random_state=5)]
    piped = make_pipeline(StandardScaler(), RandomForestClassifier(2))
    (first, second, third), _ = fit_others([*forests, piped], rows, [], rng)
    assert first.random_state is not None
    assert second.random_state == 5
    assert third[-1].random_state not in {None, first.random_state}
    assert forests[0].random_state is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_says_no_finite_number_is_told(value, rows, rng):
    class Broken(Memory):
        def predict_proba(self, X):
            return np.full((len(X), 2), value)

    with pytest.raises(ValueError, match=r"must predict finite numbers; Broken\(\) says (nan|inf)"):
        fit_others([Broken()], rows, deal_folds(rows.strata, 2, rng), rng)


def test_what_is_not_ready_in_time_is_left_out(rows, rng):
    left_out = deal_folds(rows.y, 2, rng)
    for deadline, n_fitted in ((time.perf_counter() - 1, 0), (time.perf_counter() + 1e6, 2)):
        fitted, found = fit_others([Memory(), Memory()], rows, left_out, rng, deadline=deadline)
        assert len(fitted) == len(found) == n_fitted


def test_an_interrupt_keeps_what_is_ready(rows, rng):
    class Interrupted(Memory):
        def fit(self, X, y, sample_weight=None):
            raise KeyboardInterrupt

    left_out = deal_folds(rows.y, 2, rng)
    fitted, found = fit_others([Memory(), Interrupted(), Memory()], rows, left_out, rng)
    assert [type(own) for own in fitted] == [Memory]
    assert len(found) == 1


@pytest.mark.parametrize("list_them", [list_classifiers, list_regressors])
def test_leaves_and_boosting_are_bounded_by_the_size_of_the_table(list_them):
    small, large, wide = (list_them(*size) for size in ((100, 10, 2), (10**5, 10, 8), (99, 999, 3)))
    assert [own.min_samples_leaf for own in small[1:3]] == [1, 1]
    assert [own.min_samples_leaf for own in large[1:3]] == [200, 200]
    assert [len(own) for own in (small, large, wide)] == [4, 4, 3]


@pytest.mark.parametrize(
    ("nets", "forest"),
    [
        (TabularMixupClassifier(), RandomForestClassifier(20)),
        (TabularMixupRegressor(), RandomForestRegressor(20)),
    ],
    ids=["labels", "numbers"],
)
def test_a_committee_trusts_whichever_is_right(nets, forest, rng):
    # What is odd and even is a matter for trees; networks of one epoch know nothing.
    X = rng.randint(12, size=(600, 1)).astype(float)
    y = (X[:, 0] % 2 == 1).astype(int)
    nets.set_params(n_estimators=2, max_epochs=1, others=(), random_state=0)
    both = clone(nets).set_params(others=[forest]).fit(X[:300], y[:300])
    assert both.setting_weights_[-1] > 0.8
    assert both.score(X[300:], y[300:]) > 0.95
    assert nets.fit(X[:300], y[:300]).score(X[300:], y[300:]) < 0.9
