"""Searches and ensembles of MixupRegressor: what scikit-learn's do, one net after the other."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.ensemble import BaggingRegressor
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedBaggingRegressor,
    FusedGridSearchCV,
    FusedRandomizedSearchCV,
    MixupClassifier,
    MixupRegressor,
)
from tests.rounding import ROUNDING, assert_near

pytestmark = pytest.mark.usefixtures("float64")


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:120], y[:120]
    X.flags.writeable = y.flags.writeable = False
    return X, y


def regressor(**params):
    """Make a small net that trains on all rows for a few epochs, unless told otherwise."""
    own = {"hidden_sizes": (8,), "max_epochs": 3, "early_stopping": False, "random_state": 0}
    return MixupRegressor(**{**own, **params})


def columns(y):
    return np.stack([y, 1e3 - y**2], 1)


GRIDS = {
    "what a stack shares": {"alpha": [0, 0.2, 1.0], "lr": [1e-3, 1e-2]},
    "what parts stacks": {
        "criterion": ["squared_error", "absolute_error"],
        "scale_y": [True, False],
    },
    "levels": {"criterion": ["quantile"], "quantile": [0.1, 0.9]},
}


@pytest.mark.parametrize("make", [regressor, lambda: make_pipeline(StandardScaler(), regressor())])
@pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)
@pytest.mark.parametrize("targets", [np.asarray, columns], ids=["one", "two"])
def test_a_fused_search_finds_what_grid_search_does(make, grid, targets, diabetes):
    X, y = diabetes[0], targets(diabetes[1])
    net = make()
    prefix = "" if isinstance(net, MixupRegressor) else "mixupregressor__"
    grid = {prefix + name: values for name, values in grid.items()}
    fused = FusedGridSearchCV(net, grid, cv=3, return_train_score=True).fit(X, y)
    expected = GridSearchCV(net, grid, cv=3, return_train_score=True).fit(X, y)
    assert fused.best_params_ == expected.best_params_
    for name in ("mean_test_score", "mean_train_score", "std_test_score"):
        assert_near(fused.cv_results_[name], expected.cv_results_[name], 10 * ROUNDING)
    np.testing.assert_array_equal(fused.predict(X), expected.predict(X))


def test_a_randomized_search_tunes_a_regressor(diabetes):
    search = FusedRandomizedSearchCV(
        regressor(), {"alpha": [0, 0.2]}, n_iter=2, cv=3, scoring="neg_mean_absolute_error"
    )
    assert search.fit(*diabetes).best_score_ < 0


DRAWS = {
    "all rows": {},
    "bootstrap": {"bootstrap": True},
    "some rows": {"max_samples": 0.6},
    "some columns": {"max_features": 0.5},
}


@pytest.mark.parametrize("make", [regressor, lambda: make_pipeline(StandardScaler(), regressor())])
@pytest.mark.parametrize("draws", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("targets", [np.asarray, columns], ids=["one", "two"])
def test_an_ensemble_predicts_what_scikit_learns_does(make, draws, targets, diabetes):
    X, y = diabetes[0], targets(diabetes[1])
    fused = FusedBaggingRegressor(make(), 3, random_state=0, **draws).fit(X, y)
    expected = BaggingRegressor(make(), 3, random_state=0, **{"bootstrap": False, **draws})
    expected.fit(X, y)
    assert fused.predict(X).shape == y.shape
    assert_near(fused.predict(X), expected.predict(X), 10 * ROUNDING)
    assert fused.score(X, y) == pytest.approx(r2_score(y, fused.predict(X)))
    for own, other in zip(fused.estimators_samples_, expected.estimators_samples_, strict=True):
        np.testing.assert_array_equal(np.sort(own), np.sort(other))


@pytest.mark.parametrize("targets", [np.asarray, columns], ids=["one", "two"])
def test_rows_out_of_the_bag_are_predicted_by_the_others(targets, diabetes):
    X, y = diabetes[0], targets(diabetes[1])
    params = {"n_estimators": 12, "bootstrap": True, "oob_score": True, "random_state": 0}
    fused = FusedBaggingRegressor(regressor(), **params).fit(X, y)
    said = np.stack([net.predict(X) for net in fused.estimators_])
    for net, drawn in enumerate(fused.estimators_samples_):
        said[net, drawn] = np.nan
    expected = np.nanmean(said, 0)
    assert_near(fused.oob_prediction_, expected, 10 * ROUNDING)
    assert fused.oob_score_ == pytest.approx(r2_score(y, expected), rel=10 * ROUNDING)
    if y.ndim == 1:  # scikit-learn's takes no other
        reference = BaggingRegressor(regressor(), **params).fit(X, y)
        assert_near(fused.oob_prediction_, reference.oob_prediction_, 10 * ROUNDING)


@pytest.mark.parametrize("weighed", [False, True])
def test_members_that_stop_early_look_at_the_rows_not_drawn(weighed, diabetes):
    X, y = diabetes
    net = regressor(early_stopping=True, max_epochs=30, n_iter_no_change=2, lr=0.05)
    weight = np.linspace(0.5, 2, len(y)) if weighed else None
    ensemble = FusedBaggingRegressor(net, 3, bootstrap=True, random_state=0)
    ensemble.fit(X, y, sample_weight=weight)
    assert all(member.n_iter_ < 30 for member in ensemble.estimators_)
    for member, drawn in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        others = np.setdiff1d(np.arange(len(y)), drawn)
        w = np.ones(len(others)) if weight is None else weight[others]
        errors = ((member.predict(X[others]) - y[others]) / member.target_scale_) ** 2
        assert -member.best_validation_score_ == pytest.approx(np.average(errors, weights=w))


def test_a_search_around_an_ensemble_trains_all_nets_together(diabetes):
    ensemble = FusedBaggingRegressor(regressor(), 2, random_state=0)
    grid = {"estimator__alpha": [0, 0.5]}
    fused = FusedGridSearchCV(ensemble, grid, cv=3).fit(*diabetes)
    expected = GridSearchCV(ensemble, grid, cv=3).fit(*diabetes)
    assert_near(
        fused.cv_results_["mean_test_score"],
        expected.cv_results_["mean_test_score"],
        10 * ROUNDING,
    )


def test_an_ensemble_that_goes_on_keeps_its_members(diabetes):
    X, y = diabetes
    ensemble = FusedBaggingRegressor(regressor(), 2, warm_start=True, random_state=0).fit(X, y)
    first = ensemble.estimators_[0]
    ensemble.set_params(n_estimators=3).fit(X, y)
    assert ensemble.estimators_[0] is first
    expected = FusedBaggingRegressor(regressor(), 3, random_state=0).fit(X, y)
    assert_near(ensemble.predict(X), expected.predict(X))


def test_an_ensemble_takes_the_nets_that_are_its_own(diabetes):
    with pytest.raises(TypeError, match=r"must be a MixupRegressor.*ensemble.BaggingRegressor"):
        FusedBaggingRegressor(MixupClassifier()).fit(*diabetes)
    with pytest.raises(TypeError, match=r"must be a MixupClassifier.*ensemble.BaggingClassifier"):
        FusedBaggingClassifier(MixupRegressor()).fit(*diabetes)
    with pytest.raises(ValueError, match="must hold numbers"):
        FusedBaggingRegressor().fit(diabetes[0], ["a"] * 120)
    assert isinstance(FusedBaggingRegressor()._get_estimator(), MixupRegressor)
    assert not hasattr(clone(FusedBaggingRegressor()), "predict_proba")
