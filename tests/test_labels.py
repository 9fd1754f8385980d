"""What y may be, for each estimator: labels, several labels, rows of probabilities."""

import re
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.utils.fixes import parse_version

from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedGridSearchCV,
    MixupClassifier,
    MixupGAN,
    VicinalSampler,
)

NET = MixupClassifier(max_epochs=2, random_state=0)
BAG = FusedBaggingClassifier(NET, 2, random_state=0)
both = pytest.mark.parametrize("estimator", [NET, BAG], ids=["net", "bag"])


@pytest.fixture
def soft(iris):
    """Rows of probabilities, 0.9 for the label of a row of iris."""
    return 0.05 + 0.85 * np.eye(3)[iris[1]]


# -- classes of partial_fit -----------------------------------------------------------------------


@pytest.mark.parametrize("classes", [[0, 1, 2], [0], ["0", "1"]])
def test_other_classes_in_a_later_partial_fit_are_refused(classes, iris):
    X, y = iris
    clf = MixupClassifier(max_epochs=1).partial_fit(X[:100], y[:100], classes=[0, 1])
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match=r"is not the same as on last call to partial_fit, was"):
        clf.partial_fit(X[:100], y[:100], classes=classes)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_the_same_classes_in_a_later_partial_fit_are_fine(iris):
    X, y = iris
    clf = MixupClassifier(max_epochs=1).partial_fit(X[:100], y[:100], classes=[0, 1, 2])
    clf.partial_fit(X[:100], y[:100], classes=np.array([2, 1, 0])).partial_fit(X, y)
    assert len(clf.history) == 3


def test_words_after_numbers_are_no_known_classes(iris, iris_names):
    clf = MixupClassifier(max_epochs=1).partial_fit(*iris)
    with pytest.raises(ValueError, match=r"only the classes \[0, 1, 2\]; got \['setosa'"):
        clf.partial_fit(iris[0], iris_names)
    with pytest.raises(ValueError, match=r"only the classes \['setosa', .*got \[0, 0"):
        clf.fit(iris[0], iris_names).partial_fit(*iris)


def test_classes_of_partial_fit_must_be_those_of_the_constructor(iris):
    with pytest.raises(ValueError, match="is not the same"):
        MixupClassifier(classes=[0, 1, 2]).partial_fit(*iris, classes=[0, 1, 2, 3])


# -- missing and mixed labels ---------------------------------------------------------------------


@both
@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT])
@pytest.mark.parametrize("kind", [np.array, list, pd.Series, pd.Categorical])
def test_a_missing_label_among_words_is_refused(kind, missing, estimator, iris, iris_names):
    labels = iris_names.astype(object)
    labels[7] = missing
    with pytest.raises(ValueError, match=r"Input y contains NaN or None.*row 7"):
        estimator.fit(iris[0], kind(labels))


@both
def test_words_and_numbers_in_one_y_are_refused(estimator, iris, iris_names):
    labels = iris_names.astype(object)
    labels[7] = 7
    with pytest.raises(TypeError, match=r"all words or all numbers; got \['int', 'str'\]"):
        estimator.fit(iris[0], labels)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_gan_wants_as_many_labels_as_rows_if_any(method, iris):
    gan = MixupGAN(max_iter=1)
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[150, 2\]"):
        getattr(gan, method)(iris[0], [1, 2])
    gan.fit(*iris)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        gan.score(iris[0], [1, 2])
    # Of y the classes count as columns do; without it the rows alone.
    assert gan.score(*iris) == gan.score(*iris) != gan.score(iris[0])


def test_dates_are_classes_by_their_names(iris):
    """NumPy lists those in nanoseconds, which pandas 2 makes, as whole numbers."""
    dates = np.array(["2020-01-01", "2021-01-01", "2022-01-01"], dtype="M8[ns]")
    X, y = iris[0], dates[iris[1]]
    with pytest.raises(ValueError, match=r"1 class, \[datetime\.datetime\(2021, 1"):
        clone(NET).fit(X[50:100], y[50:100])
    for date in (dates[1], pd.Timestamp(dates[1]), datetime(2021, 1, 1)):
        clf = clone(NET).set_params(class_weight={date: 1e6}).fit(X, y)
        assert (clf.predict(X) == dates[1]).all()
        assert len(VicinalSampler().fit(X, y).sample(2, y=date)) == 2
        even = VicinalSampler(sampling_strategy={date: 60}).fit_resample(X, y)[1]
        assert (even == dates[1]).sum() == 60
        assert len(MixupGAN(max_iter=1).fit(X, y).sample(2, y=date)) == 2
    days = y.astype("M8[D]")
    for day in (days[50], days[50].item()):  # A datetime.date is none of a time.
        clone(NET).set_params(class_weight={day: 2.0}).fit(X, days)


# -- rows of probabilities ------------------------------------------------------------------------


@both
def test_rows_that_do_not_sum_to_one_are_told_their_sum(estimator, iris, soft):
    soft[7] *= 0.98
    with pytest.raises(ValueError, match=r"sum to 1; row 7 sums to 0\.98\..*y\.sum\(axis=1"):
        estimator.fit(iris[0], soft)


def test_negative_probabilities_are_refused(iris, soft):
    soft[7] = [1.25, 0, -0.25]
    with pytest.raises(ValueError, match=r">= 0, that sum to 1; got -0\.25"):
        NET.fit(iris[0], soft)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_rounded_probabilities_are_rows_that_sum_to_one(dtype, iris):
    rows = np.random.default_rng(0).dirichlet(np.ones(3), 150).astype(dtype)
    assert NET.fit(iris[0], rows).target_type_ == "probabilities"


@both
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor, pd.DataFrame, list])
def test_the_score_takes_the_largest_entry_of_a_row(kind, estimator, iris, soft):
    X, y = iris
    clf = estimator.fit(X, soft)
    weight = np.linspace(1, 2, len(y))
    expected = accuracy_score(y, clf.predict(X), sample_weight=weight)
    assert 0.5 < expected < 1
    assert clf.score(X, kind(soft), sample_weight=weight) == expected


@both
def test_a_net_fitted_with_words_is_scored_by_rows_in_their_order(
    estimator, iris, iris_names, soft
):
    clf = estimator.fit(iris[0], iris_names)
    assert clf.score(iris[0], soft) == clf.score(iris[0], iris_names) > 0.5
    with pytest.raises(ValueError, match=r"each of the 3 classes.*\(150, 2\)"):
        clf.score(iris[0], np.full((150, 2), 0.5))


@both
@pytest.mark.parametrize("names", [[0, 1, 2], ["a", "b", "c"], [3, 1, 2]])
@pytest.mark.parametrize("kind", [np.asarray, list, pd.Series])
def test_the_score_is_scikit_learns_accuracy(names, kind, estimator, iris):
    X, y = iris[0], np.array(names)[iris[1]]
    clf = estimator.fit(X, y)
    y = np.roll(y, 25)
    assert clf.score(X, kind(y)) == accuracy_score(y, clf.predict(X))
    weight = np.arange(150.0)
    expected = accuracy_score(y, clf.predict(X), sample_weight=weight)
    assert clf.score(X, kind(y), weight) == expected


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.array(["a"] * 150), "Mix of label input types"),
        (np.zeros(149, int), "inconsistent numbers of samples"),
        (np.full(150, np.nan), "NaN"),
        (np.zeros((150, 2), int), "columns|mix of|probability for each"),
    ],
)
def test_labels_that_cannot_be_scored_are_refused(y, told, iris):
    clf = MixupClassifier(max_epochs=1, random_state=0).fit(*iris)
    if told.startswith("Mix") and parse_version(sklearn.__version__) < parse_version("1.7"):
        pytest.skip("scikit-learn 1.6 takes words and numbers for labels that are never the same")
    with pytest.raises(ValueError, match=told):
        clf.score(iris[0], y)


@both
def test_several_labels_are_scored_as_a_whole(estimator, iris):
    X, y = iris
    labels = np.column_stack([y == 0, y > 0]).astype(float)
    clf = estimator.fit(X, labels.astype(int))
    assert clf.score(X, labels) == (clf.predict(X) == labels).all(axis=1).mean()


@both
def test_soft_labels_can_be_cross_validated(estimator, iris, soft):
    X, _ = iris
    order = np.random.default_rng(0).permutation(150)
    scores = cross_val_score(estimator, X[order], soft[order], cv=3)
    assert (scores > 0.4).all()
    same = cross_val_score(estimator, X[order], soft[order], cv=KFold(3))
    np.testing.assert_array_equal(scores, same)
    search = FusedGridSearchCV(estimator, [{}], cv=3, refit=False).fit(X[order], soft[order])
    np.testing.assert_allclose(search.cv_results_["mean_test_score"], scores.mean(), atol=0.02)


# -- several columns ------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("kind", [np.asarray, lambda y: y.astype(str), pd.DataFrame])
def test_several_columns_of_labels_are_told_what_wraps_the_net(kind, estimator, iris):
    labels = np.column_stack([iris[1], iris[1][::-1]])
    with pytest.raises(ValueError, match=re.escape("sklearn.multioutput.MultiOutputClassifier")):
        estimator.fit(iris[0], kind(labels))
    wrapped = MultiOutputClassifier(estimator).fit(iris[0], labels)
    assert wrapped.predict(iris[0]).shape == (150, 2)


# -- numbers that are no labels -------------------------------------------------------------------


@both
def test_numbers_that_are_no_labels_name_the_regressor(estimator):
    X, y = load_diabetes(return_X_y=True)
    # 214 different whole numbers in 442 rows; of real numbers type_of_target knows.
    with pytest.raises(ValueError, match=r"got 214 different numbers.*MixupRegressor.*astype"):
        estimator.fit(X, y)
    with pytest.raises(ValueError, match=r"numbers such as 151\.5\. MixupRegressor"):
        estimator.fit(X, y + 0.5)
    for columns in (np.stack([y, -y], 1) / 7, np.stack([y, y], 1) / 7):
        with pytest.raises(ValueError, match="MixupRegressor"):
            estimator.fit(X, columns)


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_numbers_that_are_labels_by_kind_by_name_or_by_repeating_are_taken():
    X, y = load_diabetes(return_X_y=True)
    assert len(clone(NET).fit(X, y.astype(int)).classes_) == 214
    assert len(clone(NET).partial_fit(X, y, classes=np.unique(y)).classes_) == 214
    assert len(clone(NET).set_params(classes=np.unique(y)).fit(X, y).classes_) == 214
    assert len(clone(NET).fit(X, y // 10).classes_) == 33
    assert len(clone(NET).fit(X[:18], np.arange(18.0)).classes_) == 18
