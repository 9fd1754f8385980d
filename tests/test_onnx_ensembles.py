"""Ensembles and searches around nets, of this package and of scikit-learn, as ONNX graphs."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedBaggingRegressor,
    FusedGridSearchCV,
    to_onnx,
)
from sklearn_mixup._onnx.ensembles import CONVERTERS
from tests.onnx_graphs import NET, REG, assert_says_the_same, run

pytest.importorskip("skl2onnx")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

PIPE, REG_PIPE = make_pipeline(StandardScaler(), NET), make_pipeline(StandardScaler(), REG)
LINEAR = LogisticRegression()
PAIR = [("net", PIPE), ("linear", LINEAR)]
CLASSIFIERS = {
    "ours, of pipelines": FusedBaggingClassifier(PIPE, 3, random_state=0),
    "ours, of some features": FusedBaggingClassifier(PIPE, 3, max_features=0.5, random_state=0),
    "bag": BaggingClassifier(PIPE, 3, max_features=0.5, random_state=0),
    "vote": VotingClassifier([*PAIR, ("none", "drop")], voting="soft", weights=[1, 3, 9]),
    "hard vote": VotingClassifier([*PAIR, ("ridge", RidgeClassifier())]),
    "stack": StackingClassifier(PAIR, cv=3),
    "stack of scores and X": StackingClassifier(
        [("net", NET), ("ridge", RidgeClassifier())], PIPE, cv=3, passthrough=True
    ),
    "sigmoid": CalibratedClassifierCV(PIPE, cv=2),
    "isotonic": CalibratedClassifierCV(
        FusedBaggingClassifier(NET, 2, random_state=0), method="isotonic", cv=2
    ),
    "grid": GridSearchCV(PIPE, {"mixupclassifier__alpha": [0.1]}, cv=2),
    "random search": make_pipeline(
        StandardScaler(), RandomizedSearchCV(NET, {"alpha": [0.1]}, n_iter=1, cv=2)
    ),
    "fused search": make_pipeline(StandardScaler(), FusedGridSearchCV(NET, {"alpha": [0]}, cv=2)),
    "one against the rest": OneVsRestClassifier(PIPE),
    "boosting": VotingClassifier(
        [("net", NET), ("trees", HistGradientBoostingClassifier(max_iter=5))], voting="soft"
    ),
}


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_an_ensemble_s_graph_says_what_it_says(name, n_classes, iris):
    X, y = iris
    if n_classes == 2 and name in {"grid", "random search", "fused search"}:
        pytest.skip("the search has no say in what its best estimator does")
    words = np.array(["c", "a", "b"])[np.minimum(y, n_classes - 1)]
    assert_says_the_same(
        clone(CLASSIFIERS[name]).fit(X, words),
        X,
        # A node of skl2onnx's takes no empty tensor.
        few=(1,) if name == "one against the rest" else (1, 0),
        # The curve of isotonic regression is steep here and there: rounding shows.
        apart=1e-3 if name == "isotonic" else 1e-5,
    )


@pytest.mark.parametrize(
    "model",
    [
        FusedBaggingRegressor(REG_PIPE, 3, random_state=0),
        BaggingRegressor(REG_PIPE, 3, max_features=0.5, random_state=0),
        VotingRegressor([("net", REG_PIPE), ("linear", LinearRegression())], weights=[2, 1]),
        StackingRegressor([("net", REG_PIPE), ("linear", LinearRegression())], REG, cv=3),
        VotingRegressor([("net", REG), ("t", HistGradientBoostingRegressor(max_iter=5))]),
        HistGradientBoostingRegressor(loss="poisson", max_iter=5),
    ],
    ids=["ours", "bag", "vote", "stack", "boosting", "boosting of counts"],
)
def test_an_ensemble_of_regressors_says_what_it_says(model):
    assert_says_the_same(clone(model).fit(*load_diabetes(return_X_y=True)), *_diabetes())


def _diabetes():
    return (load_diabetes(return_X_y=True)[0].astype(np.float32),)


def test_temperature_is_taken_off_logits_and_of_probabilities(iris):
    X, y = iris
    try:
        CalibratedClassifierCV(LINEAR, method="temperature", cv=2).fit(X, y)
    except ValueError:
        pytest.skip("temperatures came with scikit-learn 1.8")
    trees = VotingClassifier([("net", NET), ("linear", LINEAR)], voting="soft")
    for model in (NET, trees):
        for labels in (y, y == 0):
            calibrated = CalibratedClassifierCV(model, method="temperature", cv=2)
            assert_says_the_same(calibrated.fit(X, labels), X)


def test_a_member_that_misses_a_class_gives_it_nothing(iris):
    X, y = iris
    rare = np.r_[:60, 100:102]
    bag = BaggingClassifier(PIPE, 8, random_state=0).fit(X[rare], y[rare])
    assert {len(member.classes_) for member in bag.estimators_} == {2, 3}
    assert_says_the_same(bag, X)
    ours = FusedBaggingClassifier(PIPE, 8, bootstrap=True, random_state=0).fit(X[rare], y[rare])
    assert_says_the_same(ours, X)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda pipe: VotingClassifier([("a", pipe), ("b", pipe)], voting="soft"),
        lambda pipe: StackingClassifier([("a", pipe), ("b", pipe)], cv=2),
        lambda pipe: CalibratedClassifierCV(pipe, cv=2),
        lambda pipe: FusedBaggingClassifier(pipe, 2),
    ],
    ids=["vote", "stack", "calibrated", "ours"],
)
def test_an_ensemble_takes_the_columns_of_a_table_one_by_one(wrap):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "size": rng.normal(40, 9, 90),
            "town": rng.choice(["Bern", "Basel", "Chur"], 90),
            "month": rng.integers(1, 5, 90),
            "code": rng.choice(["1", "2"], 90),
        }
    )
    columns = make_column_transformer(
        (StandardScaler(), ["size"]),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["code", "town"]),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["month"]),
    )
    model = wrap(make_pipeline(columns, NET)).fit(X, X["town"] == "Bern")
    feed = {
        name: X[[name]].to_numpy(object if name in ("town", "code") else np.float32)
        for name in X.columns
    }
    assert_says_the_same(model, X, feed)


def test_thresholds_between_neighbours_in_float32_part_them():
    below = np.float32(1)
    above = np.nextafter(below, np.float32(2))
    X = np.repeat([[below], [above]], 40, axis=0)
    y = np.repeat([0.0, 1.0], 40)
    for column in (X, np.nextafter(X, np.float32(2)), X * 3):
        reg = HistGradientBoostingRegressor(max_iter=3).fit(column, y)
        assert len({*reg.predict(column)}) == 2
        assert_says_the_same(reg, column)


def test_what_a_graph_says_otherwise_is_refused(iris):
    X, y = iris
    far = X * [1, 1, 1, 1e-6] + [0, 0, 0, 1e4]
    with pytest.raises(ValueError, match="too large for float32"):
        to_onnx(make_pipeline(StandardScaler(), NET).fit(far, y), far)


def test_labels_by_a_threshold_are_refused_which_the_graph_would_not_tell(iris, monkeypatch):
    X, y = iris
    tuned = TunedThresholdClassifierCV(NET, scoring="recall", cv=2).fit(X, y == 2)
    with pytest.raises(ValueError, match="threshold of TunedThresholdClassifierCV is not known"):
        to_onnx(tuned, X)
    monkeypatch.delitem(CONVERTERS, TunedThresholdClassifierCV)  # skl2onnx forgets the threshold
    with pytest.raises(ValueError, match="it says 0, and the model True"):
        to_onnx(tuned, X)


def test_labels_without_probabilities_or_of_several_kinds_are_tried(iris):
    X, y = iris
    pairs = OneVsOneClassifier(NET).fit(X, y)
    assert_array_equal(run(pairs, X, few=())[0].ravel(), pairs.predict(X))
    several = MultiOutputClassifier(NET).fit(X, np.stack([y, y > 0], axis=1))
    assert_array_equal(run(several, X, few=())[0], several.predict(X))


def test_what_is_not_converted_is_named(iris):
    X, y = iris
    words = pd.DataFrame({"a": pd.Categorical(np.array(list("uvw"))[y]), "b": X[:, 0]})
    trees = HistGradientBoostingClassifier(max_iter=2, categorical_features="from_dtype")
    with pytest.raises(ValueError, match="HistGradientBoostingClassifier with categories"):
        to_onnx(trees.fit(words, y), words)
    bag = BaggingClassifier(RidgeClassifier(), 2).fit(X, y)
    with pytest.raises(ValueError, match="RidgeClassifier has no predict_proba"):
        to_onnx(bag, X)
