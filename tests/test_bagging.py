"""FusedBaggingClassifier is scikit-learn's BaggingClassifier: same draws, same nets, in one go."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy.special import logit
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline

from sklearn_mixup import FusedBaggingClassifier, MixupClassifier
from tests.bagged_nets import (
    CountingScaler,
    assert_members_are_those_alone,
    fit_alone,
    make_ensemble,
    make_pipe,
    make_plain,
    mean_of_members,
    net_of,
    states_of,
)
from tests.rounding import assert_near
from tests.test_fused import assert_same_net, make_net, same_bits

pytestmark = pytest.mark.usefixtures("float64")

# -- each member is the net alone --------------------------------------------------------------

DRAWS = {
    "all rows": {},
    "bootstrap": {"bootstrap": True},
    "some rows": {"max_samples": 0.6},
    "some rows twice": {"max_samples": 0.6, "bootstrap": True},
    "50 rows": {"max_samples": 50},
    "half of the columns": {"max_features": 0.5},
    "3 columns": {"max_features": 3},
    "1 column": {"max_features": 1},
    "columns twice": {"bootstrap_features": True},
    "all at once": {
        "max_samples": 0.8,
        "max_features": 0.8,
        "bootstrap": True,
        "bootstrap_features": True,
    },
}
DRAWN = pytest.mark.parametrize("draws", DRAWS.values(), ids=DRAWS)


@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
@DRAWN
def test_each_member_is_the_net_fitted_alone_on_its_rows(draws, make, iris):
    ensemble = make_ensemble(make(), **draws).fit(*iris)
    assert len(ensemble.estimators_) == 4
    assert_members_are_those_alone(ensemble, *iris)


@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
@pytest.mark.parametrize("draws", [{}, {"bootstrap": True}, {"max_samples": 0.5}], ids=str)
@pytest.mark.parametrize("whole", [False, True])
def test_weights_of_rows_are_weights_of_each_net_alone(draws, make, whole, iris):
    rng = np.random.default_rng(0)
    weight = rng.integers(0, 4, 150) if whole else rng.uniform(0, 3, 150) * (rng.random(150) < 0.8)
    ensemble = make_ensemble(make(), **draws).fit(*iris, sample_weight=weight)
    assert_members_are_those_alone(ensemble, *iris, weight)
    # Rows are drawn as without weights.
    unweighted = make_ensemble(make(), **draws).fit(*iris)
    assert_array_equal(ensemble.estimators_samples_, unweighted.estimators_samples_)
    moved = np.abs(ensemble.predict_proba(iris[0]) - unweighted.predict_proba(iris[0]))
    assert moved.max() > 1e-3


SETTINGS = [
    {"alpha": 0},
    {"alpha": 1, "lam_per": "sample", "erm_epochs": 2},
    {"class_weight": "balanced"},
    {"class_weight": {0: 1, 1: 5, 2: 0.1}},
    {"batch_size": -1, "max_epochs": 0},
    {"optimizer": torch.optim.SGD, "optimizer__momentum": 0.9},
    {"criterion__label_smoothing": 0.1},
    {"iterator_train__shuffle": False, "batch_size": 20},
]


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_each_member_is_the_net_alone_whatever_the_settings_of_the_net(params, wine):
    ensemble = make_ensemble(make_net(**params), 3, max_samples=0.7, max_features=0.7).fit(*wine)
    if params.get("iterator_train__shuffle", True):
        assert_members_are_those_alone(ensemble, *wine)
    else:  # The rows stay in the order of the table, as in scikit-learn's.
        plain = make_plain(ensemble).fit(*wine)
        for pair in zip(ensemble.estimators_, plain.estimators_, strict=True):
            assert_same_net(*pair)


def test_what_cannot_be_fused_is_named_once_and_trained_all_the_same(iris):
    ensemble = make_ensemble(make_net(optimizer=torch.optim.LBFGS), 2, bootstrap=True)
    with pytest.warns(UserWarning, match="2 of 2 nets could not be fused.*LBFGS") as caught:
        ensemble.fit(*iris)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    for i, member in enumerate(ensemble):
        alone = fit_alone(ensemble, i, *iris)
        assert_near(member.predict_proba(iris[0]), alone.predict_proba(iris[0]))


def test_the_default_is_eight_nets_on_all_rows(iris):
    ensemble = FusedBaggingClassifier(random_state=0)
    assert ensemble.set_params(n_estimators=2).fit(*iris).score(*iris) > 0.9
    assert [type(member) for member in ensemble.estimators_] == [MixupClassifier] * 2
    for member, rows in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        expected = MixupClassifier(random_state=member.random_state)
        assert repr(clone(member)) == repr(expected)
        assert_array_equal(np.sort(rows), np.arange(150))


# -- same draws, same results as scikit-learn's ------------------------------------------------


@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
@DRAWN
def test_draws_and_results_are_those_of_scikit_learn(draws, make, iris):
    X, y = iris
    ensemble = make_ensemble(make(), **draws).fit(X, y)
    plain = make_plain(ensemble).fit(X, y)
    for own, expected in zip(ensemble.estimators_, plain.estimators_, strict=True):
        assert states_of(own) == states_of(expected)
        assert_same_net(net_of(own), net_of(expected))
    for name in ("estimators_samples_", "estimators_features_", "classes_"):
        assert_array_equal(getattr(ensemble, name), getattr(plain, name))
    assert (ensemble.n_classes_, ensemble.n_features_in_) == (3, 4)
    for method in ("predict_proba", "predict_log_proba"):
        own, expected = (getattr(clf, method)(X) for clf in (ensemble, plain))
        assert own.shape == expected.shape
        assert_near(own, expected)
    assert (ensemble.predict(X) == plain.predict(X)).mean() > 0.99


def test_two_classes_have_the_shapes_of_scikit_learn(breast_cancer):
    X = breast_cancer[0][:50]
    ensemble = make_ensemble(make_pipe(), 3, bootstrap=True).fit(*breast_cancer)
    plain = make_plain(ensemble).fit(*breast_cancer)
    proba = ensemble.predict_proba(X)
    assert_near(proba, plain.predict_proba(X))
    # Unlike scikit-learn's, whose mean of logits may be of another sign than the mean's logit.
    assert_near(ensemble.decision_function(X), logit(proba[:, 1]))
    assert ensemble.decision_function(X).shape == plain.decision_function(X).shape
    assert_array_equal(ensemble.decision_function(X) > 0, ensemble.predict(X) == 1)


@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
@pytest.mark.parametrize("draws", [{}, {"max_features": 0.5}, {"max_samples": 0.4}], ids=str)
def test_out_of_bag_scores_are_those_of_scikit_learn(draws, make, iris, iris_names):
    X, y = iris[0], iris_names
    params = {"bootstrap": True, "oob_score": True, "random_state": 1, **draws}
    ensemble = make_ensemble(make(), 24, **params).fit(X, y)
    plain = make_plain(ensemble).fit(X, y)
    assert_near(ensemble.oob_decision_function_, plain.oob_decision_function_)
    assert ensemble.oob_score_ == pytest.approx(plain.oob_score_, abs=0.01)
    # By hand: a row is judged by those that have not seen it.
    seen = np.array([np.isin(np.arange(150), rows) for rows in ensemble.estimators_samples_])
    proba = np.array(
        [
            member.predict_proba(X[:, columns])
            for member, columns in zip(
                ensemble.estimators_, ensemble.estimators_features_, strict=True
            )
        ]
    )
    expected = (proba * ~seen[..., None]).sum(0) / (~seen).sum(0)[:, None]
    assert_near(ensemble.oob_decision_function_, expected)
    assert ensemble.oob_score_ == (ensemble.classes_[expected.argmax(1)] == y).mean()
    ensemble.set_params(oob_score=False).fit(X, y)
    assert not hasattr(ensemble, "oob_score_")
    assert not hasattr(ensemble, "oob_decision_function_")


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_rows_that_all_members_have_seen_have_no_out_of_bag_score(iris):
    ensemble = make_ensemble(None, 2, bootstrap=True, oob_score=True)
    with pytest.warns(UserWarning, match="(?i)out-of-bag|OOB"):
        ensemble.fit(*iris)
    seen = np.all([np.isin(np.arange(150), rows) for rows in ensemble.estimators_samples_], 0)
    assert 0 < seen.sum() < 150
    assert_array_equal(np.isnan(ensemble.oob_decision_function_).all(1), seen)
    assert_array_equal(np.isnan(ensemble.oob_decision_function_).any(1), seen)


def test_out_of_bag_score_ignores_weights(iris):
    weight = np.where(np.arange(150) % 3 == 0, 0.0, 1.0)
    ensemble = make_ensemble(None, 24, bootstrap=True, oob_score=True, random_state=1)
    ensemble.fit(*iris, sample_weight=weight)
    # A row is in the bag if it was drawn, whatever its weight; scikit-learn counts likewise.
    proba = ensemble.oob_decision_function_
    assert ensemble.oob_score_ == (proba.argmax(1) == iris[1]).mean()


# -- weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bootstrap", [False, True])
def test_a_row_of_weight_zero_has_no_influence(bootstrap, iris):
    X, y = iris
    weight = np.where(np.arange(150) % 5 == 0, 0.0, 1.5)
    strange = np.where(weight[:, None] == 0, 1e6, X)
    ensembles = [make_ensemble(bootstrap=bootstrap) for _ in range(2)]
    ensembles[0].fit(X, y, sample_weight=weight)
    ensembles[1].fit(strange, np.where(weight == 0, 2 - y, y), sample_weight=weight)
    assert all(map(same_bits, *(ensemble.estimators_ for ensemble in ensembles)))
    if not bootstrap:  # It might as well not be there.
        kept = weight > 0
        without = make_ensemble().fit(X[kept], y[kept], sample_weight=weight[kept])
        assert all(map(same_bits, ensembles[0].estimators_, without.estimators_))


def test_a_row_of_weight_two_is_the_row_twice(iris):
    X, y = iris
    twice = np.arange(150) % 4 == 0
    weighted = make_ensemble().fit(X, y, sample_weight=1 + twice)
    repeated = make_ensemble().fit(np.vstack([X, X[twice]]), np.append(y, y[twice]))
    for pair in zip(weighted.estimators_, repeated.estimators_, strict=True):
        assert_same_net(*pair)


def test_equal_weights_do_not_matter(iris):
    plain, weighted = make_ensemble(bootstrap=True), make_ensemble(bootstrap=True)
    plain.fit(*iris)
    for weight in (np.ones(150), [1] * 150, None):
        weighted.fit(*iris, weight)
        for pair in zip(plain.estimators_, weighted.estimators_, strict=True):
            assert_same_net(*pair)


# -- transformers are fitted once, where that is the same --------------------------------------


@pytest.mark.parametrize(
    ("before", "draws", "fits"),
    [
        ([], {}, 1),
        ([], {"max_samples": 1.0, "max_features": 1.0}, 1),
        ([], {"bootstrap": True}, 4),
        ([], {"max_samples": 0.9}, 4),
        ([], {"max_features": 0.5}, 4),
        ([], {"bootstrap_features": True}, 4),
        ([("pca", PCA(3, svd_solver="randomized"))], {}, 4),
    ],
    ids=str,
)
def test_transformers_are_fitted_once_where_all_members_would_fit_the_same(
    before, draws, fits, iris
):
    pipe = make_pipe(("scale", CountingScaler()), *before)
    CountingScaler.fits = 0
    ensemble = make_ensemble(pipe, **draws).fit(*iris)
    assert CountingScaler.fits == fits
    assert len({id(member["scale"]) for member in ensemble.estimators_}) == fits
    assert len({id(member) for member in ensemble.estimators_}) == 4
    assert len({id(member["net"]) for member in ensemble.estimators_}) == 4
    assert not hasattr(pipe["scale"], "mean_")
    assert_members_are_those_alone(ensemble, *iris)


def test_the_net_may_lie_in_a_pipeline_in_a_pipeline(iris):
    pipe = Pipeline([("scale", CountingScaler()), ("rest", make_pipe(("pca", PCA(2))))])
    CountingScaler.fits = 0
    ensemble = make_ensemble(pipe, 3).fit(*iris)
    plain = make_plain(ensemble).fit(*iris)
    for own, expected in zip(ensemble.estimators_, plain.estimators_, strict=True):
        assert [name for name, _ in own["rest"].steps] == ["pca", "net"]
        assert_same_net(net_of(own), net_of(expected))
    assert_near(ensemble.predict_proba(iris[0]), plain.predict_proba(iris[0]))
    assert_near(ensemble.predict_proba(iris[0]), mean_of_members(ensemble, iris[0]))
