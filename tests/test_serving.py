"""One row, at once: the short way to a prediction, whose answers are those of skorch's way."""

import copy
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal

import sklearn_mixup._net.estimator as estimator
import sklearn_mixup._net.prediction as prediction
from sklearn_mixup import FusedBaggingClassifier, MixupClassifier, MixupRegressor
from sklearn_mixup.modules import MLP, LeNet


def table(n_rows, n_features=5):
    return np.random.default_rng(0).normal(size=(n_rows, n_features)).astype(np.float32)


class LongWay(MixupClassifier):
    """Goes skorch's way, since a method of its own may do anything."""

    def infer(self, x, **fit_params):
        return super().infer(x, **fit_params)


def fit(kind=MixupClassifier, **params):
    X = table(60)
    net = kind(max_epochs=1, device="cpu", random_state=0, module__hidden_sizes=(9,), **params)
    return net.fit(X, np.arange(60) % 3)


def in_the_long_way(net):
    """Let another net have the same weights, to the bit."""
    other = copy.copy(net)
    other.__class__ = LongWay
    return other


@pytest.fixture
def long_way(monkeypatch):
    """Count the calls that go skorch's way."""
    calls = []
    apply = estimator.apply_in_order

    def counted(*args, **kwargs):
        calls.append(args)
        return apply(*args, **kwargs)

    monkeypatch.setattr(estimator, "apply_in_order", counted)
    return calls


# -- which way ------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [1, 2, 33, 500])
@pytest.mark.parametrize(
    "turn",
    [
        lambda X: X,
        lambda X: X.astype(np.float64),
        lambda X: np.asfortranarray(X),
        lambda X: np.repeat(X, 2, axis=1)[:, ::2],
        lambda X: torch.from_numpy(X),
    ],
    ids=["float32", "float64", "by columns", "every other column", "tensor"],
)
def test_the_short_way_gives_the_bits_of_the_long_one(turn, n_rows, long_way):
    short = fit()
    long = in_the_long_way(short)
    X = turn(table(n_rows))
    found = short.predict_proba(X), short.decision_function(X), short.predict(X)
    assert not long_way
    expected = long.predict_proba(X), long.decision_function(X), long.predict(X)
    assert len(long_way) == 3
    for ours, theirs in zip(found, expected, strict=True):
        assert_array_equal(ours, theirs)


def test_numbers_and_pictures_take_the_short_way(long_way):
    fit(MixupRegressor).predict(table(3))
    X = np.random.default_rng(0).normal(size=(6, 1, 28, 28)).astype(np.float32)
    net = MixupClassifier(LeNet, max_epochs=1, device="cpu").fit(X, np.arange(6) % 2)
    net.predict_proba(X[:1])
    assert not long_way


METHODS = ["infer", "evaluation_step", "forward_iter", "get_iterator", "get_dataset"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("of", ["class", "instance"])
def test_a_method_that_somebody_put_in_the_place_of_ours_is_called(method, of):
    net = fit()
    expected, ours, calls = net.predict_proba(table(4)), getattr(net, method), []

    def theirs(*args, **kwargs):
        calls.append(method)
        return ours(*args, **kwargs)

    if of == "class":
        net.__class__ = type(
            "Theirs", (MixupClassifier,), {method: lambda _, *a, **k: theirs(*a, **k)}
        )
    else:
        object.__setattr__(net, method, theirs)
    assert_array_equal(net.predict_proba(table(4)), expected)
    assert calls


def test_hooks_nonlinearities_and_sizes_of_one_s_own_are_heeded():
    net = fit()
    logits = net.decision_function(table(4))
    seen = []
    handle = net.module_.register_forward_hook(
        lambda module, args, output: seen.append(len(output))
    )
    net.set_params(predict_nonlinearity=None)
    assert_array_equal(net.predict_proba(table(4)), logits)
    assert seen == [16]
    handle.remove()
    limited = fit(iterator_valid__batch_size=3)
    limited.module_.register_forward_hook(lambda module, args, output: seen.append(len(output)))
    limited.predict(table(20))
    assert max(seen[1:]) == 3


def test_a_module_may_write_to_the_rows_that_it_is_given():
    class Greedy(MLP):
        def forward(self, X):
            return super().forward(X.mul_(2))

    net = fit(module=Greedy)
    for n_rows in (1, 16, 60):
        X = table(n_rows)
        net.predict_proba(X)
        assert_array_equal(X, table(n_rows))


BAD = {
    "NaN": np.full((2, 5), np.nan),
    "infinity": np.full((2, 5), np.inf, np.float32),
    "too large for float32": np.full((2, 5), 1e300),
    "other columns": np.zeros((2, 4)),
    "no row": np.zeros((0, 5)),
    "one dimension": np.zeros(5),
    "complex": np.zeros((2, 5), complex),
    "words": np.full((2, 5), "a"),
    "tensor of NaN": torch.full((2, 5), torch.nan),
    "tensor of other columns": torch.zeros(2, 4),
}


@pytest.mark.parametrize("X", BAD.values(), ids=BAD)
def test_bad_rows_are_refused_in_the_same_words(X):
    told, net = [], fit()
    for one in (net, in_the_long_way(net)):
        with pytest.raises((TypeError, ValueError)) as caught:
            one.predict_proba(X)
        told.append((caught.type, str(caught.value).replace("LongWay", "MixupClassifier")))
    assert told[0] == told[1]


def test_large_numbers_that_are_finite_are_predicted():
    X = np.full((2, 5), 3e38, np.float32)  # whose sum is not
    net = fit()
    with torch.no_grad():
        for parameter in net.module_.parameters():
            parameter.mul_(1e-30)
    assert_array_equal(net.predict_proba(X), np.full((2, 3), np.float32(1 / 3)))


def test_names_of_columns_are_still_looked_at():
    X = pd.DataFrame(table(60), columns=list("abcde"))
    net = MixupClassifier(max_epochs=1, device="cpu").fit(X, np.arange(60) % 3)
    with pytest.warns(UserWarning, match="valid feature names"):
        net.predict(table(2))
    with pytest.raises(ValueError, match="feature names"):
        net.predict(X[list("edcba")])


# -- threads --------------------------------------------------------------------------------------


def in_threads(calls):
    """Call all at once, each in a thread of its own."""
    barrier, found = threading.Barrier(len(calls)), [None] * len(calls)

    def work(place):
        barrier.wait()
        found[place] = calls[place]()

    threads = [threading.Thread(target=work, args=[place]) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("n_torch_threads", [1, 2])
@pytest.mark.parametrize("is_bag", [False, True])
def test_threads_that_predict_at_once_get_the_bits_of_one_alone(
    is_bag, n_torch_threads, monkeypatch
):
    before = torch.get_num_threads()
    torch.set_num_threads(n_torch_threads)
    try:
        net = fit()
        if is_bag:
            net = FusedBaggingClassifier(net, 3, random_state=0).fit(table(60), np.arange(60) % 3)
        X = table(1500)
        parts = [X[:1], X[3:5], X[:40], X[7:1400], X] * 2
        alone = [net.predict_proba(part) for part in parts]
        # Nothing is known of the shape: the threads find out at the same time.
        monkeypatch.setattr(prediction, "_by_shape", {})
        monkeypatch.setattr(prediction, "_by_module", prediction.WeakKeyDictionary())
        found = in_threads([lambda part=part: net.predict_proba(part) for part in parts])
    finally:
        torch.set_num_threads(before)
    for one, other in zip(found, alone, strict=True):
        # An ensemble averages in float64.
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-15 if is_bag else 0)


@pytest.mark.filterwarnings("ignore:.*could not be fused")
def test_modules_that_are_called_one_by_one_predict_in_all_threads():
    modes, sleep_s = [], []

    class Slow(MLP):
        """What vmap refuses: what is computed depends on the numbers."""

        def forward(self, X):
            logits = super().forward(X)
            time.sleep(sum(sleep_s))
            modes.append(self.training)
            return logits if logits.square().sum() >= 0 else 2 * logits

    params = {"max_epochs": 1, "device": "cpu", "batch_size": 60, "module__hidden_sizes": (4,)}
    bag = FusedBaggingClassifier(MixupClassifier(Slow, **params), 3, random_state=0)
    bag.fit(table(60), np.arange(60) % 3)
    bag.predict_proba(table(20))
    modes.clear()
    alone = bag.predict_proba(table(20))
    for member in bag.estimators_:
        member.module_.train()
    n_calls = len(modes)
    modes.clear()
    sleep_s.append(0.01)

    def later():
        time.sleep(0.015)
        return bag.predict_proba(table(20))

    for found in in_threads([lambda: bag.predict_proba(table(20)), later]):
        assert_array_equal(found, alone)
    assert len(modes) == 2 * n_calls
    assert not any(modes)
    assert all(member.module_.training for member in bag.estimators_)
