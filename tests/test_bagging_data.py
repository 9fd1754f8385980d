"""FusedBaggingClassifier takes the data that MixupClassifier takes, and refuses them as it does."""

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal
from scipy import sparse
from scipy.special import logit
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import BaggingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.impute import SimpleImputer
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn
from torch.utils.data import TensorDataset

from sklearn_mixup import FusedBaggingClassifier, FusedGridSearchCV, MixupClassifier, MixupGAN
from tests.bagged_nets import (
    assert_members_are_those_alone,
    make_ensemble,
    make_pipe,
    mean_of_members,
    net_of,
    states_of,
)
from tests.rounding import assert_near
from tests.test_fused import assert_same_net, make_net, same_bits
from tests.test_fused_modules import Pictures

pytestmark = pytest.mark.usefixtures("float64")

PREDICTS = ("predict", "predict_proba", "predict_log_proba", "decision_function")
NAMES = ["sl", "sw", "pl", "pw"]


def mean_proba(ensemble, X):
    """Average what the members say of rows of any kind."""
    return np.mean([member.predict_proba(X) for member in ensemble.estimators_], 0, np.float64)


def assert_members_weigh_their_rows(ensemble, X, y):
    """Compare each member with a net alone that is given the number of each row's draws."""
    for member, rows in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        alone = clone(ensemble.estimator).set_params(**states_of(member))
        alone.fit(X, y, sample_weight=np.bincount(rows, minlength=len(y)))
        assert_same_net(member, alone)


# -- tables --------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", [{}, {"bootstrap": True}, {"max_samples": 0.7}], ids=str)
def test_columns_reach_the_transformers_by_name(draws, abalone):
    X, y = abalone.X[:200], abalone.y[:200]
    numeric = [name for name in X if name not in abalone.nominal]
    columns = make_column_transformer(
        (StandardScaler(), numeric), (OneHotEncoder(handle_unknown="ignore"), abalone.nominal)
    )
    ensemble = make_ensemble(make_pipe(("columns", columns)), **draws).fit(X, y)
    assert_array_equal(ensemble.feature_names_in_, X.columns)
    assert ensemble.n_features_in_ == X.shape[1]
    for member, rows in zip(ensemble.estimators_, ensemble.estimators_samples_, strict=True):
        alone = clone(ensemble.estimator).set_params(**states_of(member))
        alone.fit(X.iloc[rows], y[rows])
        assert_same_net(net_of(member), net_of(alone))
    assert_near(ensemble.predict_proba(X), mean_proba(ensemble, X))
    assert set(ensemble.predict(X)) <= {"young", "middle", "old"}


@pytest.mark.parametrize(
    "draws", [{}, {"max_features": 0.5}, {"bootstrap_features": True, "bootstrap": True}], ids=str
)
@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
def test_a_frame_is_fitted_as_its_numbers(draws, make, iris):
    X, y = pd.DataFrame(iris[0], columns=NAMES), pd.Series(iris[1], index=np.arange(150) + 7)
    net = make(iterator_train__shuffle=False)  # A shuffle begins with the bits of the rows.
    framed, bare = make_ensemble(net, **draws).fit(X, y), make_ensemble(net, **draws)
    bare.fit(iris[0], iris[1])
    assert_near(framed.predict_proba(X), bare.predict_proba(iris[0]))
    for member, columns in zip(framed.estimators_, framed.estimators_features_, strict=True):
        if len({*columns}) == len(columns):  # A frame has each name once.
            assert_array_equal(member.feature_names_in_, np.array(NAMES)[columns])
    assert not hasattr(bare, "feature_names_in_")
    with pytest.raises(ValueError, match="feature names"):
        framed.predict(X[NAMES[::-1]])
    with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
        framed.predict(iris[0])
    assert len({str(warning.message) for warning in caught}) <= 2  # of the ensemble, of a member


def test_what_was_learned_of_the_columns_is_forgotten_in_the_next_fit(iris, digits):
    ensemble = make_ensemble().fit(pd.DataFrame(iris[0], columns=NAMES), iris[1])
    ensemble.fit(*iris)
    assert not hasattr(ensemble, "feature_names_in_")
    ensemble.predict(iris[0])
    ensemble.set_params(estimator=bare_pictures()).fit(digits[0][:, None], digits[1])
    assert ensemble.predict(digits[0][:5, None]).shape == (5,)
    ensemble.set_params(estimator=make_net()).fit(*iris)
    assert ensemble.n_features_in_ == 4
    assert_members_are_those_alone(ensemble, *iris)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "csr_array"])
@pytest.mark.parametrize("draws", [{}, {"max_samples": 0.6, "bootstrap": True}], ids=str)
def test_sparse_x_goes_where_the_transformers_take_it(kind, draws, iris):
    X, y = getattr(sparse, kind)(iris[0]), iris[1]
    # A shuffle begins with the bits of the rows, which the two decompositions round otherwise.
    svd = TruncatedSVD(3, algorithm="arpack", random_state=0)
    pipe = make_pipe(("svd", svd), iterator_train__shuffle=False)
    ensemble = make_ensemble(pipe, **draws).fit(X, y)
    dense = make_ensemble(pipe, **draws).fit(*iris)
    assert_near(ensemble.predict_proba(X), dense.predict_proba(iris[0]))


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_array"])
def test_sparse_x_is_refused_as_by_the_net(kind, iris):
    X = getattr(sparse, kind)(iris[0])
    with pytest.raises(TypeError, match=r"(?i)sparse") as alone:
        make_net().fit(X, iris[1])
    with pytest.raises(TypeError, match=r"(?i)sparse") as raised:
        make_ensemble().fit(X, iris[1])
    assert str(raised.value).replace("FusedBagging", "Mixup") == str(alone.value)
    with pytest.raises(TypeError, match=r"(?i)sparse"):
        make_ensemble().fit(*iris).predict(X)


def test_missing_values_are_the_transformers_affair(iris):
    X = iris[0].copy()
    X[::7, 2] = np.nan
    ensemble = make_ensemble(make_pipe(("impute", SimpleImputer())), bootstrap=True)
    ensemble.fit(X, iris[1])
    assert_members_are_those_alone(ensemble, X, iris[1])
    assert_near(ensemble.predict_proba(X), mean_of_members(ensemble, X))


def test_lists_are_fitted_as_arrays(iris, iris_names):
    listed = make_ensemble().fit(iris[0].tolist(), iris_names.tolist())
    expected = make_ensemble().fit(iris[0], iris_names)
    assert all(map(same_bits, listed.estimators_, expected.estimators_))
    assert_array_equal(listed.predict(iris[0].tolist()), expected.predict(iris[0]))


# -- pictures, tensors, dicts --------------------------------------------------------------------


def bare_pictures():
    return MixupClassifier(Pictures, max_epochs=2, lr=0.02, device="cpu")


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("tensors", [False, True])
@pytest.mark.parametrize("draws", [{}, {"bootstrap": True}, {"max_samples": 0.4}], ids=str)
def test_pictures_are_learned_by_each_net_as_alone(draws, tensors, digits):
    X, y = digits[0][:200, None], digits[1][:200]
    if tensors:
        X, y = torch.tensor(X), torch.tensor(y)
    ensemble = make_ensemble(bare_pictures(), 3, **draws).fit(X, y)
    assert_members_weigh_their_rows(ensemble, X, y)
    proba = ensemble.predict_proba(X)
    assert_near(proba, mean_proba(ensemble, X))
    assert_array_equal(ensemble.predict(X), proba.argmax(1))
    plain = BaggingClassifier(n_estimators=3, random_state=0, **{"max_samples": 1.0, **draws})
    plain.set_params(bootstrap=draws.get("bootstrap", False))
    plain.fit(np.zeros((200, 1)), np.asarray(y))
    assert_array_equal(ensemble.estimators_samples_, plain.estimators_samples_)


class TwoInputs(nn.Module):
    """A module that takes two inputs by name."""

    def __init__(self, n_classes):
        super().__init__()
        self.left, self.right = nn.Linear(2, 8), nn.Linear(2, 8)
        self.output = nn.Linear(8, n_classes)

    def forward(self, sepal, petal):
        return self.output(torch.relu(self.left(sepal) + self.right(petal)))


@pytest.mark.parametrize("tensors", [False, True])
def test_dicts_of_inputs_are_learned_by_each_net_as_alone(tensors, iris):
    X = {"sepal": iris[0][:, :2].astype(np.float32), "petal": iris[0][:, 2:].astype(np.float32)}
    if tensors:
        X = {name: torch.tensor(part) for name, part in X.items()}
    net = MixupClassifier(TwoInputs, max_epochs=2, lr=0.02, device="cpu")
    ensemble = make_ensemble(net, 3, bootstrap=True).fit(X, iris[1])
    assert_members_weigh_their_rows(ensemble, X, iris[1])
    assert_near(ensemble.predict_proba(X), mean_proba(ensemble, X))


@pytest.mark.parametrize("bootstrap", [False, True])
def test_tables_may_be_tensors(bootstrap, iris):
    X, y = torch.tensor(iris[0]), torch.tensor(iris[1])
    ensemble = make_ensemble(None, bootstrap=bootstrap, max_features=0.5).fit(X, y)
    total = np.zeros((150, 3))
    for i, member in enumerate(ensemble):
        counts = np.bincount(ensemble.estimators_samples_[i], minlength=150)
        own = X[:, ensemble.estimators_features_[i]]
        alone = clone(ensemble.estimator).set_params(**states_of(member))
        assert_same_net(member, alone.fit(own, y, sample_weight=counts))
        total += member.predict_proba(own)
    assert_near(ensemble.predict_proba(X), total / 4)


# -- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
@pytest.mark.parametrize("bootstrap", [False, True])
def test_several_labels_a_row(make, bootstrap, iris):
    X, y = iris
    Y = np.column_stack([y == 0, X[:, 1] > 0, y > 0]).astype(int)
    ensemble = make_ensemble(make(), bootstrap=bootstrap).fit(X, Y)
    assert_members_are_those_alone(ensemble, X, Y)
    proba = ensemble.predict_proba(X)
    assert_near(proba, mean_proba(ensemble, X))
    assert_array_equal(ensemble.predict(X), (proba > 0.5).astype(int))
    assert_near(ensemble.decision_function(X), logit(proba))
    assert ensemble.score(X, Y) > 0.3


@pytest.mark.parametrize("n_columns", [2, 3])
def test_probabilities_as_targets(n_columns, iris):
    X, y = iris
    Y = 0.9 * np.eye(3)[y] + 0.1 / 3
    Y = Y if n_columns == 3 else np.column_stack([Y[:, 0], 1 - Y[:, 0]])
    ensemble = make_ensemble(None, bootstrap=True).fit(X, Y)
    assert_members_are_those_alone(ensemble, X, Y)
    assert_array_equal(ensemble.classes_, np.arange(n_columns))
    proba = ensemble.predict_proba(X)
    assert_near(proba, mean_proba(ensemble, X))
    assert_array_equal(ensemble.predict(X), proba.argmax(1))
    decision = ensemble.decision_function(X)
    expected = np.log(proba) if n_columns == 3 else logit(proba[:, 1])
    assert_near(decision, expected)


@pytest.mark.parametrize("kind", ["labels", "probabilities", "columns"])
def test_out_of_bag_scores_of_any_targets(kind, iris):
    X, y = iris
    Y = {"labels": y == 1, "probabilities": 0.9 * np.eye(3)[y] + 0.1 / 3}.get(
        kind, np.column_stack([y == 0, y > 0, X[:, 1] > 0]).astype(int)
    )
    ensemble = make_ensemble(None, 24, bootstrap=True, oob_score=True, random_state=1).fit(X, Y)
    assert ensemble.oob_decision_function_.shape == ensemble.predict_proba(X).shape
    if kind == "columns":
        expected = ((ensemble.oob_decision_function_ > 0.5) == Y).all(1).mean()
    else:
        truth = Y if kind == "labels" else y
        expected = (ensemble.oob_decision_function_.argmax(1) == truth).mean()
    assert ensemble.oob_score_ == expected


@pytest.mark.parametrize(
    ("class_weight", "names"),
    [
        ({"setosa": 1, "versicolor": 9, "virginica": 0.2}, True),
        ("balanced", True),
        ({0: 0.1, 1: 1, 2: 5}, False),
    ],
)
@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
def test_members_know_the_labels_and_their_weights(class_weight, names, make, iris, iris_names):
    X, y = iris[0], iris_names if names else iris[1]
    rare = np.r_[:60, 100:102]
    ensemble = make_ensemble(make(), 8, bootstrap=True)
    ensemble.set_params(
        **{f"estimator__{'net__' if make is make_pipe else ''}class_weight": class_weight}
    ).fit(X[rare], y[rare])
    assert {len(member.classes_) for member in ensemble} == {2, 3}
    assert_members_are_those_alone(ensemble, X[rare], y[rare])
    assert_array_equal(ensemble.classes_, np.unique(y))
    assert set(ensemble.predict(X)) <= {*y}


@pytest.mark.parametrize(
    "labels", [[-1, 1, 5], [-1.0, 1.0, 2.0], ["b", "a", "c"], [True, False, True], [10, 200, 3000]]
)
def test_labels_of_any_kind_come_back(labels, iris):
    y = np.array(labels)[iris[1]]
    ensemble = make_ensemble(make_net(max_epochs=20), 2).fit(iris[0], y)
    assert_array_equal(ensemble.classes_, np.unique(y))
    assert ensemble.n_classes_ == len(ensemble.classes_)
    predicted = ensemble.predict(iris[0])
    assert predicted.dtype == y.dtype
    assert (predicted == y).mean() > 0.8


def test_classes_may_be_more_than_there_are(iris, iris_names):
    named = ["nowhere", "setosa", "versicolor", "virginica"]
    ensemble = make_ensemble(make_net(classes=named, max_epochs=20), bootstrap=True)
    ensemble.fit(iris[0], iris_names)
    assert ensemble.classes_.tolist() == named
    assert_near(ensemble.predict_proba(iris[0]), mean_of_members(ensemble, iris[0]))
    assert ensemble.score(iris[0], iris_names) > 0.8
    assert FusedGridSearchCV(ensemble, {}, cv=2).fit(iris[0], iris_names).best_score_ > 0.8


# -- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianNB(),
        OneVsRestClassifier(make_net()),
        Pipeline([("scale", StandardScaler()), ("clf", GaussianNB())]),
        Pipeline([("scale", StandardScaler()), ("net", "passthrough")]),
        MixupGAN(),
        FusedBaggingClassifier(make_net()),
        FusedGridSearchCV(make_net(), {}),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_other_estimators_are_sent_to_scikit_learn(estimator, iris):
    with pytest.raises(TypeError, match=r"(?s)MixupClassifier.*Pipeline.*BaggingClassifier"):
        make_ensemble(estimator).fit(*iris)


@pytest.mark.parametrize("estimator", [MixupClassifier, "net", 3])
def test_what_is_no_estimator_is_refused(estimator, iris):
    with pytest.raises((TypeError, ValueError), match="estimator"):
        make_ensemble(estimator).fit(*iris)


BAD_PARAMETERS = [
    ({"n_estimators": 0}, "n_estimators"),
    ({"n_estimators": 2.5}, "n_estimators"),
    ({"max_fused": 0}, "max_fused"),
    ({"max_fused": "all"}, "max_fused"),
    ({"max_samples": 0}, "max_samples"),
    ({"max_samples": 1.5}, "max_samples"),
    ({"max_samples": 151}, r"max_samples.*150.*151"),
    ({"max_features": 0}, "max_features"),
    ({"max_features": 5}, r"max_features.*4.*5"),
    ({"max_features": 1.5}, "max_features"),
    ({"bootstrap": "yes"}, "bootstrap"),
    ({"oob_score": True}, r"(?s)oob_score.*bootstrap=True"),
    ({"oob_score": True, "bootstrap": True, "warm_start": True}, "warm_start=False"),
    ({"random_state": "x"}, "random_state"),
    ({"n_jobs": "many"}, "n_jobs"),
    ({"estimator__alpha": -1}, "alpha"),
    ({"max_samples": 1}, "at least two classes"),
]


@pytest.mark.parametrize(("params", "match"), BAD_PARAMETERS, ids=str)
def test_bad_parameters_are_told(params, match, iris):
    with pytest.raises(ValueError, match=match):
        make_ensemble().set_params(**params).fit(*iris)


def bad_data(X, y):
    missing = X.copy()
    missing[3, 1] = np.nan
    return {
        "NaN": (missing, y, None, "NaN"),
        "infinite": (np.where(X[3, 1] == X, np.inf, X), y, None, "infinity"),
        "X None": (None, y, None, "None|2D"),
        "X 1-D": (X[:, 0], y, None, "(?i)reshape|2D|2-D"),
        "X of words": (np.full((150, 4), "a"), y, None, "(?i)convert|numeric|string"),
        "X empty": (X[:0], y[:0], None, "(?i)0 sample|empty|at least"),
        "an empty dict": ({}, y, None, "(?i)dict|input"),
        "y None": (X, None, None, "requires y"),
        "y too short": (X, y[:-1], None, r"150.*149|149.*150"),
        "one class": (X, np.zeros(150), None, "at least two classes|class"),
        "continuous y": (X, X[:, 0], None, "(?i)continuous|label"),
        "y with NaN": (X, np.where(y == 1, np.nan, 1.0 * y), None, "NaN"),
        "weights < 0": (X, y, -np.ones(150), "sample_weight.*>= 0"),
        "too few weights": (X, y, np.ones(149), "sample_weight"),
        "no weight": (X, y, np.zeros(150), "sample_weight.*zero"),
        "NaN weight": (X, y, np.full(150, np.nan), "sample_weight"),
    }


@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
@pytest.mark.parametrize("name", bad_data(np.zeros((150, 4)), np.zeros(150)))
def test_bad_data_are_told(name, make, iris):
    X, y, weight, match = bad_data(*iris)[name]
    with pytest.raises((ValueError, TypeError), match=match):
        make_ensemble(make(), bootstrap=True).fit(X, y, sample_weight=weight)


@pytest.mark.parametrize("draws", [{"max_features": 0.5}, {"bootstrap_features": True}], ids=str)
@pytest.mark.parametrize("kind", ["pictures", "dict"])
def test_columns_are_drawn_from_tables_only(draws, kind, digits):
    X = digits[0][:, None] if kind == "pictures" else {"X": digits[0].reshape(600, -1)}
    with pytest.raises(ValueError, match=r"max_features.*2-D"):
        make_ensemble(bare_pictures(), **draws).fit(X, digits[1])


def test_torch_datasets_are_refused(iris):
    X, y = torch.tensor(iris[0]).float(), torch.tensor(iris[1])
    with pytest.raises(TypeError, match=r"(?s)TensorDataset.*array"):
        make_ensemble().fit(TensorDataset(X, y), None)
    with pytest.raises(TypeError, match=r"(?s)TensorDataset.*array"):
        make_ensemble().fit(TensorDataset(X, y), iris[1])


@pytest.mark.parametrize("method", PREDICTS)
@pytest.mark.parametrize("make", [make_net, make_pipe], ids=["net", "pipeline"])
def test_bad_rows_to_predict_are_told(method, make, iris):
    X = iris[0]
    ensemble = make_ensemble(make())
    with pytest.raises(NotFittedError):
        getattr(ensemble, method)(X)
    predict = getattr(ensemble.fit(*iris), method)
    with pytest.raises(ValueError, match=r"3 features.*4 features"):
        predict(X[:, :3])
    with pytest.raises(ValueError, match="NaN"):
        predict(np.full((2, 4), np.nan))
    with pytest.raises(ValueError, match=r"(?i)0 sample|at least|empty"):
        predict(X[:0])
    with pytest.raises(ValueError, match=r"(?i)1D|reshape|2-D"):
        predict(X[0])


def test_a_member_that_draws_one_class_alone_is_told(iris):
    ensemble = make_ensemble(None, 3, max_samples=3, bootstrap=True, random_state=14)
    with pytest.raises(ValueError, match="at least two classes"):  # the second
        ensemble.fit(*iris)
    assert not hasattr(ensemble, "estimators_")


def test_a_member_without_any_weight_is_told(iris):
    weight = np.where(np.arange(150) < 2, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"sample_weight|two classes"):
        make_ensemble(None, 20, max_samples=3).fit(*iris, sample_weight=weight)


def test_rows_of_several_lengths_are_told():
    with pytest.raises(ValueError, match="X must hold rows of one length"):
        FusedBaggingClassifier().fit([[0.1], [0.2, 0.3]], [0, 1])
