"""What MixupRegressor claims: its objective, scaling, quantiles, weights; roads that end alike."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import beta
from sklearn.base import clone
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils.fixes import parse_version
from skorch import NeuralNetRegressor
from skorch.callbacks import EpochScoring
from skorch.dataset import Dataset, ValidSplit
from torch import nn
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data import Dataset as TorchDataset

import sklearn_mixup._engine.draws as draws_module
from sklearn_mixup import MixupRegressor, fit_fused
from sklearn_mixup.callbacks import Resume
from sklearn_mixup.modules import MLP
from tests.recording import HostReads, Recording
from tests.rounding import ROUNDING, assert_near
from tests.test_fused import assert_same_net
from tests.test_roads import Watch, assert_same_end
from tests.test_validation import assert_same_net as assert_same_best


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:150], y[:150]
    X.flags.writeable = y.flags.writeable = False
    return X, y


def regressor(**params):
    """Make a small net that trains on all rows for a few epochs, unless told otherwise."""
    own = {"hidden_sizes": (8, 6), "max_epochs": 3, "early_stopping": False}
    return MixupRegressor(**{**own, "random_state": 0, "device": "cpu", **params})


def several(y):
    """Three columns of numbers, of other sizes each."""
    return np.stack([y, -1e3 * y + 7, np.arange(len(y)) * 1e-4], 1)


WEIGHT = np.random.default_rng(0).uniform(0.1, 3, size=150)
LOSSES = {
    "squared_error": {},
    "absolute_error": {"criterion": "absolute_error"},
    "huber": {"criterion": "huber", "criterion__delta": 0.4},
    "quantile": {"criterion": "quantile", "quantile": 0.3},
}
OTHER_LOSSES = {
    "a loss of torch": {"criterion": nn.SmoothL1Loss, "criterion__beta": 0.5},
    "an instance": {"criterion": nn.HuberLoss(delta=2.0)},
    "a sum": {"criterion": nn.MSELoss, "criterion__reduction": "sum"},
}


# -- the objective ---------------------------------------------------------------------------------


def losses_of(name, outputs, y):
    """Compute each loss by its definition, in NumPy."""
    d = np.asarray(y) - np.asarray(outputs)
    return {
        "squared_error": d**2,
        "absolute_error": np.abs(d),
        "huber": np.where(np.abs(d) <= 0.4, d**2 / 2, 0.4 * (np.abs(d) - 0.2)),
        "quantile": np.maximum(0.3 * d, -0.7 * d),
    }[name]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("lam_per", ["minibatch", "sample"])
@pytest.mark.parametrize("weighted", [True, False])
def test_training_loss_is_the_objective_written_out(
    name, lam_per, weighted, diabetes, monkeypatch, float64
):
    X, y = diabetes[0], several(diabetes[1])
    rng = np.random.default_rng(3)
    lam = rng.random(1 if lam_per == "minibatch" else len(X))
    partner = rng.permutation(len(X))
    for function, draw in (("draw_lam", lam), ("draw_partner", partner)):
        drawn = torch.as_tensor(draw)[None]
        monkeypatch.setattr(draws_module, function, lambda *_, drawn=drawn, **__: drawn)
    weight = WEIGHT if weighted else None
    net = regressor(
        module=Recording,
        hidden_sizes=None,
        batch_size=-1,
        max_epochs=1,
        lam_per=lam_per,
        iterator_train__shuffle=False,
        **LOSSES[name],
    ).fit(X, y, sample_weight=weight)
    w = np.ones(len(X)) if weight is None else weight / weight.mean()
    scaled = (y - np.average(y, axis=0, weights=w)) / net.target_scale_
    own, other = (lam * w)[:, None], ((1 - lam) * w[partner])[:, None]
    mixed = (own * scaled + other * scaled[partner]) / (own + other)
    losses = losses_of(name, net.module_.outputs[0].detach(), mixed)
    objective = ((own + other) * losses).mean()
    assert net.history[-1, "train_loss"] == pytest.approx(objective, rel=ROUNDING)
    np.testing.assert_allclose(np.average(scaled**2, axis=0, weights=w), 1)


def test_alpha_zero_at_its_optimum_is_linear_regression(diabetes, float64):
    # A linear module, full minibatches and LBFGS reach the optimum that scikit-learn finds.
    X, y = diabetes[0][:, [0, 1, 2, 3, 8]], several(diabetes[1])
    net = regressor(
        alpha=0,
        hidden_sizes=(),
        optimizer=torch.optim.LBFGS,
        optimizer__line_search_fn="strong_wolfe",
        optimizer__max_iter=200,
        optimizer__tolerance_grad=1e-10,
        optimizer__tolerance_change=0,
        lr=1,
        batch_size=-1,
        callbacks__lr_decay=None,
    ).fit(X, y, sample_weight=WEIGHT)
    expected = LinearRegression().fit(X, y, sample_weight=WEIGHT).predict(X)
    np.testing.assert_allclose(net.predict(X) / y.std(0), expected / y.std(0), atol=1e-6)


def test_alpha_zero_ends_where_skorchs_own_net_does(diabetes, float64):
    X, y = diabetes
    net = regressor(alpha=0, batch_size=-1, callbacks__lr_decay=None, optimizer__fused=False)
    net.fit(X, y)
    scaled = (y - y.mean()) / y.std()
    torch.manual_seed(0)
    other = NeuralNetRegressor(
        MLP,
        module__n_features=10,
        module__n_classes=1,
        module__hidden_sizes=(8, 6),
        optimizer=torch.optim.Adam,
        lr=3e-3,
        batch_size=-1,
        max_epochs=3,
        train_split=None,
        verbose=0,
    ).initialize()
    begun = clone(net).set_params(max_epochs=0).fit(X, y)
    other.module_.load_state_dict(begun.module_.state_dict())
    other.partial_fit(X.copy(), scaled[:, None])
    pairs = zip(net.module_.parameters(), other.module_.parameters(), strict=True)
    for own, expected in pairs:
        assert_near(own.detach(), expected.detach())


# -- mathematics of mixed targets ------------------------------------------------------------------


def outputs_and_targets():
    rng = np.random.default_rng(0)
    f = torch.tensor(rng.normal(size=(6, 2)), requires_grad=True)
    y, other = (torch.tensor(rng.normal(size=(6, 2))) for _ in range(2))
    lam = torch.tensor(rng.random((6, 1)))
    return f, y, other, lam


def test_squared_errors_to_both_targets_exceed_that_to_their_mixture_by_what_no_output_changes():
    f, y, other, lam = outputs_and_targets()
    both = lam * (f - y).square() + (1 - lam) * (f - other).square()
    one = (f - (lam * y + (1 - lam) * other)).square()
    assert_close(both - one, lam * (1 - lam) * (y - other).square())
    grads = [torch.autograd.grad(part.sum(), f)[0] for part in (both, one)]
    assert_close(*grads)


def test_weighted_squared_errors_to_both_have_the_gradient_of_one_to_the_weighted_mixture():
    f, y, other, lam = outputs_and_targets()
    w, v = torch.rand(2, 6, 1, dtype=torch.float64) + 0.1
    total = lam * w + (1 - lam) * v
    mixed = (lam * w * y + (1 - lam) * v * other) / total
    both = lam * w * (f - y).square() + (1 - lam) * v * (f - other).square()
    grads = [torch.autograd.grad(part.sum(), f)[0] for part in (both, total * (f - mixed) ** 2)]
    assert_close(*grads)


@pytest.mark.parametrize("lam", [0.3, 0.7])
@pytest.mark.parametrize("name", ["absolute_error", "quantile", "huber"])
def test_other_losses_of_both_targets_are_least_elsewhere_than_those_of_their_mixture(name, lam):
    y, other = 0.0, 1.0
    f = np.linspace(-0.5, 1.5, 2001)
    both = lam * losses_of(name, f, y) + (1 - lam) * losses_of(name, f, other)
    one = losses_of(name, f, lam * y + (1 - lam) * other)
    assert f[one.argmin()] == pytest.approx(1 - lam, abs=2e-3)
    if name == "huber":  # between them, but not where a line would pass
        assert abs(f[both.argmin()] - (1 - lam)) > 0.05
    else:  # at one of the two: that of which there is more, or that at which the level is passed
        level = {"absolute_error": 0.5, "quantile": 0.3}[name]
        assert f[both.argmin()] == pytest.approx(float(lam < level), abs=2e-3)


ALPHAS = pytest.mark.parametrize("alpha", [0.05, 0.2, 1, 5])


@ALPHAS
def test_the_noise_of_a_mixture_is_less_by_what_the_theory_says(alpha):
    lam = beta(alpha, alpha)  # lam**2 + (1 - lam)**2 by its moments
    share = 2 * lam.moment(2) - 2 * lam.moment(1) + 1
    assert share == pytest.approx((alpha + 1) / (2 * alpha + 1), rel=1e-6)


@ALPHAS
def test_mixed_targets_of_a_parabola_lie_above_it_by_what_the_theory_says(alpha):
    x = np.random.default_rng(0).normal(size=50)
    one, other = np.meshgrid(x, x)  # all pairs, independent of each other

    def excess(lam):
        return (lam * one**2 + (1 - lam) * other**2 - (lam * one + (1 - lam) * other) ** 2).mean()

    # A polynomial of the second degree in lam, so three of its values are all of it.
    coefficients = np.polyfit([0, 0.5, 1], [excess(lam) for lam in (0, 0.5, 1)], 2)
    moments = [beta(alpha, alpha).moment(2), 0.5, 1]
    assert coefficients @ moments == pytest.approx(alpha / (2 * alpha + 1) * x.var(), rel=1e-6)


def test_mixed_targets_scatter_less_by_the_root_of_the_squares():
    rng = np.random.default_rng(0)
    noise, other = rng.normal(size=(2, 200_000))
    for lam in (0.5, 0.8, 1.0):
        mixed = lam * noise + (1 - lam) * other
        narrowed = np.sqrt(lam**2 + (1 - lam) ** 2)
        # A standard error of a quantile of 200,000 normal numbers is 0.004 at most.
        expected = narrowed * np.array([-1.2816, 0, 1.2816])
        np.testing.assert_allclose(np.quantile(mixed, [0.1, 0.5, 0.9]), expected, atol=0.016)


def test_quantiles_have_their_share_of_the_rows_below_them():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(2000, 1))
    y = X[:, 0] + rng.exponential(size=2000)
    # A learning rate that has fallen to zero leaves a share of 0.20 +- 0.01, an early stop +- 0.04.
    common = {"criterion": "quantile", "early_stopping": False, "random_state": 0}
    nets = [
        MixupRegressor(alpha=alpha, quantile=q, **common)
        for alpha in (0, float("inf"))
        for q in (0.2, 0.9)
    ]
    fit_fused(nets, [X] * 4, [y] * 4)
    low, high, mixed_low, mixed_high = ((y <= net.predict(X)).mean() for net in nets)
    assert low == pytest.approx(0.2, abs=0.04)
    assert high == pytest.approx(0.9, abs=0.04)
    # As the docstring warns: half of a row and half of another are nearer to the middle.
    assert mixed_low > 0.25
    assert mixed_high < 0.87


# -- roads that end alike --------------------------------------------------------------------------

SETTINGS = {
    **LOSSES,
    **OTHER_LOSSES,
    "without mixing": {"alpha": 0},
    "a lam for each row": {"lam_per": "sample"},
    "without mixing at the end": {"erm_epochs": 2},
    "dropout": {"dropout": 0.4},
    "one minibatch": {"batch_size": -1, "criterion": "huber"},
    "as it is": {"scale_y": False, "lr": 0.1},
}
SETTING = pytest.mark.parametrize("params", SETTINGS.values(), ids=SETTINGS)


@SETTING
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighed"])
def test_a_fit_ends_where_a_watched_one_does(params, weight, diabetes, float64):
    X, y = diabetes[0], several(diabetes[1])
    net, watched = regressor(**params), regressor(callbacks=[Watch()], **params)
    net.fit(X, y, sample_weight=weight)
    watched.fit(X, y, sample_weight=weight)
    assert net.slow_because_ is None
    assert "Watch" in watched.slow_because_
    watched.set_params(callbacks=None)
    assert_same_end(net, watched)


@pytest.mark.parametrize("alpha", [0, 0.5])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighed"])
@pytest.mark.parametrize("params", LOSSES.values(), ids=LOSSES)
def test_compiled_steps_end_where_those_of_torch_do(params, weight, alpha, diabetes, float64):
    pytest.importorskip("numba")
    X, y = diabetes[0], several(diabetes[1])
    net, other = (regressor(engine=e, alpha=alpha, **params) for e in ("torch", "numba"))
    net.fit(X, y, sample_weight=weight)
    other.fit(X, y, sample_weight=weight)
    assert (net.engine_, other.engine_) == ("torch", "numba")
    assert_same_end(net, other)


@SETTING
@pytest.mark.parametrize("weighed", [False, True], ids=["alike", "weighed"])
@pytest.mark.parametrize("engine", ["torch", "numba"])
def test_nets_of_a_stack_end_as_alone(engine, params, weighed, diabetes, float64):
    if engine == "numba":
        pytest.importorskip("numba")
    X, y = diabetes
    # Of other rows each, so each has another mean and another scale.
    folds = [(X[:150], y[:150]), (X[10:120], 1e6 + y[10:120]), (X[:97], y[:97])]
    weights = [WEIGHT[: len(fold[1])] if weighed else None for fold in folds]
    nets = [
        regressor(engine=engine, random_state=i, **{"alpha": 0.1 * i, **params}) for i in (0, 1, 2)
    ]
    alone = [clone(net).fit(*fold, w) for net, fold, w in zip(nets, folds, weights, strict=True)]
    fit_fused(nets, *zip(*folds, strict=True), sample_weights=weights)
    for net, other, (X, _) in zip(nets, alone, folds, strict=True):
        if "dropout" in params:  # which has other masks
            continue
        assert_same_net(net, other)
        np.testing.assert_array_equal(net.target_mean_, other.target_mean_)
        assert_near(net.predict(X), other.predict(X))


def test_nets_that_share_targets_are_standardised_each_by_its_weights(diabetes, float64):
    X, y = diabetes
    weights = [None, WEIGHT, np.arange(150) % 3, WEIGHT]
    nets = [regressor(random_state=i, scale_y=i < 3, lr=0.01) for i in range(4)]
    alone = [clone(net).fit(X, y, w) for net, w in zip(nets, weights, strict=True)]
    fit_fused(nets, [X] * 4, [y] * 4, sample_weights=weights)
    assert len({float(net.target_mean_[0]) for net in nets}) == 4
    for pair in zip(nets, alone, strict=True):
        assert_same_net(*pair)


class Convolution(nn.Module):
    """A module of the user's own for pictures, with names of the regressor."""

    def __init__(self, n_outputs):
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.dropout = nn.Dropout(0.2)
        self.output = nn.Linear(4 * 6 * 6, n_outputs)

    def forward(self, X):
        return self.output(self.dropout(self.convolution(X).relu().flatten(1)))


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighed"])
@pytest.mark.parametrize("params", [{}, {"criterion": nn.SmoothL1Loss}], ids=str)
def test_modules_of_ones_own_end_alike_alone_watched_and_in_a_stack(
    params, weight, digits, float64
):
    X = digits[0][:150, None].astype(np.float64)
    y = X.mean((1, 2, 3))
    make = {"module": Convolution, "hidden_sizes": None, "dropout": 0.0, **params}
    net, watched = regressor(**make), regressor(callbacks=[Watch()], **make)
    nets = [regressor(**make), regressor(random_state=1, alpha=0, **make)]
    net.fit(X, y, sample_weight=weight)
    watched.fit(X, y, sample_weight=weight)
    watched.set_params(callbacks=None)
    assert_same_end(net, watched)
    fit_fused(nets, [X] * 2, [y] * 2, sample_weights=[weight] * 2)
    assert_same_net(nets[0], net)


@pytest.mark.parametrize("params", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["alike", "weighed"])
def test_nets_of_a_stack_stop_where_they_do_alone(params, weight, diabetes, float64):
    X, y = diabetes
    params = {"early_stopping": True, "n_iter_no_change": 2, "max_epochs": 12, "lr": 0.02, **params}
    nets = [regressor(random_state=i, **params) for i in range(3)]
    alone = [clone(net).fit(X, y, sample_weight=weight) for net in nets]
    fit_fused(nets, [X] * 3, [y] * 3, sample_weights=[weight] * 3)
    for pair in zip(nets, alone, strict=True):
        assert_same_best(*pair)
    assert min(net.n_iter_ for net in nets) < 12


def test_nothing_is_read_from_the_device_per_minibatch(diabetes):
    counts = []
    for batch_size in (5, 50):
        with HostReads() as reads:
            regressor(batch_size=batch_size).fit(*diabetes)
        counts.append(reads.count)
    assert counts[0] == counts[1]


# Up to 2.11 the tracer asks for net.device without end where skorch calls the criterion.
TRACES_SKORCH = pytest.mark.skipif(
    parse_version(torch.__version__) < parse_version("2.12"), reason="a fault of torch"
)


@pytest.mark.parametrize(
    "params",
    [*LOSSES.values(), pytest.param({"criterion": nn.SmoothL1Loss}, marks=TRACES_SKORCH)],
    ids=str,
)
def test_the_training_step_compiles_whole(params, diabetes):
    X, y = diabetes
    net = regressor(**params).fit(X, y)
    with net._train(restart=False, n_epochs=1, sample_weight=WEIGHT, class_weight=None):
        (Xi, yi), *_ = net.get_iterator(net.get_dataset(X, y), training=True)

        def step(Xi, parts):
            return net.get_loss(net.module_(Xi), type(yi)(*parts), training=True)

        compiled = torch.compile(step, fullgraph=True, backend="aot_eager")
        assert_close(compiled(Xi, tuple(yi)), step(Xi, tuple(yi)))


# -- scaling ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("weight", [None, WEIGHT, np.arange(150) % 3], ids=["no", "real", "whole"])
def test_targets_of_another_unit_are_predicted_in_that_unit(weight, diabetes):
    X, y = diabetes
    # A power of two, and an offset that float64 has no digits to lose by.
    y = np.rint(y)
    net, other = regressor(), regressor()
    net.fit(X, y, sample_weight=weight)
    other.fit(X, 2.0**40 + 4 * y, sample_weight=weight)
    expected = 2.0**40 + 4 * net.predict(X)
    np.testing.assert_allclose(other.predict(X) - 2.0**40, expected - 2.0**40, rtol=1e-3)
    assert net.score(X, y) == pytest.approx(other.score(X, 2.0**40 + 4 * y), abs=1e-4)
    # float32 would have lost all of it.
    assert np.ptp((2.0**40 + 4 * y).astype(np.float32)) == 0


@pytest.mark.parametrize("offset", [0, 3, -1e200, 1e-300])
def test_constant_targets_are_predicted_exactly(offset, diabetes):
    X, y = diabetes
    columns = np.stack([np.full(len(y), offset), y], 1)
    net = regressor().fit(X, columns)
    assert (net.predict(X)[:, 0] == offset).all()
    assert (regressor().fit(X, columns[:, 0]).predict(X) == offset).all()
    assert np.ptp(net.predict(X)[:, 1]) > 0


def test_a_constant_that_changes_later_is_learned_then(diabetes):
    X, y = diabetes
    net = regressor(max_epochs=20).partial_fit(X[:9], np.full(9, 100.0))
    assert (net.predict(X) == 100).all()
    net.partial_fit(X, y)
    assert net.target_mean_ == pytest.approx(y.mean())
    assert net.score(X, y) > 0.2
    known = net.target_mean_.copy(), net.target_scale_.copy()
    net.partial_fit(X, 3 * y)
    assert known == (net.target_mean_, net.target_scale_)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_targets_of_any_size_are_standardised(size, diabetes):
    X, y = diabetes
    net = regressor().fit(X, size * y)
    assert net.target_scale_[0] / size == pytest.approx(y.std())
    np.testing.assert_allclose(net.predict(X) / size, regressor().fit(X, y).predict(X), rtol=1e-3)


def test_targets_that_are_left_as_they_are_have_no_scale(diabetes):
    X, y = diabetes
    net = regressor(scale_y=False, batch_size=-1, alpha=0, max_epochs=1).fit(X, y)
    assert (net.target_mean_, net.target_scale_) == (0, 1)
    begun = regressor(scale_y=False, max_epochs=0).fit(X, y).predict(X)
    assert net.history[0, "train_loss"] == pytest.approx(((begun - y) ** 2).mean(), rel=1e-4)


@pytest.mark.machines
@pytest.mark.parametrize("alpha", [0, 0.2])
def test_whole_weights_end_with_the_bits_of_repeated_rows(alpha, diabetes):
    X, y = diabetes
    counts = np.random.default_rng(0).integers(0, 4, size=len(X))
    shuffled = np.random.default_rng(1).permutation(len(X))
    net = regressor(alpha=alpha).fit(X[shuffled], y[shuffled], sample_weight=counts[shuffled])
    other = regressor(alpha=alpha).fit(X.repeat(counts, axis=0), y.repeat(counts))
    np.testing.assert_array_equal(net.predict(X), other.predict(X))


def test_what_weighs_more_is_met_better(diabetes):
    X = np.zeros((200, 1))
    y = np.repeat([0.0, 1.0], 100)
    weight = np.repeat([3.5, 0.5], 100)
    net = regressor(hidden_sizes=(), max_epochs=30, lr=0.05).fit(X, y, sample_weight=weight)
    assert net.predict(X[:1]) == pytest.approx(0.125, abs=0.03)


# -- targets and inputs of other kinds -------------------------------------------------------------


def test_predictions_have_the_shape_of_the_targets(diabetes):
    X, y = diabetes
    expected = regressor().fit(X, y).predict(X)
    assert expected.shape == (150,)
    assert expected.dtype == np.float64
    column = regressor().fit(X, y[:, None])
    assert column.predict(X).shape == (150, 1)
    np.testing.assert_array_equal(column.predict(X)[:, 0], expected)
    assert column.score(X, y[:, None]) == regressor().fit(X, y).score(X, y)
    columns = regressor().fit(X, several(y))
    assert columns.predict(X).shape == (150, 3)
    assert columns.n_outputs_ == 3
    assert columns.score(X, several(y)) == pytest.approx(r2_score(several(y), columns.predict(X)))


KINDS = {
    "list": list,
    "ints": lambda y: y.astype(int),
    "float32": lambda y: y.astype(np.float32),
    "Series": lambda y: pd.Series(y, index=np.arange(len(y))[::-1]),
    "nullable": lambda y: pd.Series(y.astype(int), dtype="Int64"),
    "objects": lambda y: y.astype(object),
    "tensor": torch.tensor,
    "column of a frame": lambda y: pd.DataFrame({"y": y})["y"],
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_targets_of_other_kinds_train_alike(kind, diabetes, assert_unchanged):
    X, y = diabetes  # whole numbers
    given = kind(y)
    with assert_unchanged(X, given):
        net = regressor().fit(X, given)
        score = net.score(X, given)
    expected = regressor().fit(X, y)
    np.testing.assert_array_equal(net.predict(X), expected.predict(X))
    assert score == expected.score(X, y)


BAD = {
    "words": (["a", "b"] * 75, "must hold numbers; got 'a'.*MixupClassifier"),
    "numbers as words": (["1.5"] * 150, "must hold numbers"),
    "words among numbers": (np.array([1.0, "a"] * 75, dtype=object), "must hold numbers; got 'a'"),
    "dates": (np.array(["2026-01-01"] * 150, dtype="M8[D]"), "must hold numbers"),
    "NaN": (np.r_[np.nan, np.zeros(149)], "Input y contains NaN"),
    "nothing": ([None, *range(149)], "Input y contains NaN"),
    "infinity": (np.r_[np.inf, np.zeros(149)], "Input y contains infinity"),
    "a masked array": (np.ma.masked_less(np.arange(150.0), 3), "mask"),
    "complex": (np.zeros(150) + 1j, "Complex data not supported"),
    "three dimensions": (np.zeros((150, 1, 1)), "dim 3"),
    "no column": (np.zeros((150, 0)), "0 feature"),
    "too few": (np.zeros(149), "inconsistent numbers of samples"),
    "too large": (np.r_[1.7e308, np.full(149, -1.7e308)], "Rescale y"),
    "None": (None, "requires y to be passed"),
}


@pytest.mark.parametrize(("y", "told"), BAD.values(), ids=BAD)
def test_bad_targets_are_refused(y, told, diabetes):
    with pytest.raises(ValueError, match=told):
        regressor().fit(diabetes[0], y)


def test_targets_that_float32_cannot_hold_are_refused_unless_scaled(diabetes):
    X, y = diabetes
    with pytest.raises(ValueError, match=r"float32 can hold.*Rescale y"):
        regressor(scale_y=False).fit(X, 1e40 * y)
    with pytest.raises(ValueError, match="float32 can hold"):
        regressor().fit(X, y).partial_fit(X, 1e60 * y)


def test_other_columns_than_before_are_refused_and_the_net_stays(diabetes):
    X, y = diabetes
    net = regressor().fit(X, y)
    before = net.predict(X)
    with pytest.raises(ValueError, match="y must be continuous, as it was"):
        net.partial_fit(X, several(y))
    np.testing.assert_array_equal(net.predict(X), before)
    with pytest.raises(ValueError, match="y must have 3 columns; got 2"):
        regressor().fit(X, several(y)).partial_fit(X, several(y)[:, :2])


class Rows(TorchDataset):
    """A Dataset of the user's own, whose targets nobody sees."""

    def __init__(self, X, y):
        self.pairs = [*zip(X.astype(np.float32), y.astype(np.float32), strict=True)]

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, i):
        return self.pairs[i]


def test_datasets_whose_targets_are_seen_are_standardised(diabetes):
    X, y = diabetes
    X = X.astype(np.float32)
    expected = regressor(iterator_train=DataLoader, alpha=0).fit(X, y)
    tensors = TensorDataset(torch.tensor(X), torch.tensor(y))
    for dataset in (Dataset(X, y), tensors):
        net = regressor(iterator_train=DataLoader, alpha=0).fit(dataset, None)
        assert net.target_mean_ == pytest.approx(y.mean())
        assert_close(net.predict(X), expected.predict(X), rtol=1e-4, atol=0)
    part = torch.utils.data.Subset(tensors, [*range(50)])
    assert regressor().fit(part, None).target_mean_ == pytest.approx(y[:50].mean())


@pytest.mark.parametrize("columns", [False, True])
def test_datasets_whose_targets_are_not_seen_go_to_the_criterion_as_they_are(columns, diabetes):
    X, y = diabetes
    y = (y - y.mean()) / y.std()
    net = regressor(max_epochs=8).fit(Rows(X, several(y) if columns else y), None)
    assert (net.target_scale_ == 1).all()
    assert net.n_outputs_ == (3 if columns else 1)
    assert net.predict(X).shape == ((150, 3) if columns else (150,))
    assert "loader" in net.slow_because_


def test_frames_give_their_names(diabetes):
    X, y = diabetes
    frame = pd.DataFrame(X, columns=[f"x{i}" for i in range(10)])
    net = regressor().fit(frame, y)
    assert [*net.feature_names_in_] == [*frame.columns]
    np.testing.assert_array_equal(net.predict(frame), regressor().fit(X, y).predict(X))


def test_networks_of_pictures_learn_numbers(digits):
    X = digits[0][:200, None]
    y = X[:, 0, :4].sum((1, 2))
    net = MixupRegressor(Convolution, max_epochs=20, lr=0.02, random_state=0).fit(X, y)
    assert net.predict(X).shape == (200,)
    assert net.score(X, y) > 0.5


def test_a_module_of_another_width_is_told(diabetes):
    module = MLP(10, 2)
    with pytest.raises(ValueError, match="one number for each of the 1 columns of y, shape"):
        regressor(module=module, hidden_sizes=None).fit(*diabetes)


# -- parameters ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"criterion": "mse"}, "one of 'squared_error'.*or a loss of torch.nn.*got 'mse'"),
        ({"criterion": nn.CrossEntropyLoss}, "must compare numbers; got CrossEntropyLoss"),
        ({"criterion": nn.BCEWithLogitsLoss()}, "must compare numbers"),
        ({"quantile": 1.0}, "'quantile' parameter"),
        ({"quantile": 0}, "'quantile' parameter"),
        ({"scale_y": "yes"}, "'scale_y' parameter"),
        ({"criterion__delta": 1.0}, "must name a parameter of MSELoss"),
        ({"loss": "huber"}, "Did you mean criterion"),
        ({"class_weight": "balanced"}, "class_weight"),
        ({"engine": "jax"}, "'engine' parameter"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused(params, told, diabetes):
    with pytest.raises((TypeError, ValueError), match=told):
        regressor(**params).fit(*diabetes)


def test_a_criterion_that_has_no_reduction_takes_rows_that_weigh_alike(diabetes):
    class Fourth(nn.Module):
        def forward(self, outputs, y):
            return (outputs - y).pow(4).mean()

    X, y = diabetes
    assert regressor(criterion=Fourth, lam_per="sample").fit(X, y).loss_ > 0
    with pytest.raises(ValueError, match="with a `reduction`"):
        regressor(criterion=Fourth).fit(X, y, sample_weight=WEIGHT)


def test_a_quantile_set_later_keeps_the_weights(diabetes):
    X, y = diabetes
    net = regressor(criterion="quantile").fit(X, y)
    before = net.predict(X)
    net.set_params(quantile=0.9)  # a warning would be an error
    assert net.criterion_.quantile == 0.9
    np.testing.assert_array_equal(net.predict(X), before)
    net.partial_fit(X, y)
    assert (net.predict(X) > before).mean() > 0.9


def test_early_stopping_looks_at_rows_of_any_target(diabetes):
    X, y = diabetes  # no two rows need have the same target
    net = regressor(early_stopping=True, max_epochs=40, n_iter_no_change=3, lr=0.02).fit(X, y)
    assert net.n_iter_ < 40
    assert net.best_validation_score_ == max(net.validation_scores_)
    assert len(net.loss_curve_) == net.n_iter_


def test_a_callback_scores_the_numbers_of_the_caller(diabetes):
    X, y = diabetes
    split = ValidSplit(3, stratified=False)
    score = EpochScoring("r2", lower_is_better=False, name="r2")
    net = regressor(train_split=split, callbacks=[score]).fit(X, y)
    _, valid = split(Dataset(X, y), y)
    rows = valid.indices
    assert net.history[-1, "r2"] == pytest.approx(r2_score(y[rows], net.predict(X[rows])), rel=1e-5)
    trained = EpochScoring("r2", lower_is_better=False, on_train=True, name="r2")
    net = regressor(callbacks=[trained]).fit(X, y)
    assert net.history[-1, "r2"] == pytest.approx(net.score(X, y), rel=1e-5)


def test_a_fitted_net_is_pickled_with_its_scale(diabetes):
    X, y = diabetes
    net = regressor().fit(X, several(y))
    again = pickle.loads(pickle.dumps(net))
    np.testing.assert_array_equal(again.predict(X), net.predict(X))
    again.trim_for_prediction()
    np.testing.assert_array_equal(again.predict(X), net.predict(X))


def test_weights_from_elsewhere_do_not_tell_the_scale(diabetes, tmp_path):
    X, y = diabetes
    net = regressor().fit(X, y)
    net.save_params(f_params=tmp_path / "weights.pt")
    given = {"module__n_features": 10, "module__n_classes": 1}
    other = regressor(**given).initialize()
    other.load_params(f_params=tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="scaled back by what fit learns"):
        other.predict(X)
    other.set_params(scale_y=False)
    scaled = other.predict(X)[:, None] if other.predict(X).ndim == 1 else other.predict(X)
    expected = (net.predict(X) - y.mean()) / y.std()
    np.testing.assert_allclose(scaled[:, 0], expected, atol=1e-5)


def test_a_fit_goes_on_after_a_kill_with_the_same_bits(diabetes, tmp_path):
    class KilledError(Exception):
        pass

    class Kill(Watch):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KilledError

    X, y = diabetes
    expected = regressor(callbacks=[Resume(tmp_path / "a")]).fit(X, y)
    with pytest.raises(KilledError):
        regressor(callbacks=[Resume(tmp_path / "b"), Kill()]).fit(X, y)
    net = regressor(callbacks=[Resume(tmp_path / "b")]).fit(X, y)
    assert net.n_iter_ == 3
    np.testing.assert_array_equal(net.predict(X), expected.predict(X))


def test_a_warm_start_goes_on(diabetes):
    X, y = diabetes
    net = regressor(warm_start=True).fit(X, y).fit(X, y)
    assert net.n_iter_ == 6
    assert regressor().fit(X, y).fit(X, y).n_iter_ == 3


def test_a_regressor_has_no_probabilities(diabetes):
    net = regressor().fit(*diabetes)
    assert not any(
        hasattr(net, name) for name in ("predict_proba", "classes_", "decision_function")
    )
