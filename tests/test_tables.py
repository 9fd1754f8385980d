"""Tables of pandas, polars and pyarrow, and what a net says of those that it cannot take."""

import datetime
import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
import torch
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.fixes import parse_version

from sklearn_mixup import FusedBaggingClassifier, FusedGridSearchCV, MixupClassifier, MixupGAN
from sklearn_mixup.inspection import gradient_norm_between, miss_rate_between
from sklearn_mixup.robustness import fgsm

NAMES = ["a", "b", "c", "d"]
NET = MixupClassifier(max_epochs=2, random_state=0)
BEFORE_1_7 = parse_version(sklearn.__version__) < parse_version("1.7")
ESTIMATORS = {
    "net": NET,
    "gan": MixupGAN(encode=False, max_iter=2, random_state=0),
    "bag": FusedBaggingClassifier(NET, 2, random_state=0),
    "bag_of_rows": FusedBaggingClassifier(NET, 2, bootstrap=True, random_state=0),
    "bag_of_columns": FusedBaggingClassifier(NET, 3, max_features=0.5, random_state=0),
    "bag_of_pipelines": FusedBaggingClassifier(
        make_pipeline(StandardScaler(), NET), 2, bootstrap=True, random_state=0
    ),
    "search": FusedGridSearchCV(NET, {"alpha": [0, 0.2]}, cv=2),
}
PACKAGES = {
    "pandas": lambda columns: pd.DataFrame(columns),
    "polars": lambda columns: pl.DataFrame(columns),
    "pyarrow": lambda columns: pa.table(columns),
}
each_estimator = pytest.mark.parametrize("name", ESTIMATORS)
each_package = pytest.mark.parametrize("package", PACKAGES)


@pytest.fixture
def frame(iris, package):
    """Iris as a table with columns a, b, c, d."""
    return PACKAGES[package](dict(zip(NAMES, iris[0].T, strict=True)))


def answer(estimator, X):
    ask = (
        estimator.decision_function if isinstance(estimator, MixupGAN) else estimator.predict_proba
    )
    return ask(X)


# -- tables of any package ------------------------------------------------------------------------


@each_package
@each_estimator
def test_a_table_of_any_package_is_taken_like_its_array(name, frame, iris, assert_unchanged):
    X, y = iris
    before = np.array(frame)
    if name == "search" and BEFORE_1_7 and isinstance(frame, pa.Table):
        pytest.skip("scikit-learn 1.6 splits no tables of pyarrow")
    fitted = ESTIMATORS[name].fit(frame, y)
    found = answer(fitted, frame)
    if hasattr(fitted, "feature_names_in_"):  # scikit-learn may know no names in a package
        assert fitted.feature_names_in_.tolist() == NAMES
    assert_array_equal(found, answer(ESTIMATORS[name].fit(X, y), X))
    assert_array_equal(np.array(frame), before)


@each_package
def test_members_that_get_some_columns_know_their_names(frame, iris):
    bag = ESTIMATORS["bag_of_columns"].fit(frame, iris[1])
    for net, columns in zip(bag.estimators_, bag.estimators_features_, strict=True):
        assert len(columns) == net.n_features_in_ == 2
        if hasattr(net, "feature_names_in_"):
            assert net.feature_names_in_.tolist() == [NAMES[i] for i in columns]
    with pytest.raises(ValueError, match=r"feature names|has 3 features"):
        bag.predict(pd.DataFrame(iris[0][:, :3], columns=NAMES[:3]))


@each_package
def test_a_column_may_be_drawn_twice(frame, iris):
    bag = FusedBaggingClassifier(NET, 2, bootstrap_features=True, random_state=0)
    found = bag.fit(frame, iris[1]).predict_proba(frame)
    assert_array_equal(found, bag.fit(*iris).predict_proba(iris[0]))


@pytest.mark.parametrize("package", ["pandas", "polars"])  # ColumnTransformer takes no pyarrow
def test_transformers_of_a_bag_see_the_columns_by_name(package, iris):
    X, y = iris
    frame = PACKAGES[package]({"size": X[:, 2], "colour": np.array(["red", "blue"])[y % 2]})
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["colour"]), remainder=StandardScaler()
    )
    bag = FusedBaggingClassifier(make_pipeline(encode, NET), 2, bootstrap=True, random_state=0)
    assert bag.fit(frame, y).score(frame, y) > 0.5


@each_package
def test_between_samples_and_attacks_a_table_stays_a_table(frame, iris, package):
    X, y = iris
    net, on_arrays = clone(NET).fit(frame, y), clone(NET).fit(X, y)
    miss = {"lam": [0.5], "n_pairs": 20, "random_state": 0}
    assert_array_equal(
        miss_rate_between(net, frame, y, **miss).misses,
        miss_rate_between(on_arrays, X, y, **miss).misses,
    )
    assert_array_equal(
        gradient_norm_between(net, frame, y, **miss).gradient_norm,
        gradient_norm_between(on_arrays, X, y, **miss).gradient_norm,
    )
    moved = fgsm(net, frame, y, eps=0.1)
    assert type(moved) is type(frame)
    assert_array_equal(np.array(moved), fgsm(on_arrays, X, y, eps=0.1))
    whole = PACKAGES[package]({"a": y, "b": X[:, 0], "c": X[:, 0], "d": X[:, 0]})
    with pytest.raises(TypeError, match=r"X\['a'\] must be floating"):
        fgsm(net, whole, y, eps=0.1)


# -- what a net cannot take -----------------------------------------------------------------------

BAD_COLUMNS = {
    "words": (["red", "blue"] * 75, "words in 'bad'", "OneHotEncoder(sparse_output=False)"),
    "words and gaps": (["red", None, "blue"] * 50, "words in 'bad'", "OneHotEncoder"),
    "dates": ([datetime.datetime(2020, 1, 1)] * 150, "dates in 'bad'", "TableVectorizer"),
    "days": ([datetime.date(2020, 1, 1)] * 150, "dates in 'bad'", "TableVectorizer"),
    "spans": ([datetime.timedelta(1)] * 150, "dates in 'bad'", "TableVectorizer"),
    "gaps": ([1.0, None, 2.0] * 50, "missing values in 'bad'", "SimpleImputer"),
    "whole": ([1, None, 2] * 50, "missing values in 'bad'", "SimpleImputer"),
    "infinity": ([1.0, float("inf"), 2.0] * 50, "infinite values in 'bad'", "FunctionTransformer"),
}


@each_package
@pytest.mark.parametrize("fault", BAD_COLUMNS)
@pytest.mark.parametrize("name", ["net", "gan", "bag_of_rows", "bag_of_columns"])
def test_a_column_that_a_net_cannot_take_is_named(name, fault, package, iris):
    column, told, remedy = BAD_COLUMNS[fault]
    frame = PACKAGES[package]({"good": iris[0][:, 0], "bad": column})
    with pytest.raises((TypeError, ValueError), match=re.escape(told)) as raised:
        ESTIMATORS[name].fit(frame, iris[1])
    assert remedy in str(raised.value)
    good = PACKAGES[package]({"good": iris[0][:, 0], "bad": iris[0][:, 1]})
    fitted = ESTIMATORS[name].fit(good, iris[1])
    with pytest.raises((TypeError, ValueError), match=re.escape(told)):
        answer(fitted, frame)


def test_faults_of_several_kinds_are_told_at_once():
    frame = pd.DataFrame({f"w{i}": ["x", "y"] for i in range(7)} | {"gap": [1.0, None]})
    with pytest.raises(ValueError, match="could not convert string to float") as raised:
        NET.fit(frame, [0, 1])
    told = "words in 'w0', 'w1', 'w2', 'w3', 'w4' and 2 more; missing values in 'gap'. Put before"
    assert told in str(raised.value)


@pytest.mark.parametrize("kind", [np.array, list], ids=["array", "list"])
def test_columns_without_a_name_are_told_by_number(kind):
    rows = [[1.0, "red", 2.0], [2.0, "blue", 3.0]]
    with pytest.raises(ValueError, match=r"convert string.*words in 1\. Put before the net"):
        NET.fit(kind(rows) if kind is list else np.array(rows, dtype=object), [0, 1])
    with pytest.raises(ValueError, match=r"Input X contains NaN\. .*missing values in 0, 2\."):
        NET.fit(kind([[np.nan, 1, 2], [3, 4, np.nan]]), [0, 1])


def test_dates_in_an_array_are_refused():
    days = np.array([["2020-01-01"], ["2021-01-01"]], dtype="datetime64[D]")
    with pytest.raises(ValueError, match=r"dates or times.*dates in 0"):
        NET.fit(days, [0, 1])


def test_an_error_that_is_not_of_the_columns_stays_what_it_is(iris):
    X, y = iris
    fitted = NET.fit(pd.DataFrame(X, columns=NAMES), y)
    with pytest.raises(ValueError, match=r"^The feature names should match"):
        fitted.predict(pd.DataFrame(X, columns=["NaN", "b", "c", "d"]))


def test_the_remedies_for_columns_work(iris):
    X, y = iris
    frame = pd.DataFrame({"size": X[:, 2], "colour": np.array(["red", "blue"])[y % 2]})
    frame.loc[::10, "size"] = np.nan
    prepare = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["colour"]),
        remainder=make_pipeline(SimpleImputer(), StandardScaler()),
    )
    assert make_pipeline(prepare, NET).fit(frame, y).score(frame, y) > 0.5


@pytest.mark.parametrize("name", ["net", "gan", "bag", "bag_of_rows", "bag_of_columns"])
@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_rows_are_told_where_they_become_dense(name, kind, iris):
    told = re.escape("OneHotEncoder(sparse_output=False)")
    fitted = ESTIMATORS[name].fit(*iris)
    with pytest.raises(TypeError, match=told):
        answer(fitted, kind(iris[0]))
    with pytest.raises(TypeError, match=told):
        ESTIMATORS[name].fit(kind(iris[0]), iris[1])


def test_a_pipeline_with_sparse_output_says_how_to_get_dense_rows(iris):
    words = np.array(["red", "blue"])[iris[1] % 2].reshape(-1, 1)
    with pytest.raises(TypeError, match=r"sparse_output=False"):
        make_pipeline(OneHotEncoder(), NET).fit(words, iris[1])
    with pytest.raises(TypeError, match=r"sparse_output=False.*\['X'\]"):
        NET.fit({"X": sparse.csr_array(iris[0])}, iris[1])
    with pytest.raises(TypeError, match=r"sparse_output=False"):
        miss_rate_between(NET.fit(*iris), sparse.csr_array(iris[0]), iris[1])


def test_masked_entries_count_as_missing(iris):
    X, y = iris
    masked = np.ma.masked_array(X, mask=X > 1)
    for rows, labels, weight, name in (
        (masked, y, None, "X"),
        ({"X": masked}, y, None, r"X\['X'\]"),
        (X, np.ma.masked_equal(y, 1), None, "y"),
        (X, y, np.ma.masked_array(np.ones(150), mask=y == 1), "sample_weight"),
    ):
        with pytest.raises(ValueError, match=f"^{name} has masked entries.*filled"):
            clone(NET).fit(rows, labels, sample_weight=weight)
    with pytest.raises(ValueError, match="X has masked entries"):
        clone(NET).fit(np.ma.masked_array(X), y).predict(masked)
    with pytest.raises(ValueError, match="X has masked entries"):
        MixupGAN(max_iter=1).fit(masked)


def test_whole_numbers_in_a_tensor_are_told_what_the_module_takes(iris):
    rows = torch.tensor(iris[0]).long()
    with pytest.raises(ValueError, match=r"minibatch of shape \[32, 4\] of torch\.int64.*dtype"):
        MixupClassifier(alpha=0, max_epochs=1).fit(rows, iris[1])


@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("make", [lambda X: {"X": X}, lambda X: X[:, None]], ids=["dict", "3-D"])
def test_words_in_more_than_a_table_are_refused(make, alpha, iris):
    with pytest.raises((TypeError, ValueError), match=r"(float|numbers|mixed).*|convert string"):
        MixupClassifier(alpha=alpha, max_epochs=1).fit(make(np.full((150, 2), "red")), iris[1])


@pytest.mark.parametrize("name", ["net", "gan", "bag", "bag_of_columns"])
def test_rows_too_large_for_the_network_are_no_nan(name, iris):
    # Whether sums of such numbers are infinite hangs on the weights: a GAN's are without classes.
    fitted = clone(ESTIMATORS[name]).fit(*iris[: 1 if name == "gan" else 2])
    huge = np.array(iris[0])
    huge[7] = 3e38
    with pytest.raises(ValueError, match=r"puts out NaN for 1 of 150 rows of X, row 7 first"):
        answer(fitted, huge)
    with pytest.raises(ValueError, match="StandardScaler"):
        (fitted.predict if hasattr(fitted, "predict") else fitted.decision_function)(huge)


@pytest.mark.skipif(BEFORE_1_7, reason="scikit-learn 1.6 splits no tensors")
def test_a_search_takes_a_part_of_a_graph(iris):
    rows = torch.tensor(iris[0]).requires_grad_()
    search = FusedGridSearchCV(make_pipeline(NET), {"mixupclassifier__alpha": [0, 0.2]}, cv=2)
    assert search.fit(rows, iris[1]).predict(rows).shape == (150,)
