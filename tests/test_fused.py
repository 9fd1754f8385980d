"""What fit_fused claims: without dropout each net of a stack ends as it would have alone."""

import ctypes
import inspect
import os
import re
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from skorch.callbacks import Callback
from torch import nn
from torch.testing import assert_close

import sklearn_mixup._engine.stack as stack_module
import sklearn_mixup._fused.jobs as jobs
from sklearn_mixup import MixupClassifier, fit_fused
from sklearn_mixup._engine.lane import Lane, Shared, initialize
from sklearn_mixup._engine.lockstep import Group
from sklearn_mixup._engine.stack import DropoutMasks, StackedMLP
from sklearn_mixup._fused.jobs import fit_together
from sklearn_mixup._net.losses import CrossEntropy
from sklearn_mixup._net.targets import LogCoefficients
from sklearn_mixup._streams import Stream
from sklearn_mixup.modules import MLP
from tests.recording import HostReads
from tests.rounding import ROUNDING, assert_near, error_of_sum

pytestmark = pytest.mark.usefixtures("float64")


def make_net(**params):
    small = {"module__hidden_sizes": (8,), "max_epochs": 4, "lr": 0.02, "random_state": 0}
    return MixupClassifier(**{**small, "device": "cpu", **params})


def make_folds(X, y, *lengths):
    """Draw folds of these lengths, each of other rows in another order, from a table."""
    rng = np.random.default_rng(0)
    folds = [rng.permutation(len(X))[:n] for n in lengths]
    return [(X[rows], y[rows]) for rows in folds]


def fit_both(nets, folds, weights=None, **options):
    """Fit nets, in place, as one stack, and copies of them one by one."""
    alone = [clone(net) for net in nets]
    weights = [None] * len(nets) if weights is None else weights
    for net, (X, y), weight in zip(alone, folds, weights, strict=True):
        net.fit(X, y, sample_weight=weight)
    assert fit_fused(nets, *zip(*folds, strict=True), sample_weights=weights, **options) == nets
    return list(zip(nets, alone, strict=True))


def assert_same_history(one, other):
    assert len(one.history) == len(other.history)
    for row, expected in zip(one.history, other.history, strict=True):
        assert list(row) == list(expected)
        assert [list(step) for step in row["batches"]] == [list(s) for s in expected["batches"]]
        for key in ("train_loss", "train_batch_size"):
            pairs = zip(row["batches"], expected["batches"], strict=True)
            steps = [(step[key], expect[key]) for step, expect in pairs]
            np.testing.assert_allclose(*zip(*steps, strict=True), rtol=ROUNDING)
        for key in row.keys() - {"batches", "dur"}:
            assert type(row[key]) is type(expected[key])
            assert row[key] == pytest.approx(expected[key], rel=ROUNDING, nan_ok=True)
        assert "dur" not in row or row["dur"] > 0


def assert_same_net(one, other):
    """Compare all that two nets have learned, trained in float64: float32 has no such bound."""
    assert {p.dtype for p in other.module_.parameters()} == {torch.float64}
    expected = other.module_.state_dict()
    assert list(one.module_.state_dict()) == list(expected)
    for name, tensor in one.module_.state_dict().items():
        assert_near(tensor, expected[name])
    assert_same_history(one, other)
    own, expected = one.optimizer_.state_dict(), other.optimizer_.state_dict()
    assert own["param_groups"] == expected["param_groups"]
    own, expected = (
        {**state, "state": {i: held for i, held in state["state"].items() if held}}
        for state in (own, expected)
    )
    assert own["state"].keys() == expected["state"].keys()
    for i, held in own["state"].items():
        assert held.keys() == expected["state"][i].keys()
        for key, value in held.items():
            assert type(value) is type(expected["state"][i][key])
            if value is not None:
                # Averages of squares have twice the relative error.
                assert_near(value, expected["state"][i][key], 2 * ROUNDING)
    passing = {"_fixed_mode_", "_training_"}  # Of a fit while it lasts.
    assert vars(one).keys() - passing == vars(other).keys() - passing
    for name in ("classes_", "feature_names_in_"):
        assert np.array_equal(getattr(one, name, 0), getattr(other, name, 0))
    for name in ("n_features_in_", "target_type_", "n_outputs_", "_n_features_", "_training_"):
        assert getattr(one, name, 0) == getattr(other, name, 0)
    assert one.initialized_
    assert one.n_steps_ is None


def same_bits(one, other):
    pairs = zip(one.module_.parameters(), other.module_.parameters(), strict=True)
    return all(torch.equal(p, q) for p, q in pairs)


def largest_difference(one, other):
    pairs = zip(one.module_.parameters(), other.module_.parameters(), strict=True)
    return max(float((p - q).abs().max().detach()) for p, q in pairs)


@pytest.fixture
def table(request):
    """A real table: the name comes from the test."""
    if request.param == "website_phishing":
        bunch = request.getfixturevalue("website_phishing")
        return OneHotEncoder(sparse_output=False).fit_transform(bunch.X), bunch.y
    X, y = request.getfixturevalue(request.param)
    if request.param == "digits":
        return X.reshape(len(X), -1), y
    return StandardScaler().fit_transform(X), y


# -- each net as alone --------------------------------------------------------------------------

# All that the nets of a stack may differ in.
VARIED = [
    {"alpha": 0},
    {"alpha": 0.2, "random_state": 1},
    {"alpha": 1, "lam_per": "sample", "lr": 0.005},
    {"alpha": 1, "erm_epochs": 4, "optimizer__weight_decay": 1e-3},
    {"alpha": 0.2, "class_weight": "balanced", "random_state": 2},
    {"alpha": 0.2, "lr": 0.01, "optimizer__weight_decay": 0.1},
    {"alpha": 0, "class_weight": "balanced"},
    {"alpha": np.inf, "random_state": 3},
    {"alpha": 0.2, "erm_epochs": 20, "lam_per": "sample"},
]
# Four full minibatches; three, and one of 24 rows; of 1; none; two; and none full.
LENGTHS = [128, 120, 97, 128, 96, 64, 120, 20, 97]


def make_weights(folds):
    """Weights of the loss, counts of rows, none, and weights that leave rows out."""
    rng = np.random.default_rng(0)
    kinds = [
        lambda n: None,
        lambda n: rng.uniform(0.2, 2, n),
        lambda n: rng.integers(0, 3, n),
        lambda n: rng.uniform(0.2, 2, n) * (np.arange(n) % 4 > 0),
    ]
    return [kinds[i % len(kinds)](len(y)) for i, (_, y) in enumerate(folds)]


@pytest.mark.machines
@pytest.mark.parametrize(
    "table", ["iris", "wine", "breast_cancer", "digits", "website_phishing"], indirect=True
)
def test_each_net_of_a_stack_ends_as_alone(table, assert_unchanged):
    folds = make_folds(*table, *LENGTHS)
    weights = make_weights(folds)
    nets = [make_net(max_epochs=10, **params) for params in VARIED]
    with assert_unchanged(folds, weights):
        pairs = fit_both(nets, folds, weights)
    for one, other in pairs:
        assert_same_net(one, other)
        X = table[0]
        assert_near(one.predict_proba(X), other.predict_proba(X))
        assert (one.predict(X) == other.predict(X)).mean() > 0.99


@pytest.mark.machines
@pytest.mark.parametrize(
    "table", ["iris", "wine", "breast_cancer", "digits", "website_phishing"], indirect=True
)
def test_a_step_in_float32_is_that_of_each_net_alone(table):
    torch.set_default_dtype(torch.float32)
    folds = make_folds(*table, *LENGTHS)
    # One step of SGD with lr = 1 takes off the gradient, the weighted mean over the rows of
    # (p - y) x. Without hidden units: rounding may decide on which side of its bend one lies.
    step = {"module__hidden_sizes": (), "max_epochs": 1, "batch_size": -1}
    step.update(optimizer=torch.optim.SGD, lr=1.0, callbacks__lr_decay=None)
    nets = [make_net(**{**params, **step}) for params in VARIED]
    for (one, other), (X, _) in zip(fit_both(nets, folds, make_weights(folds)), folds, strict=True):
        n_rows, n_columns = X.shape
        # The logits are sums over the columns, with weights of 1 / sqrt(n_columns) at most; an
        # error of theirs changes p by half of it at most. 8 for all that is no sum.
        of_logits = (np.abs(X).sum(1).max() + 1) / n_columns**0.5
        of_logits *= error_of_sum(n_columns + 8, torch.float32)
        of_mean = error_of_sum(n_rows + 8, torch.float32)
        bound = 2 * max(1, np.abs(X).max()) * (of_logits / 2 + of_mean)
        assert bound < 2e-3
        for p, q in zip(one.module_.parameters(), other.module_.parameters(), strict=True):
            assert p.dtype == q.dtype == torch.float32
            assert_close(p, q, rtol=0, atol=bound)


@pytest.mark.machines
@pytest.mark.parametrize("batch_size", [32, 24, 7, 1000, -1])
def test_each_net_of_a_stack_ends_as_alone_whatever_the_minibatches(iris, batch_size):
    nets = [make_net(batch_size=batch_size, **params) for params in VARIED]
    for pair in fit_both(nets, make_folds(*iris, *LENGTHS)):
        assert_same_net(*pair)


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False},
        {"drop_last": True},
        {"chunk_bytes": 1},
        {"chunk_bytes": 2**14},
        {"batch_size": 48},
    ],
    ids=str,
)
def test_each_net_of_a_stack_ends_as_alone_whatever_the_iterator(iris, options):
    options = {f"iterator_train__{name}": value for name, value in options.items()}
    nets = [make_net(batch_size=20, **options, **params) for params in VARIED]
    for pair in fit_both(nets, make_folds(*iris, *LENGTHS)):
        assert_same_net(*pair)


@pytest.mark.parametrize("hidden_sizes", [(), (8,), (8, 8, 8)])
@pytest.mark.parametrize("max_epochs", [0, 1, 3])
def test_each_net_of_a_stack_ends_as_alone_whatever_the_depth(wine, hidden_sizes, max_epochs):
    sizes = {"module__hidden_sizes": hidden_sizes, "max_epochs": max_epochs}
    nets = [make_net(**sizes, **params) for params in VARIED]
    for pair in fit_both(nets, make_folds(*wine, *LENGTHS)):
        assert_same_net(*pair)


def test_nets_of_several_shapes_and_tables_end_as_alone(iris, wine, digits):
    names = np.array(["no", "yes"])
    tables = [iris, wine, digits, (iris[0], names[(iris[1] > 0).astype(int)])]
    params = [{}, {"module__hidden_sizes": (8, 8)}, {"batch_size": 50}, {"max_epochs": 2}]
    nets = [make_net(**params[i // 4], random_state=i) for i in range(16)]
    for pair in fit_both(nets, tables * 4):
        assert_same_net(*pair)


def test_nets_of_one_table_with_other_weights_and_targets_end_as_alone(iris):
    X, y = iris
    targets = [y, y, y, y[::-1].copy(), np.roll(y, 7), (y + 1) % 3]
    weights = [None, np.linspace(0.1, 1, 150), np.arange(150) % 3, None, None, np.arange(150) % 2]
    for pair in fit_both([make_net() for _ in targets], [(X, t) for t in targets], weights):
        assert_same_net(*pair)


def test_what_is_learned_of_the_columns_and_labels_is_that_of_each_net_alone(iris, iris_names):
    X = pd.DataFrame(iris[0], columns=["sl", "sw", "pl", "pw"])
    y = iris_names
    folds = [(X, y), (X, y), (X[:90], y[:90]), (X.to_numpy(), iris[1]), (X.astype("float32"), y)]
    folds += [(torch.as_tensor(iris[0].copy()), iris[1]), (iris[0].tolist(), y.tolist())]
    nets = [make_net(random_state=i) for i in range(len(folds))]
    nets[2].set_params(classes=["setosa", "versicolor", "virginica"])
    for (one, other), (X_fitted, _) in zip(fit_both(nets, folds), folds, strict=True):
        assert_same_net(one, other)
        assert np.array_equal(one.predict(X_fitted), other.predict(X_fitted))
    assert hasattr(nets[0], "feature_names_in_")
    assert nets[2].classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert {*nets[0].predict(X)} <= {*y}


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
def test_partial_fit_goes_on_as_after_a_fit_alone(iris, optimizer):
    options = {"optimizer": optimizer, "module__dropout": 0.0}
    if optimizer is torch.optim.SGD:
        options["optimizer__momentum"] = 0.9
    nets = [make_net(**options, **params) for params in VARIED]
    for one, other in fit_both(nets, make_folds(*iris, *LENGTHS)):
        for net in (one, other):
            net.partial_fit(*iris)
            net.set_params(max_epochs=2, lr=0.001).partial_fit(*iris)
        assert_same_net(one, other)


def test_a_net_that_was_fitted_before_is_fitted_anew(iris, wine):
    nets = [make_net(random_state=i).fit(*wine) for i in range(2)]
    for pair in fit_both(nets, [iris] * 2):
        assert_same_net(*pair)


def test_a_net_without_a_single_minibatch_is_told_as_alone(iris):
    nets = [make_net(batch_size=100, iterator_train__drop_last=True) for _ in range(2)]
    (X, y), other = make_folds(*iris, 90, 150)
    with pytest.raises(ValueError, match="none of 90 row") as alone:
        clone(nets[0]).fit(X, y)
    with pytest.raises(ValueError, match=re.escape(str(alone.value))):
        fit_fused(nets, *zip((X, y), other, strict=True))
    assert [net.initialized_ for net in nets] == [False, True]
    assert_same_net(nets[1], clone(nets[1]).fit(*other))


def test_optimizers_hold_what_they_hold_alone(iris):
    nets = [make_net(optimizer=torch.optim.SGD), make_net(max_epochs=0), make_net()]
    for one, other in fit_both(nets, [iris] * 3):
        held, expected = (net.optimizer_.state_dict()["state"] for net in (one, other))
        assert held.keys() == expected.keys()


def test_no_nets_at_all_are_fitted():
    assert fit_fused([], [], []) == []


# -- optimizers ---------------------------------------------------------------------------------

SCALES = [(0.02, 0), (0.02, 0.01), (0.005, 0.1), (0.01, 0)]


# From torch 2.6 on.
HAS_DECOUPLED = "decoupled_weight_decay" in inspect.signature(torch.optim.Adam).parameters
DECOUPLED = [("Adam", {"decoupled_weight_decay": True})] if HAS_DECOUPLED else []


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("SGD", {}),
        ("SGD", {"momentum": 0.9}),
        ("SGD", {"momentum": 0.9, "dampening": 0.5}),
        ("SGD", {"momentum": 0.9, "nesterov": True}),
        ("SGD", {"maximize": True}),
        ("Adam", {}),
        ("Adam", {"amsgrad": True, "betas": (0.8, 0.9)}),
        ("Adam", {"fused": False, "foreach": False}),
        *DECOUPLED,
        ("AdamW", {}),
        ("AdamW", {"amsgrad": True}),
        ("RMSprop", {}),
        ("RMSprop", {"centered": True, "momentum": 0.5}),
        ("Adagrad", {"lr_decay": 0.1}),
        ("Adadelta", {}),
        ("Adamax", {}),
        ("NAdam", {}),
        ("RAdam", {}),
    ],
    ids=str,
)
@pytest.mark.parametrize("several", [False, True], ids=["one scale", "several"])
def test_optimizers_step_as_alone(iris, optimizer, options, several):
    options = {f"optimizer__{name}": value for name, value in options.items()}
    scales = SCALES if several else [(0.01, 0.01)] * 4
    nets = [
        make_net(
            optimizer=getattr(torch.optim, optimizer),
            lr=lr,
            optimizer__weight_decay=weight_decay,
            random_state=i,
            **options,
        )
        for i, (lr, weight_decay) in enumerate(scales)
    ]
    for pair in fit_both(nets, make_folds(*iris, 128, 120, 97, 128)):
        assert_same_net(*pair)


def test_groups_of_parameters_step_as_alone(iris):
    groups = [("hidden.*", {"lr": 0.001, "weight_decay": 0.1}), ("*.bias", {"lr": 0.1})]
    nets = [make_net(optimizer__param_groups=groups, random_state=i) for i in range(4)]
    nets[3].set_params(lr=0.01)
    for pair in fit_both(nets, make_folds(*iris, 150, 128, 97, 120)):
        assert_same_net(*pair)


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.NAdam])
def test_a_constant_learning_rate_is_that_of_each_net_alone(iris, optimizer):
    nets = [make_net(optimizer=optimizer, callbacks__lr_decay=None, random_state=i) for i in (0, 1)]
    nets += [make_net(optimizer=optimizer, random_state=0)]
    pairs = fit_both(nets, make_folds(*iris, 128, 120, 128))
    for pair in pairs:
        assert_same_net(*pair)
    assert "event_lr" not in nets[0].history[-1]
    assert "event_lr" in nets[2].history[-1]


@pytest.mark.parametrize("name", ["train_loss", "epoch_timer", "valid_acc", "print_log"])
def test_history_without_a_default_callback_is_that_of_each_net_alone(iris, name):
    nets = [make_net(**{f"callbacks__{name}": None, "random_state": i}) for i in range(2)]
    for pair in fit_both(nets, [iris] * 2):
        assert_same_net(*pair)


# -- criteria -----------------------------------------------------------------------------------


class SquaredError(nn.Module):
    """A criterion of the user's own, that averages; labels are codes."""

    def forward(self, logits, y):
        return ((logits.softmax(1) - nn.functional.one_hot(y, 3)) ** 2).sum(1).mean()


# torch tells so where vmap takes an operation, but not all at once.
@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize(
    "criterion",
    [
        {"criterion__label_smoothing": 0.1},
        {"criterion__weight": torch.tensor([0.2, 1.0, 3.0]).double()},
        {"criterion__ignore_index": 1},
        {"criterion__reduction": "sum"},
        {"criterion": nn.MultiMarginLoss},
        {"criterion": nn.CrossEntropyLoss(label_smoothing=0.2)},
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_criteria_are_minimised_as_alone(iris, criterion, weighted):
    folds = make_folds(*iris, *LENGTHS)
    nets = [make_net(**criterion, **params) for params in VARIED]
    for pair in fit_both(nets, folds, make_weights(folds) if weighted else None):
        assert_same_net(*pair)


def test_a_criterion_of_the_user_s_own_is_minimised_as_alone(iris):
    nets = [make_net(criterion=SquaredError, alpha=alpha) for alpha in (0, 0.2, 1)]
    for pair in fit_both(nets, make_folds(*iris, 150, 128, 97)):
        assert_same_net(*pair)


@pytest.mark.machines
@pytest.mark.parametrize("kind", ["multilabel", "probabilities"])
@pytest.mark.parametrize("weighted", [False, True])
def test_targets_in_columns_are_learned_as_alone(iris, kind, weighted):
    X, y = iris
    Y = np.eye(3)[y]
    if kind == "multilabel":
        Y = np.column_stack([Y[:, 0], X[:, 1] > 0, y > 0]).astype(int)
    else:
        Y = 0.9 * Y + 0.1 / 3
    folds = make_folds(X, Y, *LENGTHS)
    varied = [{k: v for k, v in params.items() if k != "class_weight"} for params in VARIED]
    nets = [make_net(**params) for params in varied]
    for pair in fit_both(nets, folds, make_weights(folds) if weighted else None):
        assert_same_net(*pair)


@pytest.mark.parametrize(
    "criteria",
    [
        [
            {"criterion": nn.CrossEntropyLoss(weight=torch.tensor([1.0, 1.0, w]).double())}
            for w in (0.1, 5.0)
        ],
        [
            {"criterion__weight": torch.tensor([0.001, 0.001, w]).double()}
            for w in (0.00114, 0.00106)
        ],
    ],
    ids=["instances", "numbers that print alike"],
)
def test_criteria_that_differ_in_their_numbers_are_not_taken_for_one(iris, criteria):
    for pair in fit_both([make_net(**params) for params in criteria], [iris] * 2):
        assert_same_net(*pair)


class Tempered(nn.CrossEntropyLoss):
    """A criterion that learns, too."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, logits, y):
        return super().forward(logits * self.scale, y)


@pytest.mark.filterwarnings("ignore:.*could not be fused")
def test_a_criterion_that_learns_learns_as_alone(iris):
    for one, other in fit_both([make_net(criterion=Tempered) for _ in range(2)], [iris] * 2):
        assert_near(one.criterion_.scale.detach(), other.criterion_.scale.detach())
        assert_same_net(one, other)


# -- dropout ------------------------------------------------------------------------------------

DROPPED = [
    {"dropout": 0.2},
    {"dropout": 0.5, "alpha": 0},
    {"dropout": 0.0},
    {"dropout": 0.2, "random_state": 1, "lr": 0.005},
    {"dropout": 0.9, "class_weight": "balanced"},
    {"dropout": 0.2, "random_state": 2, "erm_epochs": 2},
]


@pytest.mark.machines
@pytest.mark.parametrize(
    "options",
    [{"max_fused": 1}, {"max_fused": 4}, {"max_fused": "auto", "n_jobs": 2}, {"n_jobs": 2}],
    ids=str,
)
@pytest.mark.parametrize("batch_size", [7, 32, -1])
def test_dropout_is_the_same_however_nets_are_stacked(iris, options, batch_size):
    folds = make_folds(*iris, *LENGTHS[:6])
    nets = [make_net(batch_size=batch_size, **params) for params in DROPPED]
    others = [clone(net) for net in nets]
    fit_fused(nets, *zip(*folds, strict=True))
    fit_fused(others[::-1], *zip(*folds[::-1], strict=True), **options)
    assert largest_difference(nets[0], others[1]) > 0.01
    for one, other in zip(nets, others, strict=True):
        assert_same_net(one, other)


@pytest.mark.parametrize("batch_size", [32, -1])
def test_dropout_is_the_same_whatever_other_nets_there_are(iris, batch_size):
    folds = make_folds(*iris, 120, 150, 20)
    nets = [make_net(dropout=0.3, batch_size=batch_size, random_state=i) for i in range(3)]
    by_itself = clone(nets[0])
    fit_fused(nets, *zip(*folds, strict=True))
    fit_fused([by_itself], [folds[0][0]], [folds[0][1]])
    assert_same_net(nets[0], by_itself)


def make_masks(p, n_steps, shapes, seeds=None, dtype=torch.float32):
    """Draw the masks of some steps, shape (n_modules, n_steps, ...) for each call."""
    p = torch.tensor(p)
    seeds = range(len(p)) if seeds is None else seeds
    masks = DropoutMasks(torch.tensor([Stream(seed).key for seed in seeds]), p, dtype)
    bits = masks.draw(0, len(p), 0, n_steps, sum(int(np.prod(shape)) for shape in shapes))
    # Those of a step are overwritten by the next.
    steps = [[m.clone() for m in masks.make(0, bits[:, k], shapes)] for k in range(n_steps)]
    return [torch.stack(call, 1) for call in zip(*steps, strict=True)]


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9, 0.999])
def test_masks_keep_the_share_and_are_one_on_average(p):
    (masks,) = make_masks([[p]], 10, [(100, 200)], dtype=torch.float64)
    n_kept, n = int((masks > 0).sum()), masks.numel()
    kept = round((1 - p) * 2**16) / 2**16
    assert kept == pytest.approx(1 - p, abs=2**-17)
    # A right one fails once in 1e6.
    assert stats.binomtest(n_kept, n, kept).pvalue > 1e-6
    (value,) = masks[masks > 0].unique().tolist()
    assert value * kept == 1


def test_masks_of_modules_steps_and_calls_are_independent():
    first, second = make_masks([[0.5, 0.5]] * 3, 4, [(64, 100), (64, 100)])
    rows = torch.cat([first.flatten(2), second.flatten(2)]).flatten(0, 1)  # 3 * 4 * 2 rows
    n = rows.shape[1]
    correlations = torch.corrcoef(rows) - torch.eye(len(rows))
    # Each of the 276 is normal with deviation n**-0.5: a right one fails once in 1e6 or so.
    assert correlations.abs().max() < 6 / n**0.5
    # So are neighbours of one row, whose bits are of one word, and rows of a minibatch.
    for lag in (1, 2, 3, 100):
        pairs = torch.stack([rows[:, lag:].flatten(), rows[:, :-lag].flatten()])
        assert abs(float(torch.corrcoef(pairs)[0, 1])) < 5 / rows.numel() ** 0.5


def test_masks_of_calls_that_drop_nothing_are_ones():
    first, second = make_masks([[0.0, 0.0], [0.0, 0.5], [0.0, 0.0]], 1, [(400, 1000)] * 2)
    assert (first == 1).all()  # of 1.2e6, so of any 16 random bits
    assert (second[[0, 2]] == 1).all()
    assert sorted(second[1].unique().tolist()) == [0, 2]


def test_masks_of_a_step_do_not_depend_on_the_steps_drawn_with_it():
    masks = DropoutMasks(torch.tensor([3, 4]), torch.full((2, 1), 0.5), torch.float32)
    together = masks.draw(0, 2, 0, 6, 15).clone()
    alone = masks.draw(1, 2, 4, 1, 15)
    assert torch.equal(together[1:, 4:5], alone)
    assert not torch.equal(together[1:, 3:4], alone)


def test_masks_of_another_epoch_are_others():
    masks = DropoutMasks(torch.tensor([3, 4]), torch.full((2, 1), 0.5), torch.float32)
    epochs = []
    for epoch in (0, 1, 0):
        masks.begin(epoch)
        epochs.append(masks.draw(0, 2, 0, 6, 100).clone())
    assert torch.equal(epochs[0], epochs[2])
    assert (epochs[0] == epochs[1]).float().mean() < 0.01


def test_masks_of_a_module_do_not_depend_on_the_others():
    (one,) = make_masks([[0.3]], 2, [(7, 5)], seeds=[4])
    (many,) = make_masks([[0.5], [0.3], [0.0]], 2, [(7, 5)], seeds=[9, 4, 2])
    assert torch.equal(one[0], many[1])


def make_lanes(nets, X, y, shared):
    """Begin the trainings of nets on the same data, and initialize them."""
    lanes = [Lane(net, X, y, {}, None, shared) for net in nets]
    assert not initialize(dict(enumerate(lanes)))
    return lanes


def test_nets_of_other_random_states_drop_otherwise(iris):
    lanes = make_lanes([make_net(random_state=i) for i in (0, 1, 0)], *iris, Shared())
    seeds = [lane.noise_key for lane in lanes]
    assert seeds[0] == seeds[2] != seeds[1]


def test_nets_may_draw_their_seeds_from_the_global_generator(iris):
    X, y = iris
    fits = []
    for fit in (
        MixupClassifier.fit,
        lambda net, X, y: fit_fused([make_net(), net], [X] * 2, [y] * 2),
    ):
        np.random.seed(3)  # noqa: NPY002
        net = make_net(random_state=np.random.mtrand._rand)
        fit(net, X, y)
        fits.append((net, np.random.random()))  # noqa: NPY002
    assert_same_net(fits[0][0], fits[1][0])
    assert fits[0][1] == fits[1][1]


@pytest.mark.parametrize("hidden_sizes", [(), (7,), (7, 5, 6)])
@pytest.mark.parametrize("drops", [False, True])
def test_gradients_of_a_stack_are_those_of_autograd(hidden_sizes, drops):
    torch.manual_seed(0)
    modules = [MLP(4, 3, hidden_sizes).double() for _ in range(3)]
    inside = StackedMLP(modules, CrossEntropy())
    X, targets = torch.randn(3, 10, 4).double(), -torch.rand(3, 10, 3).double()
    masks = [(torch.rand(3, 10, width) < 0.5).double() * 2 for width in hidden_sizes]
    masks = masks if drops else []
    # Of nets 1 and 2 only; whatever stood there before is overwritten.
    inside.grads["output.weight"].fill_(7.0)
    losses = inside.backward(1, 3, X[1:], LogCoefficients(targets[1:]), [m[1:] for m in masks])
    for i in (1, 2):
        hidden = X[i]
        for k, layer in enumerate(modules[i].hidden):
            hidden = torch.relu(layer(hidden)) * (masks[k][i] if drops else 1)
        loss = (targets[i] * modules[i].output(hidden).log_softmax(1)).sum()
        loss.backward()
        assert_close(losses[i - 1], loss.detach())
        for name, param in modules[i].named_parameters():
            assert_close(inside.grads[name][i], param.grad)
    assert (inside.grads["output.weight"][0] == 7).all()


def test_dropout_trains_to_the_losses_of_nets_alone(iris):
    nets = [make_net(dropout=0.5, alpha=0, random_state=i) for i in range(30)]
    pairs = fit_both(nets, [iris] * 30)
    # The pairs share initial weights and minibatches. A right one fails once in 1e4; without the
    # scale of what is kept p is below 1e-10.
    for measure in (lambda net: net.history[-1, "train_loss"], lambda net: net.score(*iris)):
        one, other = np.array([[measure(net) for net in pair] for pair in pairs]).T
        assert stats.ttest_rel(one, other).pvalue > 1e-4
    dry = [make_net(alpha=0, random_state=i) for i in range(30)]
    fit_fused(dry, [iris[0]] * 30, [iris[1]] * 30)
    losses = [[net.history[-1, "train_loss"] for net in nets] for nets in (nets, dry)]
    assert np.mean(losses[0]) > np.mean(losses[1]) + 0.05  # It does drop.


# -- random_state -------------------------------------------------------------------------------


@pytest.mark.machines
def test_same_random_state_gives_the_same_bits(iris):
    def fitted():
        nets = [make_net(**params) for params in (*DROPPED, DROPPED[0])]
        return fit_fused(nets, [iris[0]] * 7, [iris[1]] * 7)

    nets = fitted()
    assert all(map(same_bits, nets, fitted()))
    assert_same_net(nets[0], nets[-1])  # To rounding: their places in memory differ.
    assert not same_bits(nets[0], nets[3])


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("params", [{}, {"module__hidden_sizes": (4,)}], ids=["one", "two"])
def test_random_state_instances_move_on_as_alone(iris, is_shared, params):
    def make():
        states = [np.random.RandomState(0 if is_shared else i) for i in range(3)]
        states = states[:1] * 3 if is_shared else states
        varied = [{"dropout": 0.0}, params, {}]
        # clone would copy the state.
        nets = [
            make_net(random_state=state, **more) for state, more in zip(states, varied, strict=True)
        ]
        return nets, states

    (nets, states), (alone, states_alone) = make(), make()
    fit_fused(nets, [iris[0]] * 3, [iris[1]] * 3)
    for one, other in zip(nets, alone, strict=True):
        assert_same_net(one, other.fit(*iris))
    for state, other in zip(states, states_alone, strict=True):
        assert state.randint(2**31) == other.randint(2**31)


def test_random_state_none_differs_from_net_to_net(iris):
    nets = [make_net(random_state=None) for _ in range(2)]
    assert not same_bits(*fit_fused(nets, [iris[0]] * 2, [iris[1]] * 2))


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_global_generators_are_left_as_they_were_found(iris, n_jobs):
    numpy_before, torch_before = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    nets = [make_net(random_state=state, dropout=0.2) for state in (0, None, 1)]
    fit_fused(nets, [iris[0]] * 3, [iris[1]] * 3, n_jobs=n_jobs, max_fused=1)
    assert torch.equal(torch.get_rng_state(), torch_before)
    assert all(map(np.array_equal, np.random.get_state(), numpy_before))  # noqa: NPY002


@pytest.mark.parametrize(("n_stacks", "n_threads"), [(1, 1), (2, 1), (2, 3), (4, 1)])
def test_nets_are_trained_by_as_many_stacks_and_threads_as_suit_them(
    iris, monkeypatch, n_stacks, n_threads
):
    seen = []
    run_chunk = jobs._run_chunk

    def noted(chunk, reason, *, n_threads, **options):
        seen.append((len(chunk), n_threads))
        return run_chunk(chunk, reason, n_threads=n_threads, **options)

    monkeypatch.setattr(jobs, "_run_chunk", noted)
    monkeypatch.setattr(jobs, "spread", lambda n_workers, kind, size: (n_stacks, n_threads))
    nets = [make_net(max_epochs=1, random_state=i) for i in range(16)]
    fit_fused(nets, [iris[0]] * 16, [iris[1]] * 16, n_jobs=6)
    assert seen == [(16 // n_stacks, n_threads)] * n_stacks


def test_number_of_threads_is_left_as_it_was_found(iris):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        fit_fused([make_net(), make_net()], [iris[0]] * 2, [iris[1]] * 2, n_jobs=2, max_fused=1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# -- errors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("max_fused", [0, -1, 1.5, "x", None])
def test_max_fused_that_is_no_number_of_nets_is_refused(iris, max_fused):
    with pytest.raises(ValueError, match=r"`max_fused` must be \"auto\" or an int >= 1; got"):
        fit_fused([make_net()], [iris[0]], [iris[1]], max_fused=max_fused)


@pytest.mark.parametrize("counts", [(2, 1, 1), (1, 2, 1), (1, 1, 2)])
def test_lists_of_unequal_length_are_refused(iris, counts):
    nets = [make_net() for _ in range(counts[0])]
    with pytest.raises(ValueError, match="must have an entry for each net; got"):
        fit_fused(nets, [iris[0]] * counts[1], [iris[1]] * counts[2])
    with pytest.raises(ValueError, match="and 2 weights"):
        fit_fused([make_net()], [iris[0]], [iris[1]], sample_weights=[None, None])


def test_same_estimator_twice_is_refused(iris):
    net = make_net()
    with pytest.raises(ValueError, match="Clone it"):
        fit_fused([net, net], [iris[0]] * 2, [iris[1]] * 2)


BAD_NETS = [
    {"alpha": -1},
    {"alpha": "a"},
    {"dropout": "a"},
    {"dropout": 1.5},
    {"lam_per": "row"},
    {"erm_epochs": -1},
    {"batch_size": 0},
    {"batch_size": "a"},
    {"batch_size": None},
    {"max_epochs": -1},
    {"max_epochs": None},
    {"max_epochs": 2.5},
    {"lr": -1},
    {"random_state": "a"},
    {"class_weight": {7: 1}},
    {"device": "nowhere"},
    {"module": None},
    {"module__depth": 3},
    {"criterion": None},
    {"optimizer": None},
    {"optimizer__decay": 3},
]


def assert_raises_as_alone(params, X, y, weight=None, beside=None):
    """Fit a bad net among good ones: they are fitted, and it raises what it raises alone."""
    alone, bad = make_net(**params), make_net(**params)
    with pytest.raises(Exception) as expected:  # noqa: PT011
        alone.fit(X, y, sample_weight=weight)
    good = [make_net(), make_net(random_state=1)]
    Xs, ys = [beside[0], X, beside[0]], [beside[1], y, beside[1]]
    weights = [{}, {} if weight is None else {"sample_weight": weight}, {}]
    results = [result for result, _ in fit_together([good[0], bad, good[1]], Xs, ys, weights)]
    assert (type(results[1]), str(results[1])) == (expected.type, str(expected.value))
    assert results[::2] == good
    for net in good:
        assert_same_net(net, clone(net).fit(*beside))
    assert not bad.initialized_
    assert bad._training_ is None
    with pytest.raises(expected.type):
        fit_fused(
            [clone(net) for net in (*good, bad)],
            [beside[0], beside[0], X],
            [beside[1], beside[1], y],
            sample_weights=[None, None, weight],
        )


@pytest.mark.filterwarnings("ignore:.*could not be fused")
@pytest.mark.parametrize("params", BAD_NETS, ids=str)
def test_a_net_with_bad_parameters_raises_what_its_own_fit_raises(iris, params):
    assert_raises_as_alone(params, *iris, beside=iris)


def bad_data(X, y):
    missing = X.copy()
    missing[3, 1] = np.nan
    return {
        "NaN": (missing, y, None),
        "X None": (None, y, None),
        "X a number": (3.0, y, None),
        "X 1-D": (X[:, 0], y, None),
        "X a list of numbers": (X[:, 0].tolist(), y, None),
        "X of strings": (np.full((150, 4), "a"), y, None),
        "X ragged": ([[1.0], [2.0, 3.0]], y[:2], None),
        "X empty": (X[:0], y[:0], None),
        "X an empty dict": ({}, y, None),
        "X in 3-D of whole numbers": (np.ones((150, 2, 2), dtype=int), y, None),
        "y None": (X, None, None),
        "y too short": (X, y[:-1], None),
        "y one class": (X, np.zeros(150), None),
        "y continuous": (X, X[:, 0], None),
        "weight negative": (X, y, -np.ones(150)),
        "weight too short": (X, y, np.ones(149)),
        "weight all zero": (X, y, np.zeros(150)),
    }


@pytest.mark.filterwarnings("ignore:.*could not be fused")
@pytest.mark.parametrize("name", bad_data(np.zeros((150, 4)), np.zeros(150)))
def test_a_net_with_bad_data_raises_what_its_own_fit_raises(iris, name):
    assert_raises_as_alone({}, *bad_data(*iris)[name], beside=iris)


def test_data_too_large_for_float32_raise_what_a_fit_alone_raises(iris):
    torch.set_default_dtype(torch.float32)
    X, y = iris
    with pytest.raises(ValueError, match="too large") as alone:
        make_net().fit(1e200 * X, y)
    with pytest.raises(ValueError, match="too large") as raised:
        fit_fused([make_net(), make_net()], [X, 1e200 * X], [y, y])
    assert str(raised.value) == str(alone.value)


@pytest.mark.parametrize("broken", ["class_weight", "X", "alpha"])
def test_a_fitted_net_whose_new_data_are_refused_stays_as_after_its_own_fit(wine, iris, broken):
    X, y = iris[0].copy(), (iris[1] > 0).astype(int)
    params = {}
    if broken == "X":
        X[0, 0] = np.nan
    else:
        params = {"alpha": -1} if broken == "alpha" else {"class_weight": {"a": 1}}
    nets = [make_net().fit(*wine).set_params(**params) for _ in range(2)]
    with pytest.raises(ValueError, match=r".") as expected:
        nets[0].fit(X, y)
    with pytest.raises(ValueError, match=r".") as raised:
        fit_fused([nets[1], make_net()], [X, iris[0]], [y, iris[1]])
    assert str(raised.value) == str(expected.value)
    assert nets[0].initialized_ == nets[1].initialized_
    assert vars(nets[0]).keys() == vars(nets[1]).keys()
    assert np.array_equal(nets[1].predict(wine[0]), nets[0].predict(wine[0]))


class Interrupts(nn.Module):
    """A module that cannot be made."""

    def __init__(self, n_features, n_classes):
        raise KeyboardInterrupt


@pytest.mark.parametrize("when", ["first step", "later", "made", "recorded"])
def test_an_interrupt_keeps_whole_epochs_and_leaves_usable_nets(when, iris, wine, monkeypatch):
    calls = []

    def interrupt(*args, **kwargs):
        calls.append(1)
        if len(calls) > (12 if when == "later" else 0):
            raise KeyboardInterrupt
        return backward(*args, **kwargs)

    backward = StackedMLP.backward
    # Tables of other widths are stacks of their own, of which the second has not begun. An epoch
    # of the first is five steps.
    nets = [make_net(random_state=i) for i in range(4)]
    Xs = [iris[0].tolist(), iris[0].tolist(), wine[0].tolist(), wine[0].tolist()]
    ys = [iris[1], iris[1], wine[1], wine[1]]
    with monkeypatch.context() as patch:
        if when == "made":
            patch.setattr(Group, "__init__", interrupt)
        elif when == "recorded":
            patch.setattr(Lane, "record", interrupt)
        else:
            patch.setattr(StackedMLP, "backward", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fit_fused(nets, Xs, ys)
    n_epochs = {"later": 2, "recorded": 1}.get(when, 0)
    for i, (net, X, y) in enumerate(zip(nets, Xs, ys, strict=True)):
        assert net.initialized_ == (i < 2 and n_epochs > 0)
        assert net._training_ is None
        if net.initialized_:
            assert len(net.history) == n_epochs
            alone = clone(net).set_params(callbacks=[StopsAfter(n_epochs)]).fit(X, y)
            assert_close(weights_of(net), weights_of(alone), rtol=0, atol=1e-4)
            net.partial_fit(X, y)
            assert len(net.history) == n_epochs + 4
        else:
            net.partial_fit(X, y)
            assert_same_net(net, clone(net).partial_fit(X, y))
        assert_same_net(net.fit(X, y), clone(net).fit(X, y))


def weights_of(net):
    return nn.utils.parameters_to_vector(net.module_.parameters()).detach()


class StopsAfter(Callback):
    """Stop as skorch's EarlyStopping does."""

    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.n_epochs:
            raise KeyboardInterrupt


def test_an_interrupt_while_nets_are_made_leaves_them_unfitted(iris, monkeypatch):
    nets = [make_net(random_state=i) for i in range(3)]
    init, made = Lane.__init__, []

    def interrupt(self, *args):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(init(self, *args))

    monkeypatch.setattr(Lane, "__init__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit_fused(nets, [iris[0]] * 3, [iris[1]] * 3, max_fused=3)
    assert not any(net.initialized_ for net in nets)
    assert all(net._training_ is None for net in nets)


def test_a_stack_that_is_too_large_for_the_device_is_halved(iris, monkeypatch):
    sizes, fit = [], Group.fit

    def fit_few(group, *told):
        sizes.append(len(group.lanes))
        if len(group.lanes) > 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        fit(group, *told)

    monkeypatch.setattr(Group, "fit", fit_few)
    nets = [make_net(random_state=np.random.RandomState(i)) for i in range(5)]
    alone = [make_net(random_state=np.random.RandomState(i)).fit(*iris) for i in range(5)]
    fit_fused(nets, [iris[0]] * 5, [iris[1]] * 5)
    assert sorted(sizes) == [1, 2, 2, 3, 5]
    for net, other in zip(nets, alone, strict=True):
        assert_same_net(net, other)


def test_a_stack_that_fails_in_a_step_is_trained_one_by_one(iris, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("out of memory")

    nets = [make_net(random_state=np.random.RandomState(i)) for i in range(3)]
    alone = [make_net(random_state=np.random.RandomState(i)).fit(*iris) for i in range(3)]
    with monkeypatch.context() as patch:
        patch.setattr(StackedMLP, "backward", fail)
        with pytest.warns(UserWarning, match="RuntimeError: out of memory") as told:
            fit_fused(nets, [iris[0]] * 3, [iris[1]] * 3)
    assert len(told) == 1
    assert all(map(same_bits, nets, alone))


# -- where the time and memory go ---------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"alpha": 0},
        {},
        {"lam_per": "sample", "dropout": 0.3},
        {"class_weight": "balanced"},
        {"criterion__label_smoothing": 0.1},
        {"pairs": "nearest", "n_neighbors": 2, "erm_weight": 0.3, "vicinity": "input"},
        {"pairs": "different_class", "mix_at": ["input", "hidden.0"]},
    ],
    ids=str,
)
def test_nothing_is_read_from_the_device_per_minibatch(iris, params):
    counts = []
    for batch_size in (5, 75):
        nets = [make_net(batch_size=batch_size, max_epochs=2, **params) for _ in range(3)]
        nets[1].set_params(lr=0.01)
        folds = make_folds(*iris, 150, 150, 149)
        with HostReads() as reads:
            fit_fused(nets, *zip(*folds, strict=True))
        assert len(nets[0].history[0, "batches"]) == 150 // batch_size
        counts.append(reads.count)
    assert counts[0] == counts[1]


def test_the_step_of_a_stack_compiles_whole(iris, monkeypatch):
    compiled = torch.compile(stack_module.mlp_backward, fullgraph=True, backend="aot_eager")
    monkeypatch.setattr(stack_module, "mlp_backward", compiled)
    nets = [make_net(max_epochs=1, random_state=i) for i in range(2)]
    for pair in fit_both(nets, [iris] * 2):
        assert_same_net(*pair)


def test_nets_of_one_table_hold_one_tensor_of_it(iris):
    shared = Shared()
    X, y = iris
    lanes = make_lanes([make_net(random_state=i) for i in range(4)], X, y, shared)
    (held,) = {id(lane.minibatches.X): lane.minibatches.X for lane in lanes}.values()
    assert Group(lanes).rows.X is held
    other = make_lanes([make_net()], X[::2], y[::2], shared)
    lanes = make_lanes([make_net(random_state=i) for i in range(4)], X, y, shared)
    assert len(Group(lanes + other).rows.X) == 225


def resident_bytes():
    """Read how much memory the process holds, less what has been freed already."""
    ctypes.CDLL(None).malloc_trim(0)
    n_pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(n_pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_folds_lie_on_the_device_once():
    # In float32, which the module does not take, so that what it takes is a copy.
    X = np.random.default_rng(0).random((40_000, 128), dtype=np.float32)
    y, seen = np.arange(40_000) % 2, []

    def fit(n_rows):
        nets = [
            make_net(module__hidden_sizes=4, batch_size=6_000, max_epochs=1, device="cpu")
            for _ in range(2)
        ]
        Xs, ys = ([data[:n_rows], data[-n_rows:]] for data in (X, y))
        fit_fused(nets, Xs, ys, on_epoch_end=lambda net: seen.append(resident_bytes()))

    fit(6_000)  # loads what a fit needs
    before = resident_bytes()
    fit(36_000)
    once = 2 * 36_000 * 128 * 8  # two folds in float64
    assert 0.5 * once < seen[-1] - before < 1.5 * once


def test_a_net_keeps_no_training_data(iris):
    nets = fit_fused([make_net(), make_net()], [iris[0]] * 2, [iris[1]] * 2)
    for net in nets:
        for param in net.module_.parameters():
            assert param.untyped_storage().nbytes() == param.numel() * param.element_size()


# -- progress and processes ---------------------------------------------------------------------


def test_verbose_zero_prints_nothing(iris, capsys):
    fit_fused([make_net(), make_net()], [iris[0]] * 2, [iris[1]] * 2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("params", "weight", "n_minibatches"),
    [
        ({}, None, 4 * 5),
        ({"batch_size": -1}, None, 4),
        ({"iterator_train__drop_last": True}, None, 4 * 4),
        ({"iterator_train__batch_size": 50}, None, 4 * 3),
        ({}, np.repeat([2, 0], 75), 4 * 5),
        ({}, np.repeat([4, 2], 75), 4 * 15),
    ],
    ids=["32", "all", "drop_last", "50", "left out", "counts"],
)
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_verbose_shows_a_bar_that_reaches_its_total(
    iris, capsys, params, weight, n_minibatches, n_jobs
):
    X, y = np.flip(iris[0], 1)[np.arange(150) * 7 % 150], iris[1][np.arange(150) * 7 % 150]
    nets = [make_net(random_state=i, **params) for i in range(3)]
    fit_fused(nets, [X] * 3, [y] * 3, sample_weights=[weight] * 3, n_jobs=n_jobs, verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    last = err.split("\r")[-1]
    assert "3 nets: 100%" in last
    counts = re.search(r"([\d.]+)/([\d.]+) \[", last).groups()
    assert [float(count) for count in counts] == [3 * n_minibatches] * 2


def test_verbose_shows_progress_of_nets_that_are_not_fused(iris, capsys):
    nets = [make_net(random_state=i) for i in range(3)]
    nets[1].set_params(train_split=None, optimizer=torch.optim.LBFGS)
    with pytest.warns(UserWarning, match="LBFGS"):
        fit_fused(nets, [iris[0]] * 3, [iris[1]] * 3, verbose=1)
    assert "100%" in capsys.readouterr().err.split("\r")[-1]


def test_processes_end_with_the_same_nets(iris):
    # Dropout as well; the last one is refused. A new process makes modules in float32, so they
    # are made here.
    folds = make_folds(*iris, *LENGTHS[:6])
    small = {"max_epochs": 4, "lr": 0.02, "random_state": 0, "device": "cpu"}
    nets = [MixupClassifier(MLP(4, 3, (8,)), **{**small, **params}) for params in DROPPED]
    here = [clone(net) for net in nets]
    fit_fused(here, *zip(*folds, strict=True))
    bad = make_net(alpha=-1)
    with joblib.parallel_config(backend="loky", n_jobs=2):
        outcomes = fit_together(
            [*nets, bad], *zip(*folds, (iris[0], iris[1]), strict=True), [{}] * 7
        )
    assert [result for result, _ in outcomes[:-1]] == nets
    assert "alpha" in str(outcomes[-1][0])
    assert not bad.initialized_
    for one, other in zip(nets, here, strict=True):
        assert_same_net(one, other)
        assert_same_net(one.partial_fit(*iris), other.partial_fit(*iris))


# -- CUDA ---------------------------------------------------------------------------------------


@pytest.mark.cuda
@pytest.mark.parametrize("params", [{}, {"criterion__label_smoothing": 0.1}], ids=str)
def test_cuda_each_net_of_a_stack_ends_as_alone(iris, params):
    folds = make_folds(*iris, *LENGTHS)
    nets = [make_net(**{"device": "cuda", **params, **varied}) for varied in VARIED]
    for one, other in fit_both(nets, folds, make_weights(folds)):
        assert next(one.module_.parameters()).is_cuda
        assert_same_net(one, other)


@pytest.mark.cuda
def test_cuda_dropout_is_the_same_however_nets_are_stacked(iris):
    nets = [make_net(device="cuda", **params) for params in DROPPED]
    others = [clone(net) for net in nets]
    before = torch.cuda.get_rng_state()
    fit_fused(nets, [iris[0]] * 6, [iris[1]] * 6)
    fit_fused(others, [iris[0]] * 6, [iris[1]] * 6, max_fused=2)
    assert torch.equal(torch.cuda.get_rng_state(), before)
    for pair in zip(nets, others, strict=True):
        assert_same_net(*pair)


def test_size_of_a_stack_is_that_of_a_net_that_can_be_made(iris, monkeypatch):
    sizes = []
    fit = Group.fit
    monkeypatch.setattr(
        Group, "fit", lambda group, *told: sizes.append(len(group.lanes)) or fit(group, *told)
    )
    nets = [make_net(alpha=-1), *(make_net(random_state=i) for i in range(5))]
    outcomes = fit_together(nets, [iris[0]] * 6, [iris[1]] * 6, [{}] * 6)
    assert isinstance(outcomes[0][0], ValueError)
    assert sizes == [5]


@pytest.mark.parametrize(("width", "sizes"), [(8, [4]), (1024, [1, 1, 1, 1])])
def test_nets_that_fill_the_cache_alone_are_not_stacked(iris, monkeypatch, width, sizes):
    found = []
    monkeypatch.setattr(Group, "fit", lambda group, *told: found.append(len(group.lanes)))
    nets = [make_net(module__hidden_sizes=(width, width), random_state=i) for i in range(4)]
    fit_fused(nets, [iris[0]] * 4, [iris[1]] * 4)
    assert found == sizes
