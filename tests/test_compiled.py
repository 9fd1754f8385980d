"""Steps by compiled code: those that torch takes, to rounding, without Python's lock."""

import importlib.util
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import GradientNormClipping
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn
from torch.testing import assert_close

from sklearn_mixup import (
    FusedBaggingClassifier,
    FusedGridSearchCV,
    MixupClassifier,
    TabularMixupClassifier,
    TabularMixupRegressor,
    fit_fused,
)
from sklearn_mixup._engine import compiled
from sklearn_mixup._engine.compiled import Kernel
from sklearn_mixup._streams import words_at
from sklearn_mixup.callbacks import LRDecay
from sklearn_mixup.exceptions import DivergedError
from tests.rounding import ROUNDING, assert_near

numba = pytest.importorskip("numba")
kernel = importlib.import_module("sklearn_mixup._engine.kernel")


def make_net(engine="numba", **params):
    small = {"hidden_sizes": (8,), "max_epochs": 4, "lr": 0.02, "batch_size": 16, "random_state": 0}
    return MixupClassifier(engine=engine, **{**small, "device": "cpu", **params})


@pytest.fixture
def table(iris):
    """Rows that do not fill whole minibatches."""
    X, y = iris
    return StandardScaler().fit_transform(X[::2]), y[::2]


def assert_same(one, other):
    """Compare what two nets learned in float64, their optimizers too, and lost on the way."""
    assert (one.engine_, other.engine_) == ("numba", "torch")
    for a, b in zip(one.module_.parameters(), other.module_.parameters(), strict=True):
        assert a.dtype == torch.float64
        assert_near(a.detach(), b.detach())
        states = one.optimizer_.state[a], other.optimizer_.state[b]
        assert states[0].keys() == states[1].keys()
        assert states[0]["step"] > 0
        assert_close(states[0]["step"], states[1]["step"], rtol=0, atol=0)  # and its dtype
        for key in ("exp_avg", "exp_avg_sq"):
            assert_near(states[0][key], states[1][key])
    losses = [
        [step["train_loss"] for row in net.history for step in row["batches"]]
        for net in (one, other)
    ]
    np.testing.assert_allclose(*losses, rtol=ROUNDING)
    assert [row["train_loss_best"] for row in one.history] == [
        row["train_loss_best"] for row in other.history
    ]


SETTINGS = [
    {},
    {"alpha": 0},
    {"alpha": 1, "lam_per": "sample"},
    {"erm_epochs": 2},
    {"dropout": 0.5},
    {"hidden_sizes": (8, 30)},  # a layer of either shape in memory
    {"hidden_sizes": (8, 30), "dropout": 0.3, "batch_size": 7},
    {"hidden_sizes": (3, 2), "batch_size": 5},
    {"batch_size": 25},  # as many as fill whole minibatches
    {"batch_size": -1},
    {"class_weight": "balanced"},
    {"early_stopping": True},
    {"optimizer__weight_decay": 0.1},
    {"optimizer": torch.optim.AdamW, "optimizer__weight_decay": 0.1},
    {"optimizer__betas": (0.5, 0.7), "optimizer__eps": 0.1},
    {"callbacks__lr_decay": None},
    {"iterator_train__chunk_bytes": 4000},
    {"iterator_train__drop_last": True},
]


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_a_fit_ends_as_by_torch(params, table):
    assert_same(make_net(**params).fit(*table), make_net("torch", **params).fit(*table))


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_a_stack_ends_as_by_torch(params, table):
    if params.get("batch_size") == -1:
        params = {**params, "max_epochs": 20}
    X, y = table
    # Of two lengths, so that some have more minibatches, and others a shorter last one.
    folds = [np.arange(n) for n in (75, 75, 60, 48)]

    def fit(engine):
        nets = [make_net(engine, **{**params, "random_state": seed}) for seed in range(4)]
        return fit_fused(nets, [X[rows] for rows in folds], [y[rows] for rows in folds])

    for one, other in zip(fit("numba"), fit("torch"), strict=True):
        assert_same(one, other)


def test_a_net_that_takes_no_step_has_an_optimizer_that_holds_nothing(table):
    (net,) = fit_fused([make_net(max_epochs=0)], *([part] for part in table))
    assert not net.optimizer_.state
    assert not make_net(max_epochs=0).fit(*table).optimizer_.state


def test_a_compiled_stack_that_is_interrupted_keeps_its_last_whole_epoch(table):
    def stop(net):
        if len(net.history) == 3:
            raise KeyboardInterrupt

    net, expected = make_net(), make_net().fit(*table)
    with pytest.raises(KeyboardInterrupt):
        fit_fused([net], *([part] for part in table), on_epoch_end=stop)
    found = [row["train_loss"] for row in net.history]
    assert found == pytest.approx([row["train_loss"] for row in expected.history[:3]], rel=1e-4)
    assert all(state["step"] == 15 for state in net.optimizer_.state.values())


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
def test_nets_of_a_stack_have_their_own_rates_decays_and_dropout(optimizer, table):
    def fit(engine):
        nets = [
            make_net(engine, lr=lr, optimizer__weight_decay=decay, dropout=p, optimizer=optimizer)
            for lr, decay, p in [(0.02, 0.0, 0.0), (0.01, 0.1, 0.3), (0.005, 0.2, 0.6)]
        ]
        return fit_fused(nets, *([part] * 3 for part in table))

    for one, other in zip(fit("numba"), fit("torch"), strict=True):
        assert_same(one, other)


def test_what_a_net_learns_has_the_same_bits_whoever_is_in_its_stack(table):
    def fit(seeds, **options):
        nets = [make_net(random_state=seed, dropout=0.2) for seed in seeds]
        return fit_fused(nets, *([part] * len(nets) for part in table), **options)

    expected = fit(range(5))[3].module_.state_dict()
    assert_close(fit([3])[0].module_.state_dict(), expected, rtol=0, atol=0)
    for options in ({"max_fused": 2}, {"n_jobs": 2}):
        net = fit(range(5), **options)[3]
        assert_close(net.module_.state_dict(), expected, rtol=0, atol=0)


@pytest.mark.usefixtures("float64")
def test_training_goes_on_by_either(table):
    """What one leaves of the optimizer is what the other takes up."""

    def fit(*engines):
        net = make_net(engines[0], warm_start=True)
        for engine in engines:
            net = pickle.loads(pickle.dumps(net.set_params(engine=engine).fit(*table)))
        return net

    expected = fit("torch", "torch", "torch")
    assert_same(fit("torch", "torch", "numba"), expected)
    assert_same(fit("numba", "numba", "numba"), expected)
    one, other = (make_net(engine).fit(*table) for engine in ("numba", "torch"))
    for net in (one, other):
        net.partial_fit(*table)
    assert_same(one, other)


@pytest.mark.parametrize("fit", [lambda net, X, y: net.fit(X, y), None], ids=["alone", "stack"])
def test_a_net_that_diverges_says_so(fit, table):
    fit = fit or (lambda net, X, y: fit_fused([net], [X], [y]))
    net = make_net(lr=1e30, callbacks__lr_decay=None)
    with pytest.raises(DivergedError):
        fit(net, *table)


def test_nan_passes_through_a_layer_that_would_stop_what_is_below_zero():
    X = np.full((1, 1, 2, 3), np.nan)
    weights, biases = (np.ones((1, 2, 3)), np.ones((1, 3, 2))), (np.ones((1, 2)), np.ones((1, 3)))
    zeros = [tuple(map(np.zeros_like, part)) for part in (weights, weights, biases, biases)]
    losses = np.zeros((1, 1))
    kernel.train(
        *(X, np.ones((1, 1, 2, 3)), np.ones((1, 1, 0)), 0, 0.0, np.zeros(0, np.int64), 0),
        *(np.zeros((1, 1), np.int16), np.ones((1, 1))),
        *(weights, *zeros[:2], biases, *zeros[2:], (False, False), np.ones((1, 1)), np.zeros(1)),
        *(False, (0.9, 0.999), 1e-8, 0, losses),
    )
    assert np.isnan(losses).all()


def test_words_are_those_of_the_streams():
    words = np.zeros(100, np.uint64)
    for key in (0, 7, -(2**63), 2**63 - 1):
        kernel.draw(np.int64(key), 50, words)
        expected = words_at(torch.tensor(key), 100, first=50)
        assert (words.view(np.int64) == expected.numpy()).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 5), (4, 8, 4), (7, 17, 9), (16, 20, 6)])
def test_products_are_numpys(shape):
    m, depth, n = shape
    rng = np.random.default_rng(0)
    A, B, out = rng.normal(size=(m, depth)), rng.normal(size=(n, depth)), np.full((m, n), np.nan)
    kernel.multiply_turned(A, B, out, 0.0)
    np.testing.assert_allclose(out, A @ B.T, rtol=0, atol=1e-13)


def count_blas_threads():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_blas_has_one_thread_while_compiled_steps_are_taken_and_what_it_had_before_after(
    table, monkeypatch
):
    numbers, take = [], Kernel.take

    def spy(self, *args, **kwargs):
        numbers.append(count_blas_threads())
        return take(self, *args, **kwargs)

    monkeypatch.setattr(Kernel, "take", spy)
    with threadpool_limits(2, "blas"):
        before = count_blas_threads()
        make_net().fit(*table)
        fit_fused([make_net(random_state=i) for i in range(4)], *([p] * 4 for p in table), n_jobs=2)
        make_net("torch").fit(*table)
        assert count_blas_threads() == before
    assert numbers
    assert all(found == {1} for found in numbers)


@pytest.mark.slow
def test_a_machine_without_a_folder_to_write_to_compiles_anew_each_time():
    code = (
        "from numba.core import caching\n"
        "for kind in (caching.CompileResultCacheImpl, caching.CodeLibraryCacheImpl):\n"
        "    kind._locator_classes = []\n"
        "import sklearn_mixup._engine.kernel as kernel\n"
        "assert type(kernel.train._cache).__name__ == 'NullCache'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()


def test_no_lock_is_held_while_steps_are_taken():
    assert kernel.train.targetoptions["nogil"]


def test_one_call_takes_many_steps(table, monkeypatch):
    numbers, take = [], Kernel.take

    def spy(self, start, stop, X, *args, **kwargs):
        numbers.append(X.shape[:3])
        return take(self, start, stop, X, *args, **kwargs)

    monkeypatch.setattr(Kernel, "take", spy)
    make_net(max_epochs=2).fit(*table)  # 4 whole minibatches, and one of 11 rows
    assert numbers == [(1, 4, 16), (1, 1, 11)] * 2
    numbers.clear()
    fit_fused([make_net(max_epochs=2), make_net(max_epochs=2)], *([part] * 2 for part in table))
    assert numbers == [(2, 4, 16), (2, 1, 11)] * 2


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("dropout", [0, 0.5])
def test_a_call_takes_no_more_steps_than_its_time_and_memory_allow(dropout, table, monkeypatch):
    expected = make_net("torch", dropout=dropout).fit(*table)
    numbers, take = [], Kernel.take

    def spy(self, start, stop, X, *args, **kwargs):
        numbers.append(X.shape[1])
        return take(self, start, stop, X, *args, **kwargs)

    monkeypatch.setattr(Kernel, "take", spy)
    if dropout:
        monkeypatch.setattr(compiled, "_MOST_DROPPED", 3 * 16 * 8)
    else:
        monkeypatch.setattr(compiled, "_MOST_FLOPS", 3.5 * expected_flops())
    assert_same(make_net(dropout=dropout).fit(*table), expected)
    assert numbers == [3, 1, 1] * 4  # of 4 whole minibatches and one that is shorter


def expected_flops():
    """Count the operations of a step of 16 rows: three products for each parameter and row."""
    return 6 * 16 * (4 * 8 + 8 + 8 * 3 + 3)


@pytest.mark.parametrize(
    "params",
    [
        {"optimizer": torch.optim.SGD},
        {"optimizer__amsgrad": True},
        {"optimizer__fused": False},
        {"criterion": nn.MultiMarginLoss},
        {"hidden_sizes": (2000,), "batch_size": 2000, "max_epochs": 1},  # several threads' work
        {"module": nn.Sequential(nn.Linear(4, 3)), "hidden_sizes": None},
        {"callbacks": [GradientNormClipping(1.0)]},
    ],
    ids=["SGD", "amsgrad", "not fused", "margin loss", "wide", "own module", "watched"],
)
def test_other_steps_are_torchs(params, table):
    X, y = table
    X = X.astype(np.float32)
    net = make_net(**params).fit(X, y)
    assert net.engine_ == "torch"
    expected = make_net("torch", **params).fit(X, y)
    assert_close(net.module_.state_dict(), expected.module_.state_dict(), rtol=0, atol=0)


def test_a_net_says_that_numba_is_missing(table, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"sklearn-mixup\[numba\]"):
        make_net().fit(*table)
    make_net("torch").fit(*table)


def test_an_engine_that_there_is_not_is_refused(table):
    with pytest.raises(ValueError, match="engine"):
        make_net("cython").fit(*table)


def test_searches_ensembles_and_committees_take_compiled_steps(table):
    search = FusedGridSearchCV(make_net(), {"alpha": [0, 1]}, cv=2, n_jobs=2).fit(*table)
    assert search.best_estimator_.engine_ == "numba"
    for committee in (TabularMixupClassifier, TabularMixupRegressor):
        nets = committee(
            n_estimators=2,
            max_epochs=2,
            settings=[{"hidden_sizes": (8,)}],
            others=(),
            engine="numba",
        ).fit(*table)
        assert {net.engine_ for net in nets.estimators_} == {"numba"}
    bag = FusedBaggingClassifier(make_net(), n_estimators=2, random_state=0).fit(*table)
    assert {net.engine_ for net in bag.estimators_} == {"numba"}


def test_the_rate_that_callbacks_see_is_that_of_torch(table):
    class Rates(LRDecay):
        def on_epoch_end(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])
            super().on_epoch_end(net, **kwargs)

    found = []
    for engine in ("numba", "torch"):
        rates = []
        make_net(engine, callbacks__lr_decay=Rates()).fit(*table)
        found.append(rates)
    assert len(found[0]) == 4
    assert found[0] == pytest.approx(found[1])
