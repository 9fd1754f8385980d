"""Bad input: an error that names the rule, from fit on, and an estimator that can be used again."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.exceptions import NotFittedError
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from sklearn_mixup import MixupClassifier
from sklearn_mixup.modules import MLP

DEFAULTS = MixupClassifier().get_params(deep=False)


def quick(**params):
    return MixupClassifier(**{"max_epochs": 2, "random_state": 0, **params})


@pytest.fixture
def assert_rejected(iris, assert_unchanged):
    """Check that a fit is refused, changes nothing, and can be followed by one that is not."""

    def check(match, X=None, y=None, *, params=(), **fit_params):
        X, y = (iris[0] if X is None else X), (iris[1] if y is None else y)
        params = dict(params)
        clf = quick(**params)  # not here
        with (
            assert_unchanged(X, y, params, fit_params),
            pytest.raises((TypeError, ValueError), match=match),
        ):
            clf.fit(X, y, **fit_params)
        good = {name: DEFAULTS[name] for name in params if name in DEFAULTS}
        clf.set_params(**{**good, "max_epochs": 2, "random_state": 0}).fit(*iris)
        fresh = quick().fit(*iris)
        np.testing.assert_array_equal(clf.predict_proba(iris[0]), fresh.predict_proba(iris[0]))

    return check


# -- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("alpha", -0.1),
        ("alpha", float("nan")),
        ("alpha", float("-inf")),
        ("alpha", "0.2"),
        ("alpha", None),
        ("alpha", [0.2]),
        ("dropout", -0.1),
        ("dropout", 1),
        ("dropout", 1.0),
        ("dropout", 50),
        ("dropout", float("nan")),
        ("dropout", "0.5"),
        ("lam_per", "row"),
        ("lam_per", None),
        ("lam_per", 1),
        ("erm_epochs", -1),
        ("erm_epochs", 1.5),
        ("erm_epochs", "2"),
        ("class_weight", "uniform"),
        ("class_weight", [1, 2, 3]),
        ("random_state", "seed"),
        ("random_state", -1),
        ("lr", -0.1),
        ("lr", "fast"),
        ("lr", float("nan")),
        ("max_epochs", -1),
        ("max_epochs", 2.5),
        ("batch_size", 0),
        ("batch_size", -2),
        ("batch_size", 16.0),
    ],
)
def test_a_parameter_out_of_range_is_named_with_its_value(name, value, assert_rejected):
    shown = repr(value).replace("[", r"\[").replace("]", r"\]")
    assert_rejected(rf"(?s)'{name}' parameter.*{shown}", params={name: value})


def test_a_class_weight_for_a_class_that_is_not_there_is_refused(assert_rejected):
    assert_rejected(r"(?s)(class_weight|classes).*7", params={"class_weight": {0: 1, 7: 2}})


@pytest.mark.parametrize("weight", [-1, float("nan"), float("inf")])
def test_class_weights_must_be_numbers_from_zero(weight, assert_rejected):
    assert_rejected("`class_weight`.*>= 0", params={"class_weight": {0: weight}})


def test_class_weights_must_not_all_be_zero(assert_rejected):
    assert_rejected("`class_weight`.*not all 0", params={"class_weight": {0: 0, 1: 0, 2: 0}})


class NoDropout(nn.Module):
    def __init__(self, n_features, n_classes):
        super().__init__()
        self.linear = nn.Linear(n_features, n_classes)

    def forward(self, X):
        return self.linear(X)


@pytest.mark.parametrize("dropout", [0, 0.5])
def test_dropout_needs_a_layer_to_set(dropout, assert_rejected):
    message = rf"(?s)`dropout`.*NoDropout has none.*dropout={dropout}.*dropout=None"
    assert_rejected(message, params={"module": NoDropout, "dropout": dropout})


@pytest.mark.parametrize(
    "device",
    [
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
        "cuda:99",
        "nonsense",
        "cpu:nonsense",
        42.0,
    ],
)
def test_a_device_that_is_not_there_is_named(device, assert_rejected):
    assert_rejected(rf"(?s)`device`.*{device}", params={"device": device})


def test_constructor_takes_anything():
    clf = MixupClassifier(alpha="x", dropout=-3, lam_per=None, erm_epochs=-1, device="nonsense")
    assert clf.get_params(deep=False)["alpha"] == "x"
    assert clf.set_params(lam_per="never").lam_per == "never"


# -- X -------------------------------------------------------------------------------------------


def spoilt(X, value):
    X = np.array(X)
    X[7, 2] = value
    return X


@pytest.mark.parametrize(("value", "match"), [(np.nan, "NaN"), (np.inf, "inf"), (-np.inf, "inf")])
@pytest.mark.parametrize("kind", ["array", "frame", "pictures", "tensor", "dict"])
def test_x_that_is_not_finite_is_refused(kind, value, match, iris, assert_rejected):
    X = spoilt(iris[0], value)
    X = {
        "array": X,
        "frame": pd.DataFrame(X, columns=list("abcd")),
        "pictures": X.reshape(150, 2, 2),
        "tensor": torch.tensor(X),
        "dict": {"X": torch.tensor(X)},
    }[kind]
    assert_rejected(match, X)


@pytest.mark.parametrize("kind", ["csr_matrix", "csc_array", "coo_array", "dok_array"])
def test_sparse_x_is_refused(kind, iris, assert_rejected):
    assert_rejected("(?i)sparse", getattr(sparse, kind)(iris[0]))


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta")
@pytest.mark.parametrize("kind", ["to_sparse", "to_sparse_csr"])
def test_a_sparse_tensor_is_refused(kind, iris):
    X = getattr(torch.tensor(iris[0]), kind)()
    for ask in (lambda X: quick().fit(X, iris[1]), quick().fit(*iris).predict):
        with pytest.raises(TypeError, match=r"X\.to_dense\(\)"):
            ask(X)


def test_complex_x_is_refused(iris, assert_rejected):
    assert_rejected("(?i)complex", iris[0] + 1j)
    assert_rejected("(?i)complex", torch.tensor(iris[0] + 1j))


@pytest.mark.parametrize(
    "make",
    [
        lambda X: np.full(X.shape, "red"),
        lambda X: np.full(X.shape, "red", dtype=object),
        lambda X: pd.DataFrame(X, columns=list("abcd")).assign(colour="red"),
        lambda X: [["red", "blue"]] * len(X),
    ],
    ids=["strings", "objects", "frame", "lists"],
)
def test_words_in_x_are_refused(make, iris, assert_rejected):
    assert_rejected("(?s)(could not convert|dtype='numeric').*", make(iris[0]))


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((0, 4), "0 sample|at least one row"),
        ((150, 0), r"0 feature\(s\)|at least one (column|feature)"),
        ((0,), "1D array|2D array|at least"),
        ((150,), "2D array|1D array|at least 2"),
        ((0, 8, 8), "0 sample|at least one row"),
        ((150, 0, 8), "at least one column"),
        ((), "scalar|at least"),
    ],
)
@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_x_without_rows_or_columns_is_refused(kind, shape, match, assert_rejected):
    X = kind(np.zeros(shape, dtype=np.float32))
    assert_rejected(match, X, np.arange(shape[0] if shape else 1) % 3)


def test_an_empty_dict_is_refused(assert_rejected):
    assert_rejected("empty dict", {})


def test_inputs_of_a_dict_must_have_as_many_rows(iris, assert_rejected):
    parts = {"left": torch.zeros(150, 2), "right": torch.zeros(149, 2)}
    assert_rejected("(?s)inconsistent numbers of samples.*149", parts)


@pytest.mark.parametrize(
    "make",
    [
        lambda X: torch.tensor(X).long(),
        lambda X: torch.tensor(X) > 0,
        lambda X: {"X": torch.tensor(X).to(torch.uint8)},
        lambda X: {"X": X.astype(int)},
        lambda X: X.astype(np.uint8).reshape(150, 2, 2),
    ],
    ids=["int64", "bool", "dict", "dict_of_arrays", "pictures"],
)
def test_integers_cannot_be_mixed(make, iris, assert_rejected):
    assert_rejected("(?s)floating inputs.*mixed.*(int|bool).*float.*alpha=0", make(np.abs(iris[0])))


def test_pictures_of_bytes_are_told_how_to_become_floats(iris, assert_rejected):
    pictures = np.abs(iris[0]).astype(np.uint8).reshape(150, 1, 2, 2)
    assert_rejected(re.escape("X.astype('float32') / 255"), pictures)


def test_integers_of_a_dataset_cannot_be_mixed(iris):
    X = torch.tensor(np.abs(10 * iris[0])).long()
    clf = quick()
    with pytest.raises((TypeError, ValueError), match="float"):
        clf.fit(TensorDataset(X, torch.tensor(iris[1])))
    assert clf.fit(*iris).predict(iris[0]).shape == (150,)


def test_integers_of_a_data_loader_cannot_be_mixed(iris):
    X = torch.tensor(np.abs(10 * iris[0])).long()
    clf = quick(iterator_train=DataLoader)
    with pytest.raises((TypeError, ValueError), match="float"):
        clf.fit(TensorDataset(X, torch.tensor(iris[1])))


def test_integers_are_fine_where_nothing_is_mixed(digits):
    class Embedding(nn.Module):
        def __init__(self, n_classes):
            super().__init__()
            self.levels = nn.Embedding(17, 4)
            self.linear = nn.Linear(256, n_classes)

        def forward(self, X):
            return self.linear(self.levels(X).flatten(1))

    levels = torch.tensor(digits[0] * 16).long()
    clf = MixupClassifier(Embedding, alpha=0, max_epochs=10, random_state=0).fit(levels, digits[1])
    assert clf.score(levels, digits[1]) > 0.9


# -- y -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda y: y[:-1], r"(?s)inconsistent numbers of samples.*150.*149"),
        (lambda y: y[:0], "(?s)inconsistent numbers of samples|0 sample"),
        (lambda y: y + 0.5 * np.linspace(0.1, 0.9, len(y)), "(?i)continuous"),
        (lambda y: np.where(y == 1, np.nan, y), "(?s)y.*NaN"),
        (lambda y: np.where(y == 1, np.inf, y), "(?s)y.*inf"),
        (lambda y: np.where(y == 1, None, y), "(?i)NaN|None|unknown|uniformly|label"),
        (lambda y: np.zeros_like(y), "(?s)at least two classes.*0"),
        (lambda y: np.full(len(y), "only"), "(?s)at least two classes.*only"),
        (lambda y: np.column_stack([y, y]), "(?i)multioutput|multilabel"),
        (lambda y: np.random.default_rng(0).random((len(y), 3)), "(?i)continuous|sum to 1"),
        (lambda y: np.eye(3)[y] * [2.0, 1.0, 0.5], "(?i)continuous|sum to 1|multioutput"),
        (lambda y: np.eye(3)[y] + [-0.5, 0.25, 0.25], "(?i)continuous|sum to 1|multioutput"),
        (lambda y: np.eye(3)[y] * np.nan, "(?s)y.*NaN"),
        (lambda y: y.reshape(-1, 3), r"(?i)inconsistent|multioutput|\(50, 3\)"),
        (lambda y: np.zeros((len(y), 2, 2)), "(?i)dim|shape"),
        (lambda y: sparse.csr_matrix(np.eye(3)[y]), "(?i)sparse"),
        (lambda y: "setosa", "(?i)y|scalar|sequence|array"),
    ],
)
def test_y_that_holds_no_classes_is_refused(make, match, iris, assert_rejected):
    assert_rejected(match, y=make(iris[1]))


def test_y_is_required(iris):
    with pytest.raises(ValueError, match=r"(?s)requires y.*None"):
        quick().fit(iris[0], None)


def test_a_label_that_is_not_among_the_classes_is_named(iris, assert_rejected):
    assert_rejected(r"(?s)classes \[0, 1\].*\[2\]", params={"classes": [0, 1]})


@pytest.mark.parametrize("classes", [[], np.array([])])
def test_classes_that_name_none_are_refused(classes, assert_rejected):
    assert_rejected(r"`classes` must name.*got none", params={"classes": classes})


def test_a_new_label_in_partial_fit_is_named(iris):
    X, y = iris
    clf = quick().partial_fit(X[:100], y[:100])
    with pytest.raises(ValueError, match=r"(?s)classes \[0, 1\].*\[2\]"):
        clf.partial_fit(X, y)
    assert clf.partial_fit(X[:100], y[:100]).predict(X).max() <= 1


def test_partial_fit_stays_with_one_kind_of_target(iris):
    X, y = iris
    clf = quick().partial_fit(X, y)
    with pytest.raises(ValueError, match="multiclass"):
        clf.partial_fit(X, np.eye(3)[y])
    soft = quick().partial_fit(X, np.eye(3)[y])
    with pytest.raises(ValueError, match=r"3 columns.*4"):
        soft.partial_fit(X, np.eye(4)[y])


# -- weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda n: np.append(np.ones(n - 1), -1.0), r"`sample_weight`.*>= 0.*-1"),
        (lambda n: np.ones(n - 1), r"(?s)`sample_weight`.*150.*149"),
        (lambda n: np.ones((n, 2)), r"(?s)sample_weight.*150"),
        (lambda n: np.zeros(n), r"`sample_weight`.*all zero"),
        (lambda n: np.append(np.ones(n - 1), np.nan), "(?s)sample_weight.*NaN"),
        (lambda n: np.append(np.ones(n - 1), np.inf), "(?s)sample_weight.*inf"),
        (lambda n: np.full(n, "heavy"), "(?i)sample_weight|convert|numeric"),
        (lambda n: torch.zeros(n), r"`sample_weight`.*all zero"),
        (lambda n: (np.arange(n) < 50).astype(float), "(?s)at least two classes.*weight"),
    ],
)
def test_bad_sample_weights_are_refused(make, match, assert_rejected):
    assert_rejected(match, sample_weight=make(150))


def test_weights_of_a_dataset_are_refused(iris):
    dataset = TensorDataset(torch.tensor(iris[0]).float(), torch.tensor(iris[1]))
    with pytest.raises(ValueError, match=r"(?s)`sample_weight`.*Dataset"):
        quick().fit(dataset, sample_weight=np.ones(150))


@pytest.mark.parametrize(
    ("params", "fit_params"),
    [({}, {"sample_weight": np.linspace(0.5, 1, 150)}), ({"class_weight": "balanced"}, {})],
)
def test_weights_with_a_data_loader_are_refused(params, fit_params, iris, assert_rejected):
    X = iris[0].astype(np.float32)
    params = {"iterator_train": DataLoader, **params}
    assert_rejected("(?s)weight.*iterator_train.*DataLoader", X, params=params, **fit_params)


def test_class_weights_of_multilabel_targets_are_refused(iris, assert_rejected):
    y = np.column_stack([iris[1] > 0, iris[1] > 1]).astype(int)
    assert_rejected("(?s)`class_weight`.*multilabel", y=y, params={"class_weight": "balanced"})


# -- modules -------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_outputs", [1, 2, 4, 10])
@pytest.mark.parametrize("alpha", [0, 0.2])
@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
def test_a_module_of_another_width_than_the_classes_is_refused(
    n_outputs, alpha, lam_per, assert_rejected
):
    module = MLP(n_features=4, n_classes=n_outputs)
    message = rf"(?s)3 classes.*\(batch_size, 3\).*MLP.*\(32, {n_outputs}\)"
    assert_rejected(message, params={"module": module, "alpha": alpha, "lam_per": lam_per})


def test_a_module_that_returns_no_column_is_refused(assert_rejected):
    class Flat(NoDropout):
        def forward(self, X):
            return super().forward(X)[:, 0]

    assert_rejected(r"(?s)3 classes.*Flat.*\(32,\)", params={"module": Flat})


class Conv(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.filters = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, n_classes)

    def forward(self, X):
        return self.head(self.filters(X).mean(dim=(2, 3)))


def test_a_convolution_on_a_table_says_the_shapes(assert_rejected):
    assert_rejected(r"(?s)Conv.*minibatch of shape \W32, 4\W", params={"module": Conv})


def test_pictures_in_the_wrong_number_of_channels_say_the_shapes(digits, assert_rejected):
    X = np.repeat(digits[0][:, None], 3, axis=1)
    assert_rejected(r"(?s)Conv.*\W32, 3, 8, 8\W", X, digits[1], params={"module": Conv})


def test_a_module_made_for_other_features_says_the_shapes(assert_rejected):
    assert_rejected(r"(?s)MLP.*\W32, 4\W", params={"module": MLP(n_features=5, n_classes=3)})


def test_a_dataset_of_unknown_classes_says_what_to_pass(iris):
    class Rows(Dataset):
        def __len__(self):
            return 150

        def __getitem__(self, i):
            return torch.tensor(iris[0][i]).float(), iris[1][i]

    clf = quick()
    with pytest.raises(ValueError, match=r"`n_classes`.*`targets`.*classes="):
        clf.fit(Rows())
    assert clf.set_params(classes=[0, 1, 2]).fit(Rows()).predict(iris[0]).shape == (150,)


# -- prediction ----------------------------------------------------------------------------------

METHODS = ["predict", "predict_proba", "decision_function"]


@pytest.mark.parametrize("method", METHODS)
def test_prediction_before_fit_is_refused(method, iris):
    with pytest.raises(NotFittedError):
        getattr(quick(), method)(iris[0])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["array", "frame", "tensor", "pictures"])
def test_one_column_too_few_is_refused(method, kind, iris, digits):
    X, y = (digits[0], digits[1]) if kind == "pictures" else iris
    X = {
        "array": lambda: X,
        "frame": lambda: pd.DataFrame(X, columns=list("abcd")),
        "tensor": lambda: torch.tensor(X).float(),
        "pictures": lambda: X,
    }[kind]()
    clf = quick().fit(X, y)
    fewer = X.drop(columns="b") if kind == "frame" else X[:, :-1]
    with pytest.raises(ValueError, match=r"(?s)feature"):
        getattr(clf, method)(fewer)
    assert getattr(clf, method)(X).shape[0] == len(y)


def test_pictures_of_another_width_are_refused(digits):
    clf = quick().fit(*digits)
    with pytest.raises(ValueError, match=r"(?s)(8, 7)|feature"):
        clf.predict(digits[0][:, :, :-1])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda X: spoilt(X, np.nan), "NaN"),
        (lambda X: torch.tensor(spoilt(X, np.inf)), "inf"),
        (lambda X: sparse.csr_matrix(X), "(?i)sparse"),
        (lambda X: X[:0], "0 sample"),
        (lambda X: X[0], "1D array"),
        (lambda X: np.full(X.shape, "red"), "convert|numeric"),
    ],
    ids=["nan", "inf", "sparse", "empty", "row", "words"],
)
def test_prediction_checks_x_as_fit_does(method, make, match, iris):
    clf = quick(max_epochs=1).fit(*iris)
    with pytest.raises((TypeError, ValueError), match=match):
        getattr(clf, method)(make(iris[0]))


def test_an_input_of_the_dict_that_is_missing_is_named(iris):
    class Two(MLP):
        def __init__(self, n_classes):
            super().__init__(4, n_classes)

        def forward(self, left, right):
            return super().forward(torch.cat([left, right], dim=1))

    parts = {"left": iris[0][:, :2], "right": iris[0][:, 2:]}
    clf = quick(module=Two).fit(parts, iris[1])
    with pytest.raises((TypeError, ValueError), match="right"):
        clf.predict({"left": parts["left"]})


# -- after a failure -----------------------------------------------------------------------------


TOO_WIDE = MLP(n_features=4, n_classes=5)


def fail_in_training(iris, **params):
    clf = quick(module=TOO_WIDE, **params)
    with pytest.raises(ValueError, match="3 classes"):
        clf.fit(*iris)
    return clf


def test_a_first_fit_that_fails_leaves_an_unfitted_net(iris):
    clf = fail_in_training(iris)
    with pytest.raises(NotFittedError):
        clf.predict(iris[0])


def test_a_fit_that_fails_leaves_the_global_generators_alone(iris):
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    expected = torch.rand(1), np.random.rand()  # noqa: NPY002
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    fail_in_training(iris)
    assert (torch.rand(1), np.random.rand()) == expected  # noqa: NPY002


def test_a_fitted_net_survives_bad_data(iris):
    X, y = iris
    clf = quick().fit(X, y)
    before = clf.predict_proba(X)
    for bad_X, bad_y in ((spoilt(X, np.nan), y), (X, y[:-1]), (X, np.zeros_like(y))):
        with pytest.raises(ValueError, match=r"NaN|inconsistent|classes"):
            clf.fit(bad_X, bad_y)
        np.testing.assert_array_equal(clf.predict_proba(X), before)
        assert list(clf.classes_) == [0, 1, 2]


def test_a_failure_in_partial_fit_keeps_what_was_learned(iris):
    X, y = iris
    clf = quick().fit(X, y)
    before = clf.predict_proba(X)
    with pytest.raises(ValueError, match="features"):
        clf.partial_fit(X[:, :3], y)
    with pytest.raises(ValueError, match="`sample_weight`"):
        clf.partial_fit(X, y, sample_weight=np.zeros(150))
    np.testing.assert_array_equal(clf.predict_proba(X), before)
    clf.partial_fit(X, y)
    assert np.abs(clf.predict_proba(X) - before).max() > 0


def test_a_warm_start_can_follow_a_failure(iris):
    clf = fail_in_training(iris, warm_start=True)
    clf.set_params(module=MLP).fit(*iris)
    fresh = quick(warm_start=True).fit(*iris)
    np.testing.assert_array_equal(clf.predict_proba(iris[0]), fresh.predict_proba(iris[0]))


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_numbers_too_large_for_the_module_are_refused(kind, iris):
    X, y = kind(np.asarray(iris[0], dtype=np.float64)), iris[1]
    clf = quick()
    with pytest.raises(ValueError, match=r"too large for the module's torch\.float32"):
        clf.fit(1e200 * X, y)
    clf.fit(X, y)
    with pytest.raises(ValueError, match="too large"):
        clf.predict(1e200 * X)
