"""Committees on any table: labels and probabilities or numbers out, as scikit-learn has it."""

import pickle
import signal
import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

import sklearn_mixup._engine.stack as stack_module
from sklearn_mixup import MixupClassifier, TabularMixupClassifier, TabularMixupRegressor
from sklearn_mixup._tabular.rows import Rows

NETS = {
    "n_estimators": 2,
    "settings": [{"module__hidden_sizes": (16,), "lr": 0.02, "batch_size": 8}],
    "max_epochs": 8,
    "random_state": 0,
}
SMALL = TabularMixupClassifier(
    others=[
        LogisticRegression(),
        RandomForestClassifier(4),
        HistGradientBoostingClassifier(max_iter=4),
    ],
    **NETS,
)
OF_NUMBERS = TabularMixupRegressor(
    others=[Ridge(), RandomForestRegressor(4), HistGradientBoostingRegressor(max_iter=4)], **NETS
)


@pytest.fixture(scope="module")
def table():
    """90 rows of mixed kinds, two classes of words."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=90)
    size = 1e6 * (3 * y + rng.normal(size=90))
    frame = pd.DataFrame(
        {
            "size": np.where(rng.uniform(size=90) < 0.1, np.nan, size),
            "colour": np.array(["red", "blue", None])[rng.integers(3, size=90)],
            "seen": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(700, size=90), "D"),
            "old": rng.integers(2, size=90).astype(bool),
            "name": [f"name {i}" for i in range(90)],
        }
    )
    return frame, np.array(["cat", "dog"])[y]


@pytest.fixture(scope="module")
def fitted(table):
    return clone(SMALL).fit(*table)


@pytest.fixture(scope="module", params=["labels", "numbers", "columns"])
def case(request, table, wine):
    """An estimator with a table to learn: labels, numbers, or columns of numbers."""
    X, words = table
    on_wine = wine
    small, y = SMALL, words
    if request.param != "labels":
        small, y = OF_NUMBERS, 100 + 20 * (words == "dog") + X["old"].to_numpy()
        on_wine = wine[0], wine[0] @ np.arange(13)
    if request.param == "columns":
        y = np.column_stack([y, -1e6 * y])
        on_wine = wine[0], np.column_stack([on_wine[1], wine[0][:, 0]])

    def fit(X=X, y=y, sample_weight=None, **params):
        return clone(small).set_params(**params).fit(X, y, sample_weight)

    return SimpleNamespace(X=X, y=y, small=small, wine=on_wine, fit=fit, fitted=fit())


def say(fitted, X):
    """Predict all that there is to predict."""
    return getattr(fitted, "predict_proba", fitted.predict)(X)


# -- what goes in and comes out -------------------------------------------------------------------


def test_a_table_of_any_kind_is_learned(table, fitted):
    X, y = table
    assert fitted.classes_.tolist() == ["cat", "dog"]
    assert fitted.feature_names_in_.tolist() == [*X.columns]
    assert fitted.n_features_in_ == 5
    proba = fitted.predict_proba(X)
    assert_allclose(proba.sum(axis=1), 1)
    assert_array_equal(fitted.predict(X), fitted.classes_[proba.argmax(axis=1)])
    assert fitted.score(X, y) > 0.7


def test_tables_of_all_packages_are_learned_alike(case):
    X = case.X
    columns = {name: X[name].tolist() for name in ("size", "old", "name")}
    columns["size"] = [None if np.isnan(value) else value for value in columns["size"]]
    columns["colour"] = X["colour"].astype(object).where(X["colour"].notna(), None).tolist()
    columns["seen"] = [day.to_pydatetime() for day in X["seen"]]
    expected = say(case.fit(pd.DataFrame(columns)), pd.DataFrame(columns))
    for make in (pl.DataFrame, pa.table):
        found = case.fit(make(columns))
        assert_array_equal(say(found, make(columns)), expected)
        assert found.feature_names_in_.tolist() == [*columns]


def test_tables_are_not_written_to(case, assert_unchanged):
    weight = np.ones(90)
    with assert_unchanged(case.X, case.y, weight):
        case.fit(sample_weight=weight).predict(case.X)
    numbers = np.array(case.X[["size"]])
    with assert_unchanged(numbers):
        case.fit(numbers).predict(numbers)


def test_the_same_state_gives_the_same_bits_by_however_many_threads(case):
    for n_jobs in (1, 2):
        assert_array_equal(say(case.fit(n_jobs=n_jobs), case.X), say(case.fitted, case.X))
    other = case.fit(random_state=1)
    assert not np.array_equal(say(other, case.X), say(case.fitted, case.X))


def test_global_generators_are_left_alone(case):
    before = pickle.dumps(np.random.get_state())  # noqa: NPY002
    case.fit(random_state=None)
    assert pickle.dumps(np.random.get_state()) == before  # noqa: NPY002


def test_a_row_is_predicted_alike_wherever_it_stands(case):
    X, fitted = case.X, case.fitted
    whole = say(fitted, X)
    assert_array_equal(say(fitted, X[::-1]), whole[::-1])
    assert_array_equal(np.concatenate([say(fitted, X[i : i + 1]) for i in range(9)]), whole[:9])
    on_wine = case.fit(*case.wine, n_estimators=8)
    rows = np.random.default_rng(0).normal(size=(997, 13))
    whole = say(on_wine, rows)
    assert_array_equal(say(on_wine, rows[::-1]), whole[::-1])
    one_by_one = [say(on_wine, rows[i : i + 1]) for i in range(100)]
    assert_array_equal(np.concatenate(one_by_one), whole[:100])


def test_the_order_of_the_rows_makes_no_difference(case):
    X, y = case.wine
    rows = np.random.default_rng(0).permutation(len(y))
    found = [say(case.fit(X[own], y[own]), X) for own in (rows, slice(None))]
    assert_allclose(*found, rtol=1e-5)


def test_it_is_pickled_without_a_change(case):
    again = pickle.loads(pickle.dumps(case.fitted))
    assert_array_equal(say(again, case.X), say(case.fitted, case.X))


def test_it_works_in_pipelines_searches_and_cross_validation(case):
    X, y = case.X, case.y
    select = FunctionTransformer(lambda frame: frame.drop(columns="name"))
    pipeline = Pipeline([("select", select), ("committee", case.small)])
    search = GridSearchCV(pipeline, {"committee__n_estimators": [1, 3]}, cv=2)
    assert search.fit(X, y).score(X, y) > 0.5
    assert cross_val_score(pipeline, X, y, cv=2).shape == (2,)


@pytest.mark.parametrize("labels", [[0, 1], [False, True], [3.0, -1.0], ["b", "a"]])
def test_labels_of_any_kind_come_out_as_they_went_in(labels, table):
    X, y = table
    y = np.array(labels)[(y == "dog").astype(int)]
    found = clone(SMALL).fit(X, y)
    assert_array_equal(found.classes_, np.unique(y))
    assert found.predict(X).dtype == y.dtype
    assert found.score(X, y) > 0.7


@pytest.mark.parametrize("n_epochs", [0, 2])
def test_ctrl_c_ends_a_fit_that_was_not_ready(n_epochs, case, monkeypatch, ctrl_c_raises):
    n_seen = []

    def count(self, told=None):
        n_seen.append(1)
        if len(n_seen) == n_epochs + 1:
            signal.raise_signal(signal.SIGINT)
        return sum_weights(self)

    sum_weights = stack_module._Stack.sum_weights
    monkeypatch.setattr(stack_module._Stack, "sum_weights", count)
    interrupted = clone(case.small)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(case.X, case.y)
    with pytest.raises(NotFittedError):
        interrupted.predict(case.X)


# -- the committee --------------------------------------------------------------------------------


def test_the_mean_of_all_that_was_weighed_is_predicted_at_the_temperature(table):
    X, y = table
    settings = [
        {"alpha": 0.2},
        {"alpha": 0, "lr": 0.02, "bins": 4},
        {"module__hidden_sizes": (4,), "lr": 1e-6},
    ]
    others = [LogisticRegression(), RandomForestClassifier(20)]
    found = TabularMixupClassifier(
        n_estimators=3, settings=settings, others=others, max_epochs=8, random_state=0
    ).fit(X, y)
    assert found.setting_weights_.shape == (5,)
    # It has learned nothing: less than its share before any row was seen, half of a third.
    assert 0 < found.setting_weights_[2] < 1 / 6
    assert len(found.estimators_) == len(found.estimator_weights_) == 3 * 3 + 2
    assert found.estimator_weights_.sum() == pytest.approx(1)
    encoded = found._encoder.transform(X)
    binned = found._bins[4].transform(encoded)
    assert found.estimator_settings_ == [0] * 3 + [1] * 3 + [2] * 3 + [3, 4]
    assert [type(own) for own in found.settings_[3:]] == [type(own) for own in others]
    said = [
        member.predict_proba(binned if i == 1 else encoded)
        for member, i in zip(found.estimators_, found.estimator_settings_, strict=True)
    ]
    mean = np.average(said, axis=0, weights=found.estimator_weights_)
    heated = mean ** (1 / found.temperature_)
    expected = heated / heated.sum(axis=1, keepdims=True)
    assert_allclose(found.predict_proba(X), expected, rtol=1e-5)


def test_labels_that_have_nothing_to_do_with_the_rows_get_about_their_share():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(400, 10)), rng.uniform(size=400) < 0.3
    settings = [{"alpha": 0, "module__hidden_sizes": (32,), "lr": 0.01}]
    net = MixupClassifier(max_epochs=32, random_state=0, **settings[0])
    found = TabularMixupClassifier(settings=settings, max_epochs=32, random_state=0)
    losses = [
        log_loss(y[:200], estimator.fit(X[200:], y[200:]).predict_proba(X[:200]))
        for estimator in (found, net)
    ]
    by_share = log_loss(y[:200], np.full(200, y[200:].mean()))
    assert losses[0] < by_share + 0.05
    assert losses[1] > by_share + 0.1  # what the nets would do by themselves


def test_weights_of_classes_count(table):
    X, y = table
    even, of_cats = (
        clone(SMALL).set_params(class_weight=weight).fit(X, y).predict_proba(X)[:, 0].mean()
        for weight in ("balanced", {"cat": 20, "dog": 1})
    )
    assert of_cats > even + 0.2


def test_a_row_of_weight_two_is_that_row_twice_and_one_of_weight_zero_none(case):
    weight = np.arange(90) % 3
    rows = np.repeat(np.arange(90), weight)
    weighed = case.fit(sample_weight=weight)
    repeated = case.fit(case.X.iloc[rows], case.y[rows])
    assert_allclose(say(weighed, case.X), say(repeated, case.X), rtol=1e-5)


def test_weights_count_when_a_setting_is_chosen():
    # Each setting is right about one class.
    codes = np.repeat([0, 1], 1000)
    found = np.array([np.tile([0.9, 0.1], (2000, 1)), np.tile([0.1, 0.9], (2000, 1))])
    for weight, class_weight, chosen in (
        (None, [1.0, 9.0], 1),
        (None, [9.0, 1.0], 0),
        (np.repeat([1.0, 9.0], 1000), [1.0, 1.0], 1),
        (np.repeat([1e300, 9e300], 1000), [1.0, 1.0], 1),
        (np.full(2000, 1e-300), [1.0, 9.0], 1),
    ):
        rows = Rows(np.zeros((2000, 1)), codes, weight, np.array(class_weight))
        clf = clone(SMALL)
        clf._choose([[None]], [None], found, rows)
        assert clf.setting_weights_[chosen] > 0.95
        assert clf.validation_loss_ == pytest.approx(
            -np.log(0.9) * 0.9 - np.log(0.1) * 0.1, rel=0.1
        )


@pytest.mark.parametrize(("n_rows", "n_estimators"), [(40, 16), (500, 8), (20_000, 8), (20_001, 4)])
def test_the_number_of_networks_suits_that_of_rows(n_rows, n_estimators):
    X = np.random.default_rng(0).normal(size=(n_rows, 2))
    found = TabularMixupClassifier(
        settings=[{"batch_size": 256}], others=(), max_epochs=1, random_state=0
    )
    assert len(found.fit(X, X[:, 0] > 0).estimators_) == n_estimators


@pytest.mark.parametrize(("n_columns", "n_settings"), [(2, 2), (151, 1)])
def test_tables_of_many_numbers_are_not_shown_in_bins(n_columns, n_settings):
    X = np.random.default_rng(0).normal(size=(30, n_columns))
    found = TabularMixupClassifier(n_estimators=1, others=(), max_epochs=1, random_state=0)
    assert len(found.fit(X, X[:, 0] > 0).settings_) == n_settings


# -- bad input ------------------------------------------------------------------------------------


def test_columns_in_another_order_or_of_another_number_are_refused(case):
    X, fitted = case.X, case.fitted
    with pytest.raises(ValueError, match="same order"):
        fitted.predict(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="unseen at fit time:\n- more"):
        fitted.predict(X.assign(more=1))
    with pytest.raises(ValueError, match="now missing:\n- size"):
        fitted.predict(X.drop(columns="size"))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert_array_equal(fitted.predict(X.to_numpy()), fitted.predict(X))


def test_a_class_of_one_row_is_learned(table):
    X, y = table
    y = np.where(np.arange(90) == 7, "yak", y)
    found = clone(SMALL).fit(X, y)
    assert found.classes_.tolist() == ["cat", "dog", "yak"]
    assert np.isfinite(found.validation_loss_)


def test_two_rows_of_two_classes_are_learned_without_a_choice():
    found = clone(SMALL).fit([[0.0, "a"], [1.0, "b"]], ["x", "y"])
    assert found.predict([[0.0, "a"], [1.0, "b"]]).tolist() == ["x", "y"]
    assert np.isnan(found.validation_loss_)
    assert found.temperature_ == 1


@pytest.mark.parametrize("n_rows", [1, 2, 30])
def test_one_class_is_refused(n_rows, table):
    with pytest.raises(ValueError, match=r"at least two classes; got 1 class, \['a'\]"):
        clone(SMALL).fit(table[0][:n_rows], ["a"] * n_rows)


@pytest.mark.parametrize(
    "y", [np.eye(2)[np.arange(90) % 2].astype(int), np.full((90, 2), 0.5)], ids=["labels", "shares"]
)
def test_several_targets_a_row_are_refused(y, table):
    with pytest.raises(ValueError, match=r"y must hold one label a row.*MixupClassifier"):
        clone(SMALL).fit(table[0], y)


def test_a_table_without_rows_or_columns_that_vary_is_refused(case):
    for bad in (case.X[:0], case.X[[]]):
        with pytest.raises(ValueError, match="a row and a column at least"):
            case.fit(bad, case.y[: len(bad)])
    with pytest.raises(ValueError, match="X must have a column that varies from row to row; all"):
        case.fit(np.ones((90, 3)))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        case.fit(y=case.y[1:])


def test_labels_that_are_missing_are_refused(table):
    X, y = table
    for missing in (None, np.nan):
        with pytest.raises(ValueError, match="y contains NaN or None"):
            clone(SMALL).fit(X, [missing, *y[1:]])


def test_no_targets_are_refused(case):
    with pytest.raises(ValueError, match="requires y to be passed"):
        case.small.fit(case.X, None)


@pytest.mark.parametrize(
    "y", [np.linspace(0, 1, 90), np.arange(90) // 2 * 1.0], ids=["shares", "whole"]
)
def test_numbers_that_are_no_labels_name_the_regressor(y, table):
    with pytest.raises(ValueError, match=r"MixupRegressor and TabularMixupRegressor predict"):
        clone(SMALL).fit(table[0], y)


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"n_estimators": 0}, "n_estimators"),
        ({"time_limit_s": 0}, "time_limit_s"),
        ({"settings": []}, "`settings` must hold"),
        ({"settings": [{"alpha": 0}, 3]}, "`settings` must hold"),
        ({"settings": [{"alhpa": 0}]}, "alhpa"),
        ({"settings": [{"bins": 1}]}, "`bins` of a setting must be 0 or an int > 1"),
        ({"settings": [{"class_weight": "balanced"}]}, "`settings` must not set class_weight"),
        ({"others": LogisticRegression()}, "others"),
        ({"others": [LogisticRegression]}, "`others` must hold classifiers.*not fitted"),
        ({"others": [LinearRegression()]}, "`others` must hold classifiers"),
        ({"others": [SVC()]}, "`others` must hold classifiers with predict_proba"),
        (
            {"others": [KNeighborsClassifier()], "class_weight": "balanced"},
            "`others` must hold classifiers that take `sample_weight`.*KNeighbors",
        ),
        ({"class_weight": {"cow": 2}}, "`class_weight` must name the classes"),
    ],
)
def test_a_parameter_that_cannot_be_is_told(params, told, table):
    with pytest.raises((ValueError, TypeError), match=told):
        clone(SMALL).set_params(**params).fit(*table)


def test_a_net_tells_what_takes_words(table):
    X, y = table
    with pytest.raises((ValueError, TypeError), match=r"TabularMixupClassifier.*tabular_pipeline"):
        MixupClassifier(max_epochs=1).fit(X[["colour"]], y)
    skrub = pytest.importorskip("skrub")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = skrub.tabular_pipeline(MixupClassifier(max_epochs=8, random_state=0))
        assert pipeline.fit(X, y).score(X, y) > 0.7
