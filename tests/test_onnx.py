"""A graph in ONNX says what the estimator says that it was made of, of any number of rows."""

import inspect
import sys
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_diabetes
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from torch import nn

from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedBaggingRegressor,
    MixupClassifier,
    to_onnx,
)
from sklearn_mixup.modules import MLP, LeNet, PreActResNet18
from tests.onnx_graphs import NET, REG, assert_says_the_same

pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")

# torch has an exporter that reads the code of a module from 2.5 on, with onnxscript.
reads_code = pytest.mark.skipif(
    find_spec("onnxscript") is None
    or "dynamic_shapes" not in inspect.signature(torch.onnx.export).parameters,
    reason="needs torch's newer exporter",
)


@pytest.mark.parametrize(
    "label", [lambda y: y, lambda y: y * 10 - 7, lambda y: np.array(list("abc"))[y]]
)
@pytest.mark.parametrize(
    "model",
    [
        NET,
        make_pipeline(StandardScaler(), NET),
        FusedBaggingClassifier(NET, 3, random_state=0),
        make_pipeline(
            SimpleImputer(),
            FusedBaggingClassifier(NET, 3, max_features=0.5, bootstrap_features=True),
        ),
    ],
    ids=["net", "pipeline", "ensemble", "ensemble of some features"],
)
def test_a_classifier_s_graph_says_what_it_says(model, label, iris):
    X, y = iris
    assert_says_the_same(clone(model).fit(X, label(y)), X)


def test_a_member_that_misses_a_class_gives_it_nothing(iris):
    X, y = iris
    rare = np.r_[:60, 100:102]
    bag = FusedBaggingClassifier(NET, 8, bootstrap=True, random_state=0).fit(X[rare], y[rare])
    assert {len(member.classes_) for member in bag.estimators_} == {2, 3}
    assert_says_the_same(bag, X)


@pytest.mark.parametrize("n_outputs", [1, 2])
@pytest.mark.parametrize("model", [REG, FusedBaggingRegressor(REG, 3, random_state=0)])
def test_a_regressor_s_graph_says_what_it_says(model, n_outputs):
    X, y = load_diabetes(return_X_y=True)
    y = np.stack([y, 3 * y - 100], 1)[:, :n_outputs].squeeze()
    model = make_pipeline(StandardScaler(), model).fit(X, y)
    assert_says_the_same(model, X)


def test_several_labels_and_logits_are_put_out(iris):
    X, y = iris
    several = np.stack([y == 0, y > 0, X[:, 0] > 5.8], 1).astype(int)
    assert_says_the_same(clone(NET).fit(X, several), X)
    net = clone(NET).set_params(predict_nonlinearity=None).fit(X, y)
    assert_says_the_same(net, X)


def test_a_table_of_words_gaps_and_numbers_is_taken_column_by_column():
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "age": rng.normal(40, 9, 90).astype(np.float32),
            "income": np.where(rng.random(90) < 0.1, np.nan, rng.normal(size=90)),
            "town": rng.choice(["Bern", "Basel", "Chur"], 90),
            "n_rooms": rng.integers(1, 6, 90),
        }
    )
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer(
        (numbers, ["age", "income", "n_rooms"]),
        (OneHotEncoder(sparse_output=False, handle_unknown="ignore"), ["town"]),
    )
    model = make_pipeline(columns, NET).fit(X, X["town"] == "Bern")
    feed = {
        name: X[[name]].to_numpy(object if name == "town" else np.float32) for name in X.columns
    }
    assert_says_the_same(model, X, feed)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (PreActResNet18(3, width=4), (3, 16, 16)),
        # The exporter that traces refuses this one, for the size of its maps.
        pytest.param(LeNet(3, width=2), (1, 28, 28), marks=reads_code),
    ],
    ids=["PreActResNet18", "LeNet"],
)
def test_pictures_are_said_the_same_of(module, shape):
    X = np.random.default_rng(0).normal(size=(12, *shape)).astype(np.float32)
    model = MixupClassifier(module, max_epochs=1, device="cpu", random_state=0)
    # The exporter of torch 2.4 reshapes to a row at least.
    assert_says_the_same(model.fit(X, np.arange(12) % 3), X, few=(1,))


def test_a_graph_is_made_in_the_mode_of_prediction(iris):
    X, y = iris

    class Normed(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3))

    net = MixupClassifier(Normed, max_epochs=1, device="cpu", random_state=0).fit(X, y)
    net.module_.train()
    state = {name: value.clone() for name, value in net.module_.state_dict().items()}
    to_onnx(net, X)
    assert all(torch.equal(value, state[name]) for name, value in net.module_.state_dict().items())
    assert_says_the_same(net, X)


def test_labels_that_are_no_words_are_whole_numbers(iris):
    X, y = iris
    kinds = (np.array([0.0, 1.0, 4.0]), np.array([True, False, True]))
    for labels in kinds:
        assert_says_the_same(clone(NET).fit(X, labels[y]), X)


def test_columns_keep_their_names_whatever_they_are(iris):
    X, y = iris
    table = pd.DataFrame(X, columns=["sepal length (cm)", "1", "å", "label "])
    columns = make_column_transformer((StandardScaler(), ["1", "label "]), remainder="passthrough")
    feed = {name: table[[name]].to_numpy(np.float32) for name in table}
    for model in (clone(NET), make_pipeline(columns, NET)):
        assert_says_the_same(model.fit(table, y), table, feed)


def test_columns_of_digits_are_words_and_gaps_in_numbers_are_taken():
    X = pd.DataFrame({"digits": ["1", "2", "3"] * 20, "number": [1, None, 2.5] * 20}, dtype=object)
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["digits"]), (SimpleImputer(), ["number"])
    )
    model = make_pipeline(columns, NET).fit(X, X["digits"])
    feed = {"digits": X[["digits"]].to_numpy(), "number": X[["number"]].to_numpy(np.float32)}
    assert_says_the_same(model, X, feed)


# -- what cannot be converted ---------------------------------------------------------------------


def test_what_does_not_predict_or_is_not_fitted_is_refused(iris):
    X, y = iris
    with pytest.raises(TypeError, match="StandardScaler, which has no predict"):
        to_onnx(StandardScaler().fit(X, y), X)
    for model in (NET, FusedBaggingClassifier(NET), make_pipeline(StandardScaler(), NET)):
        with pytest.raises(NotFittedError):
            to_onnx(clone(model), X)


def test_a_part_that_has_no_image_in_a_graph_is_named(iris):
    X, y = iris

    class Doubling(MixupClassifier):
        def infer(self, x, **fit_params):
            return 2 * super().infer(x, **fit_params)

    with pytest.raises(ValueError, match=r"Doubling\.infer"):
        to_onnx(Doubling(max_epochs=1, device="cpu").fit(X, y), X)
    odd = make_pipeline(FunctionTransformer(np.cbrt), NET).fit(X, y)
    with pytest.raises(ValueError, match="FunctionTransformer"):
        to_onnx(odd, X)
    with pytest.raises(ValueError, match="dict of inputs"):
        to_onnx(clone(NET).fit(X, y), {"X": X})


def test_labels_that_are_neither_words_nor_whole_numbers_are_refused(iris):
    X, y = iris
    days = np.array(["2020-01-01", "2020-01-02", "2020-01-03"], "datetime64[D]")
    for labels in (days, np.arange(3, dtype=np.uint64) + np.uint64(2**63)):
        with pytest.raises(ValueError, match=r"words or whole numbers below 2\*\*63"):
            to_onnx(clone(NET).fit(X, labels[y]), X)


@pytest.mark.parametrize("has_runtime", [True, False])
def test_rows_that_the_model_refuses_make_no_graph(has_runtime, iris, monkeypatch):
    X, y = iris
    table = pd.DataFrame(X, columns=list("abcd"))
    named = table.rename(columns={"d": "label"})
    if not has_runtime:
        monkeypatch.setattr("sklearn_mixup._onnx.convert.find_spec", lambda name: None)
    for model, rows, told in [
        (clone(NET).fit(X, y), X[:, :3], "3 features"),
        (clone(NET).fit(X, y), X[:0], "0 sample"),
        (clone(NET).fit(table, y), table[list("bacd")], "same order"),
        (make_pipeline(TruncatedSVD(2), NET).fit(X, y), csr_array(X), "Sparse data was passed"),
        (clone(NET).fit(named, y), named, "got label for two things"),
    ]:
        with pytest.raises((ValueError, TypeError), match=told):
            to_onnx(model, rows)


def test_a_module_that_hangs_on_its_rows_is_refused(iris, monkeypatch):
    class Undecided(MLP):
        def forward(self, X):
            logits = super().forward(X)
            return logits if logits.sum() > 0 else 2 * logits

    net = clone(NET).set_params(module=Undecided).fit(*iris)
    with pytest.raises(ValueError, match="of Undecided its exporters say"):
        to_onnx(net, iris[0])


def test_a_missing_extra_is_an_error_that_says_how_to_get_it(iris, monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"pip install \"sklearn_mixup\[onnx\]\""):
        to_onnx(clone(NET).fit(*iris), iris[0])
