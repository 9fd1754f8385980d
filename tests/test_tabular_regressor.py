"""TabularMixupRegressor: numbers in units of their own, one or several a row; shares of their mean.

What it has in common with the classifier is in test_tabular.py.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes
from sklearn.ensemble import (
    HistGradientBoostingRegressor,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import mean_squared_error, r2_score
from sklearn.multioutput import MultiOutputRegressor
from sklearn.neighbors import KNeighborsRegressor

from sklearn_mixup import MixupRegressor, TabularMixupRegressor
from sklearn_mixup._net.numbers import Numbers
from sklearn_mixup._tabular import committee as committee_module
from sklearn_mixup._tabular.rows import Rows

SETTING = {"hidden_sizes": (16,), "lr": 0.02, "batch_size": 16}


def regressor(**params):
    return TabularMixupRegressor(
        **{
            "n_estimators": 2,
            "settings": [SETTING],
            "others": [Ridge(), RandomForestRegressor(4)],
            "max_epochs": 8,
            "random_state": 0,
            **params,
        }
    )


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    X, y = X[:150], y[:150]
    X.flags.writeable = y.flags.writeable = False
    return X, y


def several(y):
    """Columns of other sizes each."""
    return np.column_stack([y, -1e6 * y + 7, 1e-9 * np.cos(y)])


# -- the mean -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make_y", [np.array, several], ids=["number", "columns"])
def test_the_mean_of_all_that_was_weighed_is_predicted_in_units_of_y(make_y, diabetes):
    X, y = diabetes[0], make_y(diabetes[1])
    settings = [{"alpha": 0.2}, {"alpha": 0, "lr": 0.02, "bins": 4}, {**SETTING, "lr": 1e-6}]
    found = regressor(n_estimators=3, settings=settings).fit(X, y)
    # It has learned nothing: less than its share before any row was seen, half of a third.
    assert found.setting_weights_[2] < 1 / 6
    assert found.estimator_weights_.sum() == pytest.approx(1)
    encoded = found._encoder.transform(X)
    binned = found._bins[4].transform(encoded)
    said = [
        member.predict(binned if i == 1 else encoded).reshape(150, -1)
        for member, i in zip(found.estimators_, found.estimator_settings_, strict=True)
    ]
    mean = np.average(said, axis=0, weights=found.estimator_weights_)
    columns = y.reshape(150, -1)
    expected = columns.mean(axis=0) + mean * columns.std(axis=0)
    assert_allclose(found.predict(X), expected.reshape(y.shape), rtol=1e-4)
    assert found.score(X, y) == pytest.approx(r2_score(y, expected.reshape(y.shape)), abs=1e-4)


def test_predictions_have_the_shape_of_y(diabetes):
    X, y = diabetes
    for targets, kind in ((y, ""), (y[:, None], "-multioutput"), (several(y), "-multioutput")):
        found = regressor(max_epochs=1).fit(X, targets)
        assert found.predict(X[:5]).shape == targets[:5].shape
        assert found.predict(X[:5]).dtype == np.float64
        assert found.target_type_ == "continuous" + kind
        assert found.n_outputs_ == (targets.shape[1] if targets.ndim == 2 else 1)


def test_the_unit_of_y_makes_no_difference(diabetes):
    X, y = diabetes
    first = regressor().fit(X, y)
    for scale, offset in ((1e-12, 0), (-1e9, 0), (1.0, 1e9)):
        other = regressor().fit(X, scale * y + offset)
        # Rows have other places in their hash, so the networks draw others.
        assert other.score(X, scale * y + offset) == pytest.approx(first.score(X, y), abs=0.1)
        assert other.validation_loss_ == pytest.approx(scale**2 * first.validation_loss_, rel=0.3)
        assert other.target_scale_ == pytest.approx(abs(scale) * first.target_scale_, rel=1e-6)


@pytest.mark.parametrize("constant", [0.0, 1 / 3, 1e9])
def test_a_constant_is_predicted_exactly(constant, diabetes):
    X, y = diabetes
    found = regressor(max_epochs=2).fit(X, np.full(150, constant))
    assert_array_equal(found.predict(X), constant)
    assert found.validation_loss_ == 0
    both = regressor(max_epochs=2).fit(X, np.column_stack([np.full(150, constant), y])).predict(X)
    assert_array_equal(both[:, 0], constant)
    assert np.ptp(both[:, 1]) > 0


def test_targets_that_are_chance_are_predicted_by_about_their_mean():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 10)), rng.exponential(size=400)
    net = MixupRegressor(random_state=0, alpha=0, lr=0.01, early_stopping=False)
    found = TabularMixupRegressor(settings=[{"alpha": 0, "lr": 0.01}], random_state=0)
    scores = [own.fit(X[200:], y[200:]).score(X[:200], y[:200]) for own in (found, net)]
    assert scores[0] > -0.2
    assert scores[1] < scores[0] - 0.3  # what the nets would do by themselves


def test_the_loss_is_the_mean_squared_error_of_the_rows_left_out_in_units_of_y(diabetes):
    y = several(diabetes[1])
    weight = np.random.default_rng(0).uniform(0.5, 2, size=150)
    numbers = Numbers.standardising(y, "continuous-multioutput", weight)
    encoded = numbers.encode(y)
    rng = np.random.default_rng(1)
    said = encoded + rng.normal(size=(2, 150, 3)) * np.array([0.5, 1.0])[:, None, None]
    reg = regressor()
    reg._keep(numbers)
    reg._choose([[None]], [None], said, Rows(np.zeros((150, 1)), encoded, weight, None))
    assert reg.setting_weights_[0] > 0.6
    mean = np.tensordot(reg.setting_weights_, said, 1)
    expected = mean_squared_error(y, numbers.decode(mean), sample_weight=weight)
    assert reg.validation_loss_ == pytest.approx(expected)


def test_weights_count_when_a_setting_is_chosen():
    # Each setting is right about one half of the rows.
    y = np.random.default_rng(0).normal(size=(2000, 1))
    half = np.arange(2000)[:, None] < 1000
    found = np.stack([np.where(half, y, 0), np.where(half, 0, y)])
    for weights, chosen in (([1.0, 9.0], 1), ([9.0, 1.0], 0), ([9e300, 1e300], 0)):
        reg = regressor()
        reg._keep(Numbers("continuous", np.zeros(1), np.ones(1)))
        weight = np.repeat(weights, 1000)
        reg._choose([[None]], [None], found, Rows(np.zeros((2000, 1)), y, weight, None))
        assert reg.setting_weights_[chosen] > 0.85


def test_rows_that_weigh_more_are_met_better(diabetes):
    X, y = diabetes
    X, y = np.vstack([X, X]), np.concatenate([y, -y])  # Each row stands there twice, with two y.
    first = np.arange(300) < 150
    for heavy in (first, ~first):
        found = regressor().fit(X, y, sample_weight=np.where(heavy, 9.5, 0.5))
        assert found.score(X[heavy], y[heavy]) > found.score(X[~heavy], y[~heavy]) + 1


# -- others ---------------------------------------------------------------------------------------


def test_a_regressor_that_takes_one_column_is_fitted_to_each(diabetes):
    X, y = diabetes
    others = [Ridge(), HistGradientBoostingRegressor(max_iter=4)]
    one, many = (regressor(others=others).fit(X, own) for own in (y, several(y)))
    assert [type(own) for own in one.settings_[1:]] == [Ridge, HistGradientBoostingRegressor]
    assert [type(own) for own in many.settings_[1:]] == [Ridge, MultiOutputRegressor]
    assert many.settings_[2].estimator.random_state is not None


def test_it_stands_behind_a_transformation_of_the_target(diabetes):
    X, y = diabetes
    logs = TransformedTargetRegressor(regressor(), func=np.log, inverse_func=np.exp).fit(X, y)
    assert (logs.predict(X) > 0).all()
    assert logs.score(X, y) > 0.3


def test_networks_alone_are_what_remains_without_others(diabetes):
    found = regressor(others=()).fit(*diabetes)
    assert {type(own) for own in found.estimators_} == {MixupRegressor}
    assert found.settings_ == [SETTING]


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.full(150, np.nan), "Input y contains NaN"),
        (np.r_[np.inf, np.zeros(149)], "Input y contains infinity"),
        (np.repeat(["cat", "dog"], 75), r"y must hold numbers; got 'cat'.*TabularMixupClassifier"),
        (np.repeat(np.datetime64("2024-01-01"), 150), "y must hold numbers"),
        (np.ones((150, 2, 2)), "dim"),
    ],
    ids=["NaN", "infinite", "words", "dates", "pictures"],
)
def test_targets_that_are_no_finite_numbers_are_refused(y, told, diabetes):
    with pytest.raises(ValueError, match=told):
        regressor().fit(diabetes[0], y)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"n_estimators": 0}, "n_estimators"),
        ({"settings": []}, "`settings` must hold a dict of parameters of MixupRegressor"),
        ({"settings": [{"scale_y": True}]}, "must not set scale_y.*of TabularMixupRegressor"),
        ({"settings": [{"class_weight": "balanced"}]}, "class_weight"),
        ({"settings": [{"criterion": "cross_entropy"}]}, "criterion"),
        ({"others": [LinearRegression]}, "`others` must hold regressors with predict, not fitted"),
        ({"others": [LogisticRegression()]}, "`others` must hold regressors with predict"),
        (
            {"others": [HistGradientBoostingRegressor(loss="poisson")]},
            "`others` must take encoded rows and standardised targets; Hist.*non-negative y",
        ),
    ],
)
def test_a_parameter_that_cannot_be_is_told(params, told, diabetes):
    with pytest.raises((ValueError, TypeError), match=told):
        regressor(**params).fit(*diabetes)


def test_others_that_take_no_weights_are_told_where_there_are_some(diabetes):
    X, y = diabetes
    neighbours = regressor(others=[KNeighborsRegressor()], max_epochs=1)
    with pytest.raises(
        ValueError, match=r"`others` must hold regressors that take `sample_weight`"
    ):
        neighbours.fit(X, y, sample_weight=np.linspace(0.5, 1, 150))
    clone(neighbours).fit(X, y, sample_weight=np.full(150, 0.5))


def test_two_rows_are_learned_by_all():
    found = TabularMixupRegressor(n_estimators=2, max_epochs=2, random_state=0)
    predicted = found.fit([[0.0, "a"], [1.0, "b"]], [1.0, 3.0]).predict([[0.0, "a"], [1.0, "b"]])
    assert ((predicted > 0) & (predicted < 4)).all()


def test_other_columns_than_in_fit_are_refused(diabetes):
    X, y = diabetes
    with pytest.raises(
        ValueError, match="X has 9 features, but TabularMixupRegressor is expecting"
    ):
        regressor(max_epochs=1).fit(X, y).predict(X[:, 1:])


def test_a_time_that_is_short_ends_with_what_was_learned(diabetes, monkeypatch):
    monkeypatch.setattr(committee_module, "_PATIENCE", None)
    found = regressor(max_epochs=10**6, time_limit_s=0.5, settings=[SETTING, SETTING])
    found.fit(*diabetes)
    assert len(found.settings_) == 1  # no other settings, and no others
    assert np.isfinite(found.predict(diabetes[0])).all()
