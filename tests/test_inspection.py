"""Between the samples: misses and gradients with known answers, whatever holds the rows."""

import pickle
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn
from torch.utils.data import TensorDataset

from sklearn_mixup import MixupClassifier
from sklearn_mixup.inspection import (
    BetweenSamplesDisplay,
    gradient_norm_between,
    miss_rate_between,
)
from tests.rounding import assert_near

LAM = np.array([0.0, 0.2, 0.4, 0.5, 0.7, 0.8, 1.0])
MEASURES = [miss_rate_between, gradient_norm_between]


class Nearest:
    """Predicts the label of the nearest of some centres; knows nothing of scikit-learn."""

    def __init__(self, centres, labels):
        self.centres, self.labels = np.asarray(centres, dtype=float), np.asarray(labels)

    def predict(self, X):
        return self.labels[np.abs(np.asarray(X) - self.centres).argmin(axis=1)]


class Recorder(Nearest):
    """Keeps what it is asked to predict."""

    def __init__(self, *args):
        super().__init__(*args)
        self.seen = []

    def predict(self, X):
        self.seen.append(X)
        return super().predict(X)


@pytest.fixture
def line():
    """Three labels on a line, five rows each at 0, 1 and 2, and who predicts the nearest."""
    X = np.repeat([[0.0], [1.0], [2.0]], 5, axis=0)
    names = np.array(["left", "middle", "right"])
    return Nearest([0, 1, 2], names), X, np.repeat(names, 5)


@pytest.fixture
def net(iris, iris_names):
    """A MixupClassifier of species names, in double precision."""
    X, _ = iris
    clf = MixupClassifier(
        Softmax(4, 3, hidden=16), max_epochs=4, random_state=0, device="cpu", lr=0.05
    )
    return clf.fit(X, iris_names)


class Softmax(nn.Module):
    """Logits in double precision, with dropout and a batch normalisation that tell modes apart."""

    def __init__(self, n_features, n_classes, hidden=None):
        super().__init__()
        if hidden is None:
            self.layers = nn.Linear(n_features, n_classes)
        else:
            self.layers = nn.Sequential(
                nn.Linear(n_features, hidden),
                nn.BatchNorm1d(hidden),
                nn.Tanh(),
                nn.Dropout(0.5),
                nn.Linear(hidden, n_classes),
            )
        self.double()

    def forward(self, X):
        return self.layers(X)


@pytest.fixture
def module():
    """A network with random weights, in training mode but for one layer."""
    torch_state = torch.get_rng_state()
    torch.default_generator.manual_seed(0)
    module = Softmax(4, 3, hidden=16)
    torch.set_rng_state(torch_state)
    module.layers[1].running_mean.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
    module.layers[1].eval()
    return module


def measure_by_hand(module, X, y, pairs, lam):
    """The losses at the points, straight from the formula; differentiable in the points."""
    i, j = pairs.T
    points = torch.as_tensor(lam * X[i] + (1 - lam) * X[j]).requires_grad_()
    log_p = module(points).log_softmax(1)
    rows = np.arange(len(pairs))
    return points, -(lam * log_p[rows, y[i]] + (1 - lam) * log_p[rows, y[j]])


# -- miss rate: mathematics -----------------------------------------------------------------------


def test_misses_are_where_the_third_label_lies_between(line):
    curve = miss_rate_between(*line, lam=LAM, n_pairs=300, random_state=0)
    i, j = curve.pairs.T
    ends = np.abs(line[1][i, 0] - line[1][j, 0]) == 2
    inside = (LAM > 0.25) & (LAM < 0.75)  # nearer to 1 than to 0 and 2
    np.testing.assert_array_equal(curve.misses, inside[:, None] & ends)
    np.testing.assert_array_equal(curve.miss_rate, curve.misses.mean(axis=1))
    assert 0.2 < curve.miss_rate[3] < 0.5  # of all pairs 2 * 25 / (15 * 14) = 0.24 + some luck
    assert curve.n_pairs == 300


def test_lam_is_the_weight_of_the_first_row(line):
    recorder = Recorder([0, 1, 2], ["left", "middle", "right"])
    X = np.arange(15.0)[:, None]
    curve = miss_rate_between(recorder, X, line[2], lam=[0.75], n_pairs=40, random_state=0)
    i, j = curve.pairs.T
    np.testing.assert_allclose(recorder.seen[0][:, 0], 0.75 * i + 0.25 * j)


def test_at_the_ends_it_is_the_errors_that_hit_neither_label(iris):
    X, y = iris
    stump = DecisionTreeClassifier(max_depth=1, random_state=0).fit(X, y)
    curve = miss_rate_between(stump, X, y, lam=[0.0, 1.0], random_state=0)
    i, j = curve.pairs.T
    for place, rows in ((0, j), (1, i)):
        predicted = stump.predict(X)[rows]
        missed = (predicted != y[i]) & (predicted != y[j])
        assert missed.any()
        np.testing.assert_array_equal(curve.misses[place], missed)


def test_two_labels_far_apart_have_misses_only_within_a_label():
    X = np.r_[np.full((20, 1), -5.0), np.full((20, 1), 5.0)]
    y = np.repeat([0, 1], 20)
    clf = LogisticRegression().fit(X, y)
    curve = miss_rate_between(clf, X, y, random_state=0)
    assert not curve.misses.any()
    wrong = miss_rate_between(clf, X, 1 - y, random_state=0)  # every label is the other one
    same = (1 - y)[wrong.pairs[:, 0]] == (1 - y)[wrong.pairs[:, 1]]
    np.testing.assert_array_equal(wrong.misses, np.broadcast_to(same, wrong.misses.shape))


def test_default_lam_is_an_even_grid(line):
    curve = miss_rate_between(*line, n_pairs=2, random_state=0)
    np.testing.assert_allclose(curve.lam, np.arange(21) / 20)
    assert curve.miss_rate.shape == curve.standard_error.shape == (21,)


# -- pairs ----------------------------------------------------------------------------------------


def test_pairs_are_uniform_over_different_rows(line):
    estimator, X, y = line
    pairs = miss_rate_between(
        estimator, X[:4], y[:4], lam=[0.5], n_pairs=12_000, random_state=0
    ).pairs
    counts = np.zeros((4, 4))
    np.add.at(counts, tuple(pairs.T), 1)
    np.testing.assert_array_equal(np.diag(counts), 0)
    expected = 1_000  # of each of 12 ordered pairs
    chi2 = ((counts[~np.eye(4, dtype=bool)] - expected) ** 2 / expected).sum()
    assert chi2 < 31.3  # the 0.999 quantile with 11 degrees of freedom


def test_pairs_are_one_state_one_set_for_every_estimator_and_measure(iris, net, iris_names):
    X, y = iris
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    curves = [
        miss_rate_between(forest, X, y, lam=[0.5], random_state=3),
        miss_rate_between(net, X, iris_names, lam=[0.1, 0.2], random_state=3, batch_size=7),
        gradient_norm_between(net, X, iris_names, lam=[0.3], random_state=3),
    ]
    for curve in curves[1:]:
        np.testing.assert_array_equal(curve.pairs, curves[0].pairs)
    other = miss_rate_between(forest, X, y, lam=[0.5], random_state=4)
    assert (other.pairs != curves[0].pairs).any()


@pytest.mark.parametrize("measure", MEASURES)
def test_no_state_is_a_fresh_one_and_leaves_the_global_generators_alone(
    measure, iris, net, iris_names
):
    numpy_state, torch_state = pickle.dumps(np.random.get_state()), torch.get_rng_state()  # noqa: NPY002
    one, two = (measure(net, iris[0], iris_names, lam=[0.5], n_pairs=50).pairs for _ in range(2))
    assert (one != two).any()
    assert pickle.dumps(np.random.get_state()) == numpy_state  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)


# -- standard errors ------------------------------------------------------------------------------


def test_standard_errors_are_those_of_the_mean_over_pairs(line):
    curve = miss_rate_between(*line, lam=[0.5], n_pairs=200, random_state=0)
    rate = curve.miss_rate[0]
    assert curve.standard_error[0] == pytest.approx(np.sqrt(rate * (1 - rate) / 199))
    # What other draws of the pairs give: spread as told, about the share of all pairs.
    curves = [miss_rate_between(*line, lam=[0.5], n_pairs=200, random_state=s) for s in range(400)]
    deviations = [(c.miss_rate[0] - 50 / 210) / c.standard_error[0] for c in curves]
    assert abs(np.mean(deviations)) < 4 / np.sqrt(400)
    assert np.std(deviations) == pytest.approx(1, abs=4 / np.sqrt(2 * 400))


@pytest.mark.parametrize("measure", MEASURES)
def test_one_pair_has_no_standard_error(measure, iris, net, iris_names):
    curve = measure(net, iris[0], iris_names, lam=[0.5], n_pairs=1, random_state=0)
    assert np.isnan(curve.standard_error).all()


def test_standard_error_of_norms_is_that_of_their_mean(iris, module):
    curve = gradient_norm_between(module, *iris, lam=[0.2, 0.7], n_pairs=50, random_state=0)
    np.testing.assert_allclose(curve.gradient_norm, curve.gradient_norms.mean(1))
    expected = curve.gradient_norms.std(1, ddof=1) / np.sqrt(50)
    np.testing.assert_allclose(curve.standard_error, expected)


# -- what holds the rows --------------------------------------------------------------------------


def test_any_classifier_of_scikit_learn_is_taken(iris, iris_names):
    X, y = iris
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2).fit(X, iris_names)
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    assert miss_rate_between(search, X, iris_names, lam=[0.5], random_state=0).miss_rate[0] > 0.05
    assert miss_rate_between(forest, X, y, lam=[0.5], random_state=0).miss_rate[0] > 0.05


def test_a_frame_stays_a_frame_and_warns_of_nothing(iris, iris_names):
    X, _ = iris
    frame = pd.DataFrame(X, columns=list("abcd"), index=range(7, 157))
    pipeline = make_pipeline(
        make_column_transformer((StandardScaler(), ["b", "d"]), ("passthrough", ["a", "c"])),
        LogisticRegression(),
    ).fit(frame, iris_names)
    shuffled = frame[list("dcba")]  # columns are found by name
    curves = [
        miss_rate_between(pipeline, rows, pd.Series(iris_names, index=frame.index), random_state=0)
        for rows in (frame, shuffled)
    ]
    np.testing.assert_array_equal(curves[0].misses, curves[1].misses)
    whole = pd.DataFrame({"a": [0, 10, 20], "b": pd.array([1, 2, 3], dtype="Int64")})
    recorder = Recorder([0, 10, 20], [0, 1, 2])
    recorder.predict = lambda rows: recorder.seen.append(rows) or np.zeros(len(rows))
    miss_rate_between(recorder, whole, [0, 1, 2], lam=[0.25], n_pairs=5, random_state=0)
    assert list(recorder.seen[0].columns) == ["a", "b"]
    assert (recorder.seen[0]["a"] % 5 == recorder.seen[0]["a"] % 2.5).any()  # not rounded


def test_whole_numbers_of_a_table_become_floats(line):
    estimator, X, y = line
    curve = miss_rate_between(estimator, X, y, lam=LAM, random_state=0)
    whole = miss_rate_between(estimator, X.astype(np.uint8), y, lam=LAM, random_state=0)
    np.testing.assert_array_equal(whole.misses, curve.misses)
    listed = miss_rate_between(estimator, X.tolist(), y.tolist(), lam=LAM, random_state=0)
    np.testing.assert_array_equal(listed.misses, curve.misses)


def test_pictures_tensors_and_dicts_give_the_same_curves(digits, assert_unchanged):
    X, y = digits
    net = MixupClassifier(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
        max_epochs=5,
        random_state=0,
        device="cpu",
        lr=0.01,
    ).fit(X, y)
    kinds = [X, torch.tensor(X), X.astype(">f4")]
    with assert_unchanged(*kinds, y):
        for measure in MEASURES:
            curves = [measure(net, rows, y, lam=LAM, n_pairs=80, random_state=0) for rows in kinds]
            for curve in curves[1:]:
                for key, values in curves[0].items():
                    np.testing.assert_array_equal(curve[key], values)
    codes = torch.tensor(y)
    curve = miss_rate_between(net, kinds[1], codes, lam=LAM, n_pairs=80, random_state=0)
    by_hand = miss_rate_between(net, X, y, lam=LAM, n_pairs=80, random_state=0)
    np.testing.assert_array_equal(curve.misses, by_hand.misses)


class TwoInputs(nn.Module):
    """A linear classifier of two inputs by name."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(2, 3), nn.Linear(2, 3)

    def forward(self, left, right):
        return self.left(left) + self.right(right)


def test_inputs_of_a_dict_are_mixed_alike_and_have_one_gradient(iris, float64):
    X, y = iris
    parts = {"left": X[:, :2], "right": torch.tensor(X[:, 2:])}
    net = MixupClassifier(TwoInputs, max_epochs=1, random_state=0, device="cpu").fit(parts, y)
    joined = nn.Linear(4, 3)
    both = (net.module_.left, net.module_.right)
    joined.weight.data = torch.cat([part.weight for part in both], 1).detach()
    joined.bias.data = sum(part.bias for part in both).detach()
    for of in ("loss", "output"):
        options = {"lam": LAM, "n_pairs": 20, "random_state": 0, "of": of}
        one = gradient_norm_between(net, parts, y, **options)
        other = gradient_norm_between(joined, X, y, **options)
        assert_near(one.gradient_norms, other.gradient_norms)
    assert miss_rate_between(net, parts, y, lam=[0.5], random_state=0).misses.shape == (1, 1000)


@pytest.mark.cuda
@pytest.mark.parametrize("measure", MEASURES)
def test_rows_stay_on_the_device(measure, digits):
    X, y = digits
    net = MixupClassifier(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), max_epochs=5, random_state=0, device="cuda"
    ).fit(X, y)
    options = {"lam": LAM, "n_pairs": 80, "random_state": 0}
    on_device = measure(net, torch.tensor(X, device="cuda"), y, **options)
    np.testing.assert_allclose(
        [*on_device.values()][1], [*measure(net, X, y, **options).values()][1], atol=1e-5
    )
    gradient_norm_between(net.module_, torch.tensor(X, device="cuda"), y, **options)


@pytest.mark.parametrize("measure", MEASURES)
def test_minibatches_of_any_size_give_the_same_curve(measure, iris, net, iris_names):
    options = {"lam": LAM, "n_pairs": 60, "random_state": 0}
    curves = [
        measure(net, iris[0], iris_names, batch_size=size, **options) for size in (7, 60, 999)
    ]
    for curve in curves[1:]:
        for key, values in curves[0].items():
            np.testing.assert_allclose(curve[key], values, rtol=1e-10)


def test_minibatches_bound_what_is_predicted_at_once(line):
    recorder = Recorder([0, 1, 2], ["left", "middle", "right"])
    miss_rate_between(recorder, *line[1:], lam=[0.0, 1.0], n_pairs=10, batch_size=4)
    assert [len(rows) for rows in recorder.seen] == [4, 4, 4, 4, 2, 2]


# -- gradient norm: mathematics -------------------------------------------------------------------


def test_gradient_of_a_linear_softmax_is_the_closed_form(iris):
    X, y = iris
    module = Softmax(4, 3)
    W, b = (p.detach().numpy() for p in module.parameters())
    for order in (1, 2, np.inf):
        curve = gradient_norm_between(
            module, X, y, lam=LAM, n_pairs=40, random_state=0, ord=order, batch_size=16
        )
        i, j = curve.pairs.T
        for lam, norms in zip(LAM, curve.gradient_norms, strict=True):
            logits = (lam * X[i] + (1 - lam) * X[j]) @ W.T + b
            p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            mixed = lam * np.eye(3)[y[i]] + (1 - lam) * np.eye(3)[y[j]]
            expected = np.linalg.norm((p - mixed) @ W, ord=order, axis=1)
            np.testing.assert_allclose(norms, expected, rtol=1e-9)


def test_jacobian_of_a_linear_module_is_its_weight_everywhere(iris):
    module = Softmax(4, 3)
    weight = module.layers.weight.detach().numpy()
    for order, expected in (
        (1, np.abs(weight).sum()),
        (2, np.linalg.norm(weight, "fro")),
        (np.inf, np.abs(weight).max()),
    ):
        curve = gradient_norm_between(
            module, iris[0], None, of="output", lam=LAM, n_pairs=9, random_state=0, ord=order
        )
        np.testing.assert_allclose(curve.gradient_norms, expected, rtol=1e-9)
        np.testing.assert_allclose(curve.standard_error, 0, atol=1e-9)


def test_gradients_are_finite_differences(iris, module):
    X, y = iris
    curve = gradient_norm_between(module, X, y, lam=LAM, n_pairs=8, random_state=0)
    module.eval()
    step = 1e-6
    for lam, norms in zip(LAM, curve.gradient_norms, strict=True):
        points, _ = measure_by_hand(module, X, y, curve.pairs, lam)
        slopes = []
        for feature in range(4):
            losses = []
            for sign in (1, -1):
                moved = X.copy()
                moved[:, feature] += sign * step  # both rows of a pair move, so the point does
                losses.append(measure_by_hand(module, moved, y, curve.pairs, lam)[1])
            slopes.append((losses[0] - losses[1]).detach().numpy() / (2 * step))
        np.testing.assert_allclose(norms, np.linalg.norm(slopes, axis=0), rtol=1e-6, atol=1e-8)
    assert points.shape == (8, 4)


def test_a_net_has_the_gradients_of_its_module(iris, iris_names, net):
    X, y = iris
    options = {"lam": LAM, "n_pairs": 40, "random_state": 0}
    by_name = gradient_norm_between(net, X, iris_names, **options)
    by_code = gradient_norm_between(net.module_, X, y, **options)
    np.testing.assert_array_equal(by_name.gradient_norms, by_code.gradient_norms)
    frame = pd.DataFrame(X, columns=list("abcd"))
    net.fit(frame, iris_names)
    by_frame = gradient_norm_between(net, frame, iris_names, **options)
    by_code = gradient_norm_between(net.module_, X, y, **options)
    np.testing.assert_array_equal(by_frame.gradient_norms, by_code.gradient_norms)
    with pytest.raises(ValueError, match="same order"):
        gradient_norm_between(net, frame[list("abdc")], iris_names)


def test_a_criterion_is_the_nets_own(iris, net, iris_names):
    X, y = (rows.copy() for rows in iris)  # skorch's own net warns of read-only ones
    options = {"lam": LAM, "n_pairs": 40, "random_state": 0}
    plain = gradient_norm_between(net, X, iris_names, **options)
    net.criterion_ = nn.CrossEntropyLoss(torch.full((3,), 2.0, dtype=torch.float64))
    doubled = gradient_norm_between(net, X, iris_names, **options)
    np.testing.assert_allclose(doubled.gradient_norms, 2 * plain.gradient_norms)
    assert net.criterion_.reduction == "mean"
    skorch_net = NeuralNetClassifier(
        nn.Sequential(net.module_, nn.Softmax(1)), max_epochs=1, lr=0.0, train_split=None, verbose=0
    ).fit(X, y)
    by_nll = gradient_norm_between(skorch_net, X, y, **options)  # it takes the log itself
    expected = gradient_norm_between(skorch_net.module_[0], X, y, **options)
    np.testing.assert_allclose(by_nll.gradient_norms, expected.gradient_norms, rtol=1e-6)


def test_a_binary_net_of_skorch_is_taken(iris, float64):
    X, y = iris[0][:100].copy(), iris[1][:100]
    net = NeuralNetBinaryClassifier(nn.Linear(4, 1), max_epochs=2, train_split=None, verbose=0)
    net.fit(X, y.astype(np.float64))
    curve = gradient_norm_between(net, X, y, lam=LAM, n_pairs=30, random_state=0)
    weight, bias = (p.detach().numpy() for p in net.module_.parameters())
    i, j = curve.pairs.T
    for lam, norms in zip(LAM, curve.gradient_norms, strict=True):
        logits = (lam * X[i] + (1 - lam) * X[j]) @ weight[0] + bias
        error = 1 / (1 + np.exp(-logits)) - (lam * y[i] + (1 - lam) * y[j])
        expected = np.abs(error) * np.linalg.norm(weight)
        assert_near(norms, expected)


# -- the module stays as it was -------------------------------------------------------------------


def state_of(module) -> list:
    """Give all that a measurement might change."""
    return [
        [part.training for part in module.modules()],
        [(p.requires_grad, p.grad is None or p.grad.clone()) for p in module.parameters()],
        {name: value.numpy().tobytes() for name, value in module.state_dict().items()},
    ]


@pytest.mark.parametrize("of", ["loss", "output"])
def test_module_is_left_as_it_was_found(of, iris, module):
    first = next(module.parameters())
    first.requires_grad_(False)
    module.layers[4].weight.grad = torch.ones(3, 16, dtype=torch.float64)
    before, torch_state = state_of(module), torch.get_rng_state()
    with torch.no_grad():
        frozen = gradient_norm_between(module, *iris, of=of, lam=LAM, n_pairs=30, random_state=0)
    assert not (frozen.gradient_norms[:, 0] == 0).any()
    with pytest.raises(ValueError, match="could not be applied"):
        gradient_norm_between(module, iris[0][:, :3], iris[1], lam=LAM, of=of)
    after = state_of(module)
    assert after[0] == before[0]
    assert after[2] == before[2]
    assert module.layers[1].training is False
    assert module.layers[3].training is True
    torch.testing.assert_close(after[1], before[1])
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_net_is_left_as_it_was_found(iris, iris_names, net):
    net.module_.train()
    before = state_of(net.module_)
    gradient_norm_between(net, iris[0], iris_names, n_pairs=20)
    miss_rate_between(net, iris[0], iris_names, n_pairs=20)
    after = state_of(net.module_)
    torch.testing.assert_close(after[1], before[1])
    assert after[2] == before[2]
    net.module_.train()
    gradient_norm_between(net, iris[0], iris_names, n_pairs=20)
    assert state_of(net.module_)[0] == before[0]
    assert net.criterion_.reduction == "mean"


def test_criterion_gets_its_reduction_back_after_an_error(iris, iris_names, net, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("on purpose")

    monkeypatch.setattr(net, "get_loss", fail)
    with pytest.raises(RuntimeError, match="on purpose"):
        gradient_norm_between(net, iris[0], iris_names, n_pairs=2)
    assert net.criterion_.reduction == "mean"


def test_gradients_are_taken_within_inference_mode(iris, module):
    options = {"lam": [0.3], "n_pairs": 10, "random_state": 0}
    expected = gradient_norm_between(module, *iris, **options)
    with torch.inference_mode():
        X = torch.tensor(iris[0])
        within = gradient_norm_between(module, X, iris[1], **options)
    np.testing.assert_array_equal(within.gradient_norms, expected.gradient_norms)


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"lam": [0.5, 1.1]}, r"\[0, 1\]"),
        ({"lam": [-0.1]}, r"\[0, 1\]"),
        ({"lam": [np.nan]}, r"\[0, 1\]"),
        ({"lam": 0.5}, r"lam=\[0.5\]"),
        ({"lam": [[0.5]]}, "n_lam"),
        ({"lam": []}, "n_lam"),
        ({"n_pairs": 0}, "n_pairs.*>= 1; got 0"),
        ({"n_pairs": 1.5}, "n_pairs"),
        ({"batch_size": 0}, "batch_size"),
        ({"random_state": "seed"}, "seed"),
    ],
)
def test_bad_parameters_are_refused(measure, options, told, iris, net, iris_names):
    with pytest.raises(ValueError, match=told):
        measure(net, iris[0], iris_names, **options)


@pytest.mark.parametrize("measure", MEASURES)
def test_bad_rows_and_labels_are_refused(measure, iris, net, iris_names):
    X, y = iris[0], iris_names
    holes = X.copy()
    holes[3, 1] = np.nan
    for rows, labels, error, told in (
        (X[:10], y[:9], ValueError, "inconsistent"),
        (X[:1], y[:1], ValueError, "at least two rows"),
        (X[:, 0], y, ValueError, "row for each sample"),
        (holes, y, ValueError, "NaN"),
        (sparse.csr_array(X), y, TypeError, "dense"),
        (sparse.dok_array(X), y, TypeError, "dense"),
        (TensorDataset(torch.tensor(X)), y, TypeError, "TensorDataset"),
        ({}, y, ValueError, "empty dict"),
        (np.zeros((150, 3, 2, 2), dtype=np.uint8), y, TypeError, "uint8.*255"),
        (torch.zeros(150, 4, dtype=torch.uint8), y, TypeError, "uint8"),
        (X.astype(str), y, TypeError, "must be floating"),
        (pd.DataFrame({"a": X[:, 0], "b": y}), y, TypeError, r"columns \['b'\].*pipeline"),
        (X, np.eye(3, dtype=int)[iris[1]], ValueError, "one label for each row"),
        (X, X[:, 0], ValueError, "continuous"),
        (X, None, ValueError, None),
    ):
        with pytest.raises(error, match=told):
            measure(net, rows, labels, n_pairs=3)


def test_who_is_no_classifier_is_refused(iris):
    X, y = iris
    for estimator, error, told in (
        (LinearRegression().fit(X, y), TypeError, "regressor LinearRegression"),
        (KMeans(2, n_init=1).fit(X), TypeError, "clusterer KMeans"),
        (StandardScaler().fit(X), TypeError, "`predict` method; got StandardScaler"),
        (nn.Linear(4, 3), TypeError, "gradient_norm_between"),
        (LogisticRegression(), NotFittedError, "not fitted"),
        (MixupClassifier(), NotFittedError, "not fitted"),
        (make_pipeline(StandardScaler(), MixupClassifier()), NotFittedError, "not fitted"),
        (MultiOutputClassifier(LogisticRegression()).fit(X, np.c_[y, y]), ValueError, "one label"),
    ):
        with pytest.raises(error, match=told):
            miss_rate_between(estimator, X, y)


def test_labels_that_were_never_seen_are_misses_but_not_all_of_them(iris, iris_names):
    X, y = iris
    two = LogisticRegression().fit(X[:100], y[:100])
    curve = miss_rate_between(two, X, y, lam=[1.0], random_state=0)
    both_new = (y[curve.pairs] == 2).all(axis=1)
    assert both_new.any()
    assert curve.misses[0][both_new].all()
    with pytest.raises(ValueError, match=r"none of them, but \['setosa'"):
        miss_rate_between(two, X, iris_names)


def test_who_has_no_gradient_is_refused(iris, iris_names):
    X, y = iris
    net = MixupClassifier(max_epochs=1, device="cpu", random_state=0)
    pipeline = make_pipeline(StandardScaler(), net).fit(X, y)
    for estimator, error, told in (
        (pipeline, TypeError, r"pipeline\[-1\].*pipeline\[:-1\].transform"),
        (LogisticRegression().fit(X, y), TypeError, "got LogisticRegression"),
        (BaseEstimator(), TypeError, "got BaseEstimator"),
        (MixupClassifier(), NotFittedError, "not fitted"),
        (NeuralNetClassifier(nn.Linear(4, 3)), NotFittedError, "not"),
    ):
        with pytest.raises(error, match=told):
            gradient_norm_between(estimator, X, y)
    # What the message advises:
    curve = gradient_norm_between(pipeline[-1], pipeline[:-1].transform(X), y, n_pairs=5)
    assert (curve.gradient_norm > 0).all()
    words = make_column_transformer((OneHotEncoder(), ["b"]))
    assert words.fit_transform(pd.DataFrame({"b": iris_names})).shape == (150, 3)


def test_gradients_of_what_cannot_be_differentiated_are_refused(iris, iris_names, net):
    X, y = iris
    module = nn.Linear(4, 2).double()
    for call, told in (
        (lambda: gradient_norm_between(module, X, y), "indices below n_classes; got 2 in y"),
        (lambda: gradient_norm_between(module, X, y - 1), "class indices"),
        (lambda: gradient_norm_between(module, X, iris_names), "LabelEncoder"),
        (lambda: gradient_norm_between(net, X, y), "only classes that the net"),
        (lambda: gradient_norm_between(net, X[:, :3], iris_names), "features"),
        (lambda: gradient_norm_between(module, X, y, of="input"), "`of`"),
        (lambda: gradient_norm_between(module, X, y, ord=0.5), "`ord`"),
    ):
        with pytest.raises(ValueError, match=told):
            call()
    several = MixupClassifier(max_epochs=1, device="cpu").fit(X, np.eye(3, dtype=int)[y])
    with pytest.raises(ValueError, match="one label a row"):
        gradient_norm_between(several, X, y)
    net.criterion_ = lambda y_pred, y: y_pred.sum()
    with pytest.raises(ValueError, match="reduction"):
        gradient_norm_between(net, X, iris_names)


# -- display --------------------------------------------------------------------------------------


@pytest.fixture
def pyplot():
    """Pyplot without a screen, its figures closed after."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.mark.parametrize("kind", ["miss_rate", "gradient_norm"])
def test_display_draws_what_the_function_gives(kind, pyplot, iris, net, iris_names):
    measure = dict(zip(["miss_rate", "gradient_norm"], MEASURES, strict=True))[kind]
    options = {"lam": LAM, "n_pairs": 50, "random_state": 0}
    display = BetweenSamplesDisplay.from_estimator(net, iris[0], iris_names, kind=kind, **options)
    curve = measure(net, iris[0], iris_names, **options)
    np.testing.assert_array_equal(display.line_.get_xdata(), LAM)
    np.testing.assert_array_equal(display.line_.get_ydata(), curve[kind])
    vertices = display.band_.get_paths()[0].vertices
    assert vertices[:, 1].max() == pytest.approx((curve[kind] + curve.standard_error).max())
    assert vertices[:, 1].min() == pytest.approx((curve[kind] - curve.standard_error).min())
    assert display.ax_.get_ylim()[0] == 0
    assert display.figure_ is display.ax_.figure
    assert kind.split("_")[0] in display.ax_.get_ylabel()
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["MixupClassifier"]


def test_several_displays_share_an_axis(pyplot, line):
    estimator, X, y = line
    other = Nearest([0, 1, 2], ["left", "right", "middle"])
    _, ax = pyplot.subplots()
    small = BetweenSamplesDisplay.from_estimator(
        estimator, X, y, lam=LAM[::-1], random_state=0, ax=ax, name="right", color="green"
    )
    curve = miss_rate_between(other, X, y, random_state=0)
    large = BetweenSamplesDisplay.from_curve(curve, ax=ax, name="wrong")
    assert small.ax_ is large.ax_ is ax
    np.testing.assert_array_equal(small.line_.get_xdata(), LAM)  # sorted
    assert small.line_.get_color() == "green"
    colours = [pyplot.matplotlib.colors.to_rgba(c.line_.get_color(), 0.2) for c in (small, large)]
    for display, colour in zip((small, large), colours, strict=True):
        np.testing.assert_allclose(display.band_.get_facecolor()[0], colour)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["right", "wrong"]
    assert ax.get_ylim()[1] > curve.miss_rate.max()  # room for both
    assert large.plot(name="again").ax_ is not ax


def test_display_without_band_or_name(pyplot):
    display = BetweenSamplesDisplay(lam=[0, 1], values=[0.1, 0.2])
    assert vars(display) == {
        "lam": [0, 1],
        "values": [0.1, 0.2],
        "standard_error": None,
        "kind": "miss_rate",
        "name": None,
    }
    assert display.plot() is display
    assert display.band_ is None
    assert display.ax_.get_legend() is None


def test_display_refuses_what_it_does_not_know(pyplot, line):
    with pytest.raises(ValueError, match=r"`kind` must be one of.*'hit_rate'"):
        BetweenSamplesDisplay.from_estimator(*line, kind="hit_rate")
    with pytest.raises(ValueError, match="hit_rate"):
        BetweenSamplesDisplay(lam=[0], values=[0], kind="hit_rate").plot()
    with pytest.raises(ValueError, match="must come from"):
        BetweenSamplesDisplay.from_curve({"lam": [0]})


def test_display_says_how_to_get_matplotlib_before_it_computes(monkeypatch, line):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    recorder = Recorder([0, 1, 2], ["left", "middle", "right"])
    with pytest.raises(
        ImportError, match=r"from_estimator needs matplotlib.*pip install matplotlib"
    ):
        BetweenSamplesDisplay.from_estimator(recorder, *line[1:])
    assert recorder.seen == []
